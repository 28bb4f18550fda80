"""snakepit.acme.chains: what a PEM has to contain to be served."""

import pytest
from certificates import AUTHORITY, certificate, pem
from cryptography.hazmat.primitives import serialization

from snakepit.acme.chains import any_chain_of, chain_of, described, renewal_identifier
from snakepit.acme.keys import key_pem, new_key

RFC_9773 = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"  # section 4.1


def test_the_identifier_of_rfc_9773():
    assert renewal_identifier(AUTHORITY, 0x87654321) == RFC_9773
    assert described(certificate()).identifier == RFC_9773


@pytest.mark.parametrize(("serial", "encoded"), [(0x7F, "fw"), (0x80, "AIA"), (0x100, "AQA"), (1, "AQ")])
def test_serial_numbers_are_those_of_der(serial, encoded):
    assert renewal_identifier(b"\0", serial) == f"AA.{encoded}"


def test_what_counts_of_a_certificate():
    found = chain_of(pem(["example.com", "192.0.2.1"]), "example.com")
    assert found.names == {"example.com", "192.0.2.1"}
    assert (found.not_before, found.lifetime) == (1_700_000_000, 90 * 86400)
    assert (found.issuer, len(found.fingerprint)) == ("Test CA R1", 64)


def test_a_certificate_that_does_not_name_its_ca():
    assert described(certificate(authority=None)).identifier is None


ENCRYPTED = new_key().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
)
ONE = pem()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", None),
        (b"\0" * 1000, None),
        (ONE[: len(ONE) // 2], None),
        (key_pem(new_key()), None),
        (certificate().public_bytes(serialization.Encoding.PEM), None),
        (ENCRYPTED + ONE, "encrypted"),
        (key_pem(new_key()) + certificate().public_bytes(serialization.Encoding.PEM), "for another key"),
        (pem(["other.example"]), "is for other.example"),
        (pem([]), "is for no name"),
        (ONE + certificate().public_bytes(serialization.Encoding.PEM) * 30, "it has 31 certificates"),
    ],
)
def test_what_can_t_be_served(data, reason):
    with pytest.raises(ValueError, match=reason):
        chain_of(data, "example.com")


def test_whatever_its_names():
    assert any_chain_of(pem(["other.example"])).names == {"other.example"}
