"""snakepit.acme.jws: signed requests, checked with the examples of the RFCs."""

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from snakepit.acme import jws
from snakepit.acme.keys import AccountKey, new_key

RFC_7638 = {  # section 3.1
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
        "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
        "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg"
        "U8awapJzKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def test_the_thumbprint_of_rfc_7638():
    assert jws.thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_base64url_of_rfc_7515():
    data = bytes([3, 236, 255, 224, 193])  # appendix C
    assert jws.to_base64url(data) == "A-z_4ME"
    assert jws.from_base64url("A-z_4ME") == jws.from_base64url("A-z_4ME=") == data
    for wrong in ("A+z/4ME", "A z_4ME", "ä"):
        with pytest.raises(ValueError):  # noqa: PT011
            jws.from_base64url(wrong)


def parts(body):
    found = body if isinstance(body, dict) else json.loads(body)
    return json.loads(jws.from_base64url(found["protected"])), jws.from_base64url(found["payload"]), found


def test_a_request_is_signed_so_that_the_key_verifies_it():
    raw = new_key()
    key = AccountKey(raw)
    head, payload, found = parts(jws.signed(key, "https://ca.test/x", "n1", {"a": 1}, None))
    assert head == {"alg": "ES256", "nonce": "n1", "url": "https://ca.test/x", "jwk": dict(key.public)}
    assert json.loads(payload) == {"a": 1}
    signature = jws.from_base64url(found["signature"])
    assert len(signature) == 64
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    signed = f"{found['protected']}.{found['payload']}".encode()
    raw.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def test_with_an_account_its_url_stands_for_the_key():
    head, payload, _ = parts(jws.signed(AccountKey.make(), "https://ca.test/x", "n1", None, "https://ca.test/acct/1"))
    assert head["kid"] == "https://ca.test/acct/1"
    assert "jwk" not in head
    assert payload == b""  # POST-as-GET


def test_an_external_account_is_bound():
    key = AccountKey.make()
    head, payload, found = parts(jws.external_binding(key, "https://ca.test/new", "kid-1", b"secret"))
    assert head == {"alg": "HS256", "kid": "kid-1", "url": "https://ca.test/new"}
    assert json.loads(payload) == dict(key.public)
    mac = hmac.new(b"secret", f"{found['protected']}.{found['payload']}".encode(), hashlib.sha256).digest()
    assert jws.from_base64url(found["signature"]) == mac
