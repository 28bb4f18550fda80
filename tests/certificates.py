"""Makes certificates with the dates and names that a test wants."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from snakepit.acme.keys import general_name, key_pem, new_key

AUTHORITY = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")  # of the example in RFC 9773


def certificate(
    names=("example.com",), start=1_700_000_000, days=90.0, key=None, serial=0x87654321, authority=AUTHORITY
):
    """A certificate, signed by its own key, that names another as its CA's."""
    key = key or new_key()
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA R1")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(start + days * 86400, UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(one) for one in names]), False)
    if authority is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(authority, None, None), False)
    return builder.sign(key, hashes.SHA256())


def pem(names=("example.com",), **more):
    """A key and its certificate, as the store has them."""
    key = new_key()
    found = certificate(names, key=key, **more)
    return key_pem(key) + found.public_bytes(serialization.Encoding.PEM)
