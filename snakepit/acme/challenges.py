"""Answers to challenges: HTTP-01 (RFC 8555 section 8.3) and TLS-ALPN-01 (RFC 8737)."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from snakepit.acme.keys import general_name, key_pem, new_key
from snakepit.acme.problems import CaUnreachable

PATH = "/.well-known/acme-challenge/"
"""The path of HTTP-01 challenges, before the token."""

ALPN_PROTOCOL = "acme-tls/1"
"""The protocol that a CA offers when it validates by TLS-ALPN-01 (RFC 8737 section 6.2)."""

_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # RFC 8737 section 6.1
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LIFETIME = timedelta(days=1)


def is_token(text: str) -> bool:
    """Tell whether a text may be a token: only base64url (RFC 8555 section 8.3), so it is no path either."""
    return _TOKEN.fullmatch(text) is not None


def key_authorization(token: str, thumbprint: str) -> str:
    """Return the answer to a challenge (RFC 8555 section 8.1)."""
    if not is_token(token):
        raise CaUnreachable("the token of a challenge is not base64url")
    return f"{token}.{thumbprint}"


def alpn_certificate(name: str, authorization: str) -> bytes:
    """Return the certificate by which TLS-ALPN-01 is answered, and its key, in one PEM.

    It is self-signed, has the name alone, and the digest of the key authorization in a critical extension (RFC 8737
    section 3).
    """
    key = new_key()
    now = datetime.now(UTC)
    digest = hashlib.sha256(authorization.encode()).digest()
    name_of_all = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ACME challenge")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_of_all)
        .issuer_name(name_of_all)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFETIME)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([general_name(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_IDENTIFIER, b"\x04\x20" + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
