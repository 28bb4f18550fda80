"""Certificates: what is read of one is what OpenSSL reads of it, where that takes it for one at all."""

import base64
import calendar
import ssl
from datetime import datetime

from fuzz.target import Fault, expect
from snakepit.tls.x509 import CertificateFacts, read_certificate

_BEGIN, _END = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"


def check(data: bytes) -> None:
    """Read bytes as a certificate (the first byte is even), or as the text of a file."""
    if data[:1] and data[0] % 2:
        _read(data[1:].decode("latin-1"))
        return
    certificate = data[1:]
    facts = _read(_BEGIN + base64.encodebytes(certificate).decode().strip() + _END)
    if facts is None:
        return
    expect(ssl.PEM_cert_to_DER_cert(facts.pem) == certificate, "not the certificate itself", facts)
    expect(all(name == name.lower() for name in facts.names), "names", facts.names)
    for known in _by_openssl(certificate):
        _compare(facts, known)


def _read(text: str) -> CertificateFacts | None:
    try:
        return read_certificate(text)
    except ValueError as error:
        expect(str(error).endswith(("in it", "is damaged")), "an error that tells nothing", error)
        return None


def _by_openssl(certificate: bytes) -> list[dict[str, object]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificate)
        return context.get_ca_certs()  # none, if it is not an authority's
    except (ssl.SSLError, ValueError, UnicodeDecodeError):
        return []


def _compare(facts: CertificateFacts, known: dict[str, object]) -> None:
    names = known.get("subjectAltName")
    if isinstance(names, tuple):
        found = [str(value).lower() for kind, value in names if kind == "DNS"]
        own = [name for name in facts.names if not _is_address(name)]
        # OpenSSL's text escapes what no name has
        expect(not found or own == found or not all(map(_is_plain, own + found)), "other names", facts.names, names)
    for key, own_time in (("notBefore", facts.not_before), ("notAfter", facts.not_after)):
        if known[key] == "Bad time value":
            continue  # which OpenSSL refuses when the certificate is to be used
        expect(_seconds(str(known[key])) == calendar.timegm(own_time.timetuple()), "another time", own_time, known[key])


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _is_plain(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace(".", "").replace("*", "").isalnum()


def _seconds(text: str) -> float:
    return calendar.timegm(datetime.strptime(text, "%b %d %H:%M:%S %Y %Z").timetuple())


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + content


def _certificate(*names: bytes, common: bytes = b"t", times: tuple[bytes, bytes] | None = None) -> bytes:
    """Make a certificate of an authority, with a key and a signature that nobody looks at."""
    algorithm = _der(0x30, _der(0x06, b"\x2b\x65\x70"))  # Ed25519
    name = _der(0x30, _der(0x31, _der(0x30, _der(0x06, b"\x55\x04\x03"), _der(0x0C, common))))
    begin, end = times or (b"250101000000Z", b"350101000000Z")
    kinds = [0x17 if len(each) == 13 else 0x18 for each in (begin, end)]
    alternative = _der(0x30, _der(0x06, b"\x55\x1d\x11"), _der(0x04, _der(0x30, *names)))
    authority = _der(0x30, _der(0x06, b"\x55\x1d\x13"), _der(0x04, _der(0x30, _der(0x01, b"\xff"))))
    extensions = _der(0xA3, _der(0x30, authority, *([alternative] if names else [])))
    body = _der(
        0x30,
        _der(0xA0, _der(0x02, b"\x02")),
        _der(0x02, b"\x01"),
        algorithm,
        name,
        _der(0x30, _der(kinds[0], begin), _der(kinds[1], end)),
        name,
        _der(0x30, algorithm, _der(0x03, b"\0" + bytes(range(32)))),
        extensions,
    )
    return _der(0x30, body, algorithm, _der(0x03, b"\0" + bytes(64)))


def _dns(name: bytes) -> bytes:
    return _der(0x82, name)


_TEXT = (_BEGIN + base64.encodebytes(_certificate(_dns(b"a.b"))).decode().strip() + _END).encode()
SEEDS = [
    b"\x00" + _certificate(_dns(b"example.com"), _dns(b"*.Example.org"), _der(0x87, b"\x7f\0\0\1")),
    b"\x00" + _certificate(_der(0x87, bytes(15) + b"\1"), _dns(b"x" * 130)),
    b"\x00" + _certificate(common=b"old.example", times=(b"500101000000Z", b"20500101000000Z")),
    b"\x00" + _certificate(_dns(b"y"), times=(b"991231235959Z", b"99991231235959Z")),
    b"\x01# comment\n" + _TEXT + _TEXT,
    b"\x01" + _TEXT.replace(b"\n", b"\r\n"),
]
WORDS = [
    *(
        b"\x30\x82",
        b"\x30\x81",
        b"\x30\x80",
        b"\x84\xff\xff\xff\xff",
        b"\x55\x1d\x11",
        b"\x55\x04\x03",
        b"\x82",
        b"\x87\x04",
    ),
    *(b"\xa0\x03", b"\xa3", b"\x17\x0d", b"\x18\x0f", b"\x04\x82", b"\x01\x01\xff", b"-----BEGIN CERTIFICATE-----"),
    *(b"-----END CERTIFICATE-----", b"\x00", b"0Z", b"+0100"),
]
FAULTS = [
    Fault("tls/x509.py", '("19" if int(text[:2]) >= 50 else "20")', '("19" if int(text[:2]) > 50 else "20")'),
    Fault(
        "tls/x509.py", "(_, kind), *_, (_, value) = _parts(extension)", "(_, kind), (_, value), *_ = _parts(extension)"
    ),
    Fault("tls/x509.py", "    except (IndexError, ValueError):\n", "    except ValueError:\n"),
]
