"""tls.x509: what certificates say of themselves, compared with what a library for them reads."""

import random
import ssl
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tls_peers import new_ca, subject

from snakepit.tls.x509 import read_certificate


@cache
def ca():
    return new_ca("A CA for these tests")


def names_of(certificate):
    """Return the names as the library reads them."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(
            pair.value.lower() for pair in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        )
    return tuple(str(name.value).lower() for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def check(made):
    facts = read_certificate(made.pem)
    assert facts.names == names_of(made.certificate)
    assert facts.not_before == made.certificate.not_valid_before_utc
    assert facts.not_after == made.certificate.not_valid_after_utc
    assert ssl.PEM_cert_to_DER_cert(facts.pem) == made.der
    return facts


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize(
    "names",
    [
        ("localhost",),
        ("www.example.com", "*.example.com", "example.com"),
        ("127.0.0.1", "::1", "2001:db8::7"),
        ("Upper.Example", "10.0.0.1"),
        tuple(f"host{number}.example.com" for number in range(200)),  # lengths with two bytes
    ],
)
def test_names_and_times(names, kind):
    facts = check(ca().issue(*names, kind=kind))
    assert facts.names == tuple(name.lower() for name in names)


def test_an_old_one_that_has_only_a_common_name():
    facts = check(ca().issue(name=subject("Old.Example", organization_name="Bücher & Söhne")))
    assert facts.names == ("old.example",)


def test_one_without_a_name():
    assert check(ca().issue(name=x509.Name([]))).names == ()


def test_that_of_a_ca():
    assert check(ca()).names == ("a ca for these tests",)


@pytest.mark.parametrize(
    ("begin", "end"), [((1950, 1, 1), (2049, 12, 31)), ((1999, 12, 31), (2050, 1, 1)), ((2024, 2, 29), (9999, 12, 31))]
)
def test_times_far_away(begin, end):
    begin, end = (datetime(*date, 23, 59, 59, tzinfo=UTC) for date in (begin, end))
    facts = check(ca().issue("localhost", begin=begin, end=end))
    assert (facts.not_before, facts.not_after) == (begin, end)


def test_only_the_first_of_a_file():
    made = ca().intermediate("Between").issue("localhost")
    facts = read_certificate("a comment\n" + made.key_pem + made.chain_pem)
    assert facts.pem == made.pem
    assert facts.names == ("localhost",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n",
        "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_no_certificate(text):
    with pytest.raises(ValueError, match=r"^there is no certificate in it$"):
        read_certificate(text)


@pytest.mark.parametrize("inside", ["", "AAAA\n", "not base64!\n", "MAA=\n", "é\n"])
def test_a_damaged_one(inside):
    with pytest.raises(ValueError, match=r"^the certificate in it is damaged$"):
        read_certificate(f"-----BEGIN CERTIFICATE-----\n{inside}-----END CERTIFICATE-----\n")


def read_der(der):
    try:
        read_certificate(ssl.DER_cert_to_PEM_cert(bytes(der)))
    except ValueError:
        pass


@given(st.binary(max_size=100))
def test_any_bytes(der):
    read_der(der)


def test_each_beginning():
    der = ca().issue("localhost", "127.0.0.1").der
    for end in range(len(der)):
        read_der(der[:end])


def test_changed_ones():
    """Each byte by itself, and some thousand changes of a few."""
    der = ca().issue("localhost", "*.example.com", "127.0.0.1", "::1").der
    for at in range(len(der)):
        for value in (0, 0x7F, 0x80, 0x84, 0xFF, der[at] ^ 1):
            read_der(der[:at] + bytes((value,)) + der[at + 1 :])
    chance = random.Random(5280)
    for _ in range(3000):
        changed = bytearray(der)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        read_der(changed)
