"""snakepit.acme.keys: keys, and requests for certificates."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from snakepit.acme.jws import from_base64url
from snakepit.acme.keys import AccountKey, key_pem, new_key, signing_request


def test_a_key_is_the_same_after_it_was_stored():
    key = AccountKey.make()
    again = AccountKey.load(key.dump())
    assert again.public == key.public
    assert again.thumbprint == key.thumbprint
    assert len(from_base64url(key.thumbprint)) == 32


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        key_pem(rsa.generate_private_key(65537, 2048)),
        key_pem(ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_what_is_no_key_of_an_account(pem):
    with pytest.raises(ValueError):  # noqa: PT011
        AccountKey.load(pem)


def test_coordinates_have_their_full_length():
    # one key in 128 has a coordinate with a zero byte in front, which must not be left out (RFC 7518 section 6.2.1.2)
    for _ in range(300):
        assert {len(value) for name, value in AccountKey.make().public.items() if name in "xy"} == {43}


def test_a_request_names_domains_and_addresses():
    key = new_key()
    request = x509.load_der_x509_csr(signing_request(key, ["example.com", "192.0.2.1", "2001:db8::1"]))
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert request.public_key().public_bytes(*spki) == key.public_key().public_bytes(*spki)
