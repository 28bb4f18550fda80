"""Keys: those of accounts, which sign requests (ES256, RFC 7518 section 3.4), and those of certificates."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from snakepit.acme.jws import thumbprint, to_base64url
from snakepit.acme.names import address

_BYTES = 32  # of a coordinate, and of each half of a signature, on P-256


class AccountKey:
    """The key of an account: a P-256 key, which every CA has to accept (RFC 8555 section 6.2)."""

    algorithm = "ES256"

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        self._public = {
            "crv": "P-256",
            "kty": "EC",
            "x": to_base64url(numbers.x.to_bytes(_BYTES)),
            "y": to_base64url(numbers.y.to_bytes(_BYTES)),
        }

    @classmethod
    def make(cls) -> "AccountKey":
        """Make a new key."""
        return cls(new_key())

    @classmethod
    def load(cls, pem: bytes) -> "AccountKey":
        """Return the key in a PEM. Raises ValueError."""
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("it is no P-256 key")
        return cls(key)

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as JWK (RFC 7517)."""
        return self._public

    @property
    def thumbprint(self) -> str:
        """The thumbprint that challenges are answered with (RFC 8555 section 8.1)."""
        return thumbprint(self._public)

    def sign(self, data: bytes) -> bytes:
        """Return the signature: both numbers at their full length (RFC 7518 section 3.4)."""
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_BYTES) + s.to_bytes(_BYTES)

    def dump(self) -> bytes:
        """Return the key as PEM. It is a secret."""
        return key_pem(self._key)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key, which all clients understand, and whose handshakes cost the least."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKeyTypes) -> bytes:
    """Return a private key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def general_name(name: str) -> x509.GeneralName:
    """Return a domain or an address as it stands in certificates."""
    found = address(name)
    return x509.DNSName(name) if found is None else x509.IPAddress(ip_address(str(found)))


def signing_request(key: ec.EllipticCurvePrivateKey, names: Iterable[str]) -> bytes:
    """Return a request for a certificate (RFC 8555 section 7.4), as DER, for domains and addresses (RFC 8738)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    alternative = x509.SubjectAlternativeName([general_name(name) for name in names])
    request = builder.add_extension(alternative, critical=True).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)
