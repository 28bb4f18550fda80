"""A CA of this user's own, for names that no public CA certifies: `localhost`, names below it, and addresses.

Its root has to be trusted once, by one command. It can sign nothing else: it is constrained to these names (RFC 5280
section 4.2.1.10), so that its key is of no use against other sites.
"""

import getpass
import ipaddress
import logging
import shlex
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from snakepit.acme.keys import general_name, key_pem, new_key
from snakepit.system.private_folders import write_secret

ROOT_LIFETIME = timedelta(days=3650)
"""Of the root: what is trusted once is to stay so."""

LEAF_LIFETIME = timedelta(days=90)
"""Of certificates: short, since they renew themselves, and less than the 825 days that Apple accepts."""

ROOT_LEFT = timedelta(days=180)
"""Left of the root's time when another is made: more than a certificate's."""

LOCAL = "local"
"""What stands for the directory of the local CA."""

_BACKDATED = timedelta(hours=1)  # for clients whose clock is behind
_CERTIFICATE, _KEY = "root.crt", "root.key"
_log = logging.getLogger("snakepit.server")


class LocalCa:
    """The local CA in a folder. Its methods that write must be called under a lock.

    Args:
        now: returns the time.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.root = folder / _CERTIFICATE
        self._key = folder / _KEY
        self._now = now

    def signed(self, leaf: x509.Certificate) -> bool:
        """Tell whether a certificate was signed by the root that is there now."""
        found = self._load()
        if found is None:
            return False
        try:
            leaf.verify_directly_issued_by(found[0])
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def issue(self, name: str) -> bytes:
        """Return a new key and a certificate for a name, as PEM; makes the root if necessary. Raises OSError."""
        root, root_key = self._load() or self._make()
        key = new_key()
        now = self._now()
        public = key.public_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(root.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_authority(root), critical=False)
            .add_extension(x509.SubjectAlternativeName([general_name(name)]), critical=True)  # no subject
            .sign(root_key, hashes.SHA256())
        )
        return key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)

    def _load(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        """Return the root and its key; None if there is none, or it can't be used any more, which is logged."""
        try:
            root = x509.load_pem_x509_certificate(self.root.read_bytes())
            key = serialization.load_pem_private_key(self._key.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
                raise ValueError("its key is another one's")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            _log.error("The local CA in %s can't be used, so another is made: %s", self.root, error)
            return None
        if root.not_valid_after_utc - self._now() < ROOT_LEFT:
            _log.warning("The local CA in %s ends soon, so another is made, which has to be trusted anew", self.root)
            return None
        return root, key

    def _make(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = new_key()
        public = key.public_key()
        now = self._now()
        name = x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Snakepit local CA"),
                x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Snakepit local CA of {_whose()}"[:64]),
            ]
        )
        permitted: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
            x509.IPAddress(ipaddress.ip_network("::/0")),
        ]
        root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + ROOT_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.NameConstraints(permitted, None), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_secret(self._key, key_pem(key))
        write_secret(self.root, root.public_bytes(serialization.Encoding.PEM))
        _log.warning("A local CA was made. To trust it: %s", trust_command(self.root))
        return root, key


def trust_command(root: Path, platform: str = sys.platform, release: Path = Path("/etc/os-release")) -> str:
    """Return the command that makes this machine trust a root."""
    path = str(root)
    if platform == "win32":
        return f'certutil -addstore -user Root "{path}"'
    path = shlex.quote(path)
    if platform == "darwin":
        return f'security add-trusted-cert -r trustRoot -k "$HOME/Library/Keychains/login.keychain-db" {path}'
    if _is_like_fedora(release):
        return (
            f"sudo install -m 644 {path} /etc/pki/ca-trust/source/anchors/snakepit-local-ca.crt && sudo update-ca-trust"
        )
    return (
        f"sudo install -D -m 644 {path} /usr/local/share/ca-certificates/snakepit-local-ca.crt "
        "&& sudo update-ca-certificates"
    )


def _is_like_fedora(release: Path) -> bool:
    try:
        lines = release.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    kinds = f"{found.get('ID', '')} {found.get('ID_LIKE', '')}".replace('"', "").split()
    return bool({"fedora", "rhel", "centos"} & set(kinds))


def _whose() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # which of them depends on the Python version
        user = "unknown user"
    return f"{user} on {socket.gethostname()}"


def _authority(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
