"""What apps are told of a TLS session: the ASGI extension, and the variables that WSGI apps know from web servers."""

import ssl
from collections.abc import Iterator
from typing import Any

from snakepit.http.types import Tls
from snakepit.tls.contexts import LoadedCertificate

_SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
"""RFC 4514 section 3."""

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

_numbers: dict[str, int] = {}  # of cipher suites, by name

type _Name = tuple[tuple[tuple[str, str], ...], ...]


def describe(session: ssl.SSLObject, shown: LoadedCertificate) -> Tls:
    """Return the extension `tls` of ASGI's scope (ASGI TLS extension), and the variables that mod_ssl sets for CGI.

    `shown`: the server's certificate.
    """
    version, cipher = session.version() or "", session.cipher()
    cipher_name = cipher[0] if cipher is not None else ""
    chain = [ssl.DER_cert_to_PEM_cert(certificate) for certificate in _chain(session)] if shown.asks_clients else []
    client: dict[str, Any] = (session.getpeercert() or {}) if chain else {}
    name = distinguished_name(client.get("subject", ())) if chain else None
    extension = {
        "server_cert": shown.facts.pem,
        "client_cert_chain": chain,
        "client_cert_name": name,
        "client_cert_error": None,  # a handshake with one that can't be trusted fails
        "tls_version": _VERSIONS.get(version),
        "cipher_suite": _number(session.context, cipher_name),
    }
    variables = {"HTTPS": "on", "SSL_PROTOCOL": version, "SSL_CIPHER": cipher_name, "SSL_CLIENT_VERIFY": "NONE"}
    if chain:
        variables |= {
            "SSL_CLIENT_VERIFY": "SUCCESS",
            "SSL_CLIENT_CERT": chain[0],
            "SSL_CLIENT_S_DN": name or "",
            "SSL_CLIENT_I_DN": distinguished_name(client.get("issuer", ())),
            "SSL_CLIENT_M_SERIAL": client.get("serialNumber", ""),
            "SSL_CLIENT_V_START": client.get("notBefore", ""),
            "SSL_CLIENT_V_END": client.get("notAfter", ""),
        }
    return extension, variables


def _chain(session: ssl.SSLObject) -> list[bytes]:
    """Return the client's certificate, if it has one, and those of CAs behind it, if it has sent any."""
    own = session.getpeercert(binary_form=True)
    if own is None:  # Python 3.13 fails to make a chain of that
        return []
    return session.get_unverified_chain() or [own]  # Python 3.13 has none in a session that is resumed


def _number(context: ssl.SSLContext, name: str) -> int | None:
    """Return the number of a cipher suite, which OpenSSL has in its last two bytes."""
    if name not in _numbers:
        _numbers.update((cipher["name"], cipher["id"] & 0xFFFF) for cipher in context.get_ciphers())
    return _numbers.get(name)


def distinguished_name(name: _Name) -> str:
    """Return a name as text, the most specific part first (RFC 4514 section 2.1)."""
    return ",".join("+".join(_pairs(part)) for part in reversed(name))


def _pairs(part: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for kind, value in part:
        yield f"{_SHORT_NAMES.get(kind, kind)}={_escaped(value)}"


def _escaped(value: str) -> str:
    """Escape what has a meaning (RFC 4514 section 2.4)."""
    text = "".join(f"\\{each}" if each in '"+,;<>\\' else "\\00" if each == "\0" else each for each in value)
    if text.startswith((" ", "#")):
        text = "\\" + text
    return text[:-1] + "\\ " if len(value) > 1 and value.endswith(" ") else text
