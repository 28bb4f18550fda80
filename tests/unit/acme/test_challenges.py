"""snakepit.acme.challenges: answers to HTTP-01 and TLS-ALPN-01."""

import hashlib
import ipaddress

import pytest
from cryptography import x509

from snakepit.acme.challenges import alpn_certificate, is_token, key_authorization
from snakepit.acme.problems import CaUnreachable


def test_the_key_authorization_of_rfc_8555():
    # section 8.1: the token and the thumbprint
    token, thumbprint = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
    assert key_authorization(token, thumbprint) == f"{token}.{thumbprint}"


@pytest.mark.parametrize("token", ["", "a/b", "..", "a.b", "a b", "a\n", "ä", "a" * 257])
def test_what_is_no_token(token):
    assert not is_token(token)
    with pytest.raises(CaUnreachable):
        key_authorization(token, "x")


@pytest.mark.parametrize("name", ["example.com", "192.0.2.1"])
def test_the_certificate_of_rfc_8737(name):
    found = x509.load_pem_x509_certificate(alpn_certificate(name, "token.thumbprint"))
    alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = alternative.get_values_for_type(x509.DNSName) or alternative.get_values_for_type(x509.IPAddress)
    assert names == [name if name == "example.com" else ipaddress.ip_address(name)]
    identifier = found.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert identifier.critical
    assert identifier.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumbprint").digest()
    found.verify_directly_issued_by(found)
