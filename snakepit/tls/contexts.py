"""SSL contexts, made of the options and of files with certificates."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from snakepit.errors import ConfigError
from snakepit.tls.x509 import CertificateFacts, read_certificate

PROTOCOLS = ["http/1.1"]
"""What is offered by ALPN (RFC 7301)."""

ACME_PROTOCOL = "acme-tls/1"
"""The protocol that a CA offers when it checks a name (RFC 8737 section 4)."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What is common to all certificates of a server.

    Args:
        least: the oldest version of TLS that is spoken.
        ciphers: for TLS 1.2, in OpenSSL's words; empty: OpenSSL's own choice.
        client_certificates: whether clients need a certificate, and whether one that they have is checked.
        client_ca: a file with the certificates of the CAs that clients' certificates must come from.
    """

    least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: str = ""
    client_certificates: ssl.VerifyMode = ssl.CERT_NONE
    client_ca: str | None = None

    def new_context(self) -> ssl.SSLContext:
        """Make a context without a certificate. Raises ConfigError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.least
        # new keys in the middle of TLS 1.2 (RFC 5746) would make the server work for a few bytes of the client's
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(PROTOCOLS)
        if self.ciphers:
            try:
                context.set_ciphers(self.ciphers)
            except ssl.SSLError:
                raise ConfigError(f"ssl_ciphers: OpenSSL knows no cipher among {self.ciphers!r}") from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:  # ssl.SSLError is one
                raise ConfigError(f"ssl_ca_certs: {self.client_ca}: {_reason(error)}") from None
        context.verify_mode = self.client_certificates
        return context


def file_state(path: str | None) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None for no file. Raises OSError."""
    if path is None:
        return None
    state = os.stat(path)
    return state.st_mtime_ns, state.st_size, state.st_ino


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of one certificate.

    Args:
        certificate: PEM, with the certificates of intermediate CAs behind it.
        key: PEM; None: it is in the file with the certificate.
        password: of the key, if it is encrypted.
        names: hosts that it is for; empty: those that it names itself.
    """

    certificate: str
    key: str | None = None
    password: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()

    def state(self) -> tuple[object, ...]:
        """Return what changes when a file does. Raises OSError."""
        return file_state(self.certificate), file_state(self.key)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCertificate:
    """A certificate that was read, and a context that shows it."""

    names: tuple[str, ...]
    context: ssl.SSLContext
    facts: CertificateFacts
    asks_clients: bool = False
    """Whether clients are asked for a certificate."""


def load(files: CertificateFiles, options: TlsOptions) -> LoadedCertificate:
    """Read a certificate and its key. Raises ConfigError."""
    facts = _read_facts(files.certificate)
    context = options.new_context()
    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        return files.password or ""

    try:
        context.load_cert_chain(files.certificate, files.key, password)
    except (OSError, ValueError) as error:  # ValueError: the password is longer than OpenSSL takes
        if files.key is not None and isinstance(error, ssl.SSLError) and error.reason in _OF_ANOTHER:
            raise ConfigError(f"the key {files.key} is not that of the certificate {files.certificate}") from None
        if asked:
            what = "is wrong" if files.password else "is missing: the key is encrypted"
            raise ConfigError(f"the password of the key {files.key or files.certificate} {what}") from None
        if files.key is None and isinstance(error, ssl.SSLError) and not error.reason:
            raise ConfigError(f"there is no key in {files.certificate}: name its file with ssl_keyfile") from None
        where = f"the key {files.key}" if files.key is not None else f"{files.certificate}, in which the key must be,"
        raise ConfigError(f"{where} can't be read: {_reason(error)}") from None
    asks_clients = options.client_certificates is not ssl.CERT_NONE
    return LoadedCertificate(files.names or facts.names, context, facts, asks_clients)


def _read_facts(path: str) -> CertificateFacts:
    try:
        return read_certificate(Path(path).read_text("latin-1"))
    except OSError as error:
        raise ConfigError(f"the certificate {path} can't be read: {_reason(error)}") from None
    except ValueError as error:
        raise ConfigError(f"the certificate {path} can't be used: {error}") from None


_OF_ANOTHER = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
"""OpenSSL's reasons why a key is not that of the certificate: it is another one, or one of another kind."""


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason.lower().replace("_", " ") if error.reason else "it is not PEM"
    return (isinstance(error, OSError) and error.strerror) or str(error)
