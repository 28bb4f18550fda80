"""What a certificate says of itself: its names, and until when it holds (RFC 5280).

The standard library tells this only of a peer's certificate, after a handshake. So this reads as much of its DER
(X.690) as is needed, and checks nothing: OpenSSL does, when it loads the certificate.
"""

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_UTC_TIME, _VERSION, _EXTENSIONS = 0x17, 0xA0, 0xA3
_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17, RFC 5280 section 4.2.1.6
_COMMON_NAME = bytes((0x55, 0x04, 0x03))  # 2.5.4.3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What is known of a certificate.

    Args:
        names: hosts' names in lower case, "*." among them, and IP addresses.
        pem: the certificate alone, without those that come behind it in its file.
    """

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    pem: str


def read_certificate(text: str) -> CertificateFacts:
    """Read the first certificate of a PEM text (RFC 7468). Raises ValueError."""
    start = text.find(_BEGIN)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        raise ValueError("there is no certificate in it")
    pem = text[start : end + len(_END)] + "\n"
    try:
        certificate = ssl.PEM_cert_to_DER_cert(pem)
        return _facts(certificate, pem)
    except (IndexError, ValueError):
        raise ValueError("the certificate in it is damaged") from None


def _facts(certificate: bytes, pem: str) -> CertificateFacts:
    # tbsCertificate: version (or none), serial, signature, issuer, validity, subject, key, and then extensions
    parts = list(_parts(_first(_first(certificate))))
    first = 1 if parts[0][0] == _VERSION else 0
    (begin_tag, begin), (end_tag, end) = _parts(parts[first + 3][1])
    names = [name for tag, value in parts if tag == _EXTENSIONS for name in _alternative_names(_first(value))]
    return CertificateFacts(
        tuple(names) or _common_names(parts[first + 4][1]), _time(begin_tag, begin), _time(end_tag, end), pem
    )


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each element. Raises IndexError and ValueError."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count])
            at += count
        if at + size > len(data):
            raise ValueError("an element reaches beyond the end")
        yield tag, data[at : at + size]
        at += size


def _first(data: bytes) -> bytes:
    """Return the content of the first element. Raises IndexError and ValueError."""
    for _, content in _parts(data):
        return content
    raise IndexError  # StopIteration would be a RuntimeError in generators


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, extension in _parts(extensions):
        (_, kind), *_, (_, value) = _parts(extension)
        if kind == _SUBJECT_ALT_NAME:
            for tag, name in _parts(_first(value)):
                if tag == _DNS_NAME:
                    yield name.decode("ascii").lower()
                elif tag == _IP_ADDRESS:
                    yield str(ipaddress.ip_address(name))


def _common_names(subject: bytes) -> tuple[str, ...]:
    """Return the common names, which old certificates have instead (RFC 6125 section 6.4.4)."""
    found = []
    for _, names in _parts(subject):
        for _, pair in _parts(names):
            (_, kind), (_, value) = _parts(pair)
            if kind == _COMMON_NAME:
                found.append(value.decode("utf-8", "replace").lower())
    return tuple(found)


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # RFC 5280 section 4.1.2.5.1: two digits of the year, from 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
