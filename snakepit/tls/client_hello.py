"""The ClientHello: what a client says before a TLS handshake (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2).

It is read before OpenSSL gets it, because the server's name and the application protocols that it names decide which
certificate is shown, and that certificate may have to be made first. OpenSSL's own call for the name can't wait, and is
not told the protocols. What is wrong with a ClientHello is left for OpenSSL to refuse, with the right alert: here only
that is read which is needed.
"""

from dataclasses import dataclass

from snakepit.errors import SnakepitError

LARGEST = 32 * 1024
"""Bytes; the largest ClientHello that is taken. Those of browsers, with keys for post-quantum cryptography, have less
than 3 KiB."""

MOST_RECORDS = 64
"""Records that a ClientHello may be spread over. With each piece that comes all of them are read again, so that a few
bytes in each would make the server work much for little."""

_HANDSHAKE_RECORD, _CLIENT_HELLO = 22, 1
_MOST_IN_RECORD = 16_384  # RFC 8446 section 5.1
_SERVER_NAME, _ALPN = 0, 16  # RFC 6066 section 3, RFC 7301 section 3.1
_HOST_NAME = 0
_LONGEST_NAME = 253


class NotTls(SnakepitError):
    """What comes is no ClientHello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What is needed of a ClientHello.

    Args:
        server_name: in lower case and without a final dot; empty if none is named, or none that can be a host's name.
        protocols: the application protocols that the client offers, in its order.
    """

    server_name: str = ""
    protocols: tuple[bytes, ...] = ()


def read_client_hello(data: bytes | bytearray) -> ClientHello | None:
    """Read what a client has sent from the beginning of a connection; None: more has to come.

    Raises NotTls.
    """
    message = _message(data)
    if message is None:
        return None
    try:
        return _read(message)
    except IndexError:
        return ClientHello()


def _message(data: bytes | bytearray) -> bytes | None:
    """Return the first handshake message without its header; it may be spread over records (RFC 8446 section 5.1).

    None: more has to come. Raises NotTls.
    """
    message, at, records = b"", 0, 0
    while at < len(data):
        records += 1
        if records > MOST_RECORDS:
            raise NotTls(f"the ClientHello comes in more than {MOST_RECORDS} records")
        if data[at] != _HANDSHAKE_RECORD or data[at + 1 : at + 2] not in (b"", b"\x03"):
            raise NotTls("what came is not TLS")
        if len(data) < at + 5:
            return None
        size = _number(data, at + 3)
        if not 0 < size <= _MOST_IN_RECORD:
            raise NotTls(f"a TLS record can't have {size} bytes")
        message += data[at + 5 : at + 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls("the first message of TLS is not a ClientHello")
        if len(message) >= 4:
            whole = 4 + int.from_bytes(message[1:4])
            if whole > LARGEST:
                raise NotTls(f"the ClientHello is longer than {LARGEST} bytes")
            if len(message) >= whole:
                return bytes(message[4:whole])
        at += 5 + size
    return None


def _read(hello: bytes) -> ClientHello:
    """Read the message without its header. Raises IndexError where a length reaches beyond the end."""
    at = 2 + 32  # behind version and random
    at += 1 + hello[at]  # the session
    at += 2 + _number(hello, at)  # cipher suites
    at += 1 + hello[at]  # compression
    name = ""
    protocols: tuple[bytes, ...] = ()
    end = at + 2 + _number(hello, at) if at < len(hello) else at
    at += 2
    while at < end:
        kind, begin = _number(hello, at), at + 4
        at = begin + _number(hello, at + 2)
        if at > len(hello):
            raise IndexError
        if kind == _SERVER_NAME:
            name = _server_name(hello[begin + 2 : at])
        elif kind == _ALPN:
            protocols = _protocols(hello[begin + 2 : at])
    return ClientHello(name, protocols)


def _number(data: bytes | bytearray, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _server_name(names: bytes) -> str:
    at = 0
    while at < len(names):
        end = at + 3 + _number(names, at + 1)
        if names[at] == _HOST_NAME:
            return host_name(names[at + 3 : end]) if end <= len(names) else ""
        at = end
    return ""


def _protocols(names: bytes) -> tuple[bytes, ...]:
    found, at = [], 0
    while at < len(names):
        end = at + 1 + names[at]
        found.append(names[at + 1 : end])
        at = end
    return tuple(found)


def host_name(name: bytes) -> str:
    """Return a host's name as certificates are looked up by it; empty for what can't be one."""
    text = name.decode("latin-1").lower().removesuffix(".")
    labels = text.split(".")
    if len(text) > _LONGEST_NAME or not all(labels) or not text.isascii():
        return ""
    return text if text.replace("-", "").replace(".", "").replace("_", "").isalnum() else ""
