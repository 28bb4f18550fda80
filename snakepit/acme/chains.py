"""Certificates as they are served: a key and a chain in one PEM, read and checked."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from snakepit.acme.jws import to_base64url

MOST_CERTIFICATES = 20
"""Certificates of a chain; public CAs send two or three."""


@dataclass(frozen=True, slots=True)
class CertificateChain:
    """A certificate with those of its issuers.

    Args:
        issuer: who issued it, for people.
        fingerprint: SHA-256 of the certificate, in hexadecimal digits.
        identifier: for renewal information (RFC 9773 section 4.1); None if the certificate does not name its CA's key.
    """

    names: frozenset[str]
    not_before: float
    not_after: float
    issuer: str
    fingerprint: str
    identifier: str | None

    @property
    def lifetime(self) -> float:
        """Seconds from its first to its last."""
        return self.not_after - self.not_before


def chain_of(pem: bytes, name: str) -> CertificateChain:
    """Read a key and the chain that belongs to it, which has to be for `name`. Raises ValueError with the reason."""
    found = any_chain_of(pem)
    if name not in found.names:
        raise ValueError(f"its certificate is for {', '.join(sorted(found.names)) or 'no name'}")
    return found


def any_chain_of(pem: bytes) -> CertificateChain:
    """Read a key and the chain that belongs to it, for whatever names. Raises ValueError with the reason."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of a kind that is not known
        raise ValueError(str(error)) from None
    certificates = x509.load_pem_x509_certificates(pem)
    if len(certificates) > MOST_CERTIFICATES:
        raise ValueError(f"it has {len(certificates)} certificates")
    leaf = certificates[0]
    if _spki(leaf.public_key()) != _spki(key.public_key()):
        raise ValueError("its certificate is for another key")
    return described(leaf)


def described(leaf: x509.Certificate) -> CertificateChain:
    """Return what counts of a certificate. Raises ValueError."""
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = {name.lower() for name in alternative.get_values_for_type(x509.DNSName)}
        names |= {str(found) for found in alternative.get_values_for_type(x509.IPAddress)}
    except x509.ExtensionNotFound:
        names = set()
    digest = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()
    return CertificateChain(
        frozenset(names),
        _seconds(leaf.not_valid_before_utc),
        _seconds(leaf.not_valid_after_utc),
        _issuer(leaf.issuer),
        digest,
        _identifier(leaf),
    )


def renewal_identifier(key_identifier: bytes, serial: int) -> str:
    """Return how a certificate is named where its renewal is asked for (RFC 9773 section 4.1).

    The serial number is that of DER, with a zero byte where it would be negative without.
    """
    number = serial.to_bytes(serial.bit_length() // 8 + 1)
    return f"{to_base64url(key_identifier)}.{to_base64url(number)}"


def _identifier(leaf: x509.Certificate) -> str | None:
    try:
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    key = authority.key_identifier
    return None if key is None or leaf.serial_number < 0 else renewal_identifier(key, leaf.serial_number)


def _issuer(name: x509.Name) -> str:
    for attribute in (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME):
        for found in name.get_attributes_for_oid(attribute):
            return str(found.value)
    return name.rfc4514_string()


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _spki(key: object) -> bytes:
    dump = getattr(key, "public_bytes", None)
    assert dump is not None
    found: bytes = dump(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return found
