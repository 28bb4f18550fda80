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
    message = _message(memoryview(data))
    if message is None:
        return None
    try:
        return _read(_Reader(message))
    except _Ended:
        return ClientHello()


def _message(data: memoryview) -> memoryview | None:
    """Return the first handshake message, which may be spread over records (RFC 8446 section 5.1).

    None: more has to come. Raises NotTls.
    """
    message = bytearray()
    while data:
        if data[0] != _HANDSHAKE_RECORD or (len(data) > 1 and data[1] != 3):
            raise NotTls("what came is not TLS")
        if len(data) < 5:
            return None
        size = int.from_bytes(data[3:5])
        if not 0 < size <= _MOST_IN_RECORD:
            raise NotTls(f"a TLS record can't have {size} bytes")
        message += data[5 : 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls("the first message of TLS is not a ClientHello")
        if len(message) >= 4:
            whole = 4 + int.from_bytes(message[1:4])
            if whole > LARGEST:
                raise NotTls(f"the ClientHello is longer than {LARGEST} bytes")
            if len(message) >= whole:
                return memoryview(message)[4:whole]
        data = data[5 + size :]
    return None


class _Ended(Exception):
    """A length reaches beyond the end."""


class _Reader:
    """Reads parts one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, size: int) -> memoryview:
        if size > len(self._data):
            raise _Ended
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def part(self, size_of_length: int) -> "_Reader":
        """Take a part that has its length before it."""
        return _Reader(self.take(self.number(size_of_length)))

    def rest(self) -> bytes:
        return bytes(self._data)


def _read(hello: _Reader) -> ClientHello:
    hello.take(2 + 32)  # version and random
    hello.part(1)  # session
    hello.part(2)  # cipher suites
    hello.part(1)  # compression
    name = ""
    protocols: tuple[bytes, ...] = ()
    extensions = hello.part(2) if hello else hello
    while extensions:
        kind, value = extensions.number(2), extensions.part(2)
        if kind == _SERVER_NAME:
            name = _server_name(value.part(2))
        elif kind == _ALPN:
            protocols = tuple(_protocols(value.part(2)))
    return ClientHello(name, protocols)


def _server_name(names: _Reader) -> str:
    while names:
        kind, name = names.number(1), names.part(2).rest()
        if kind == _HOST_NAME:
            return host_name(name)
    return ""


def _protocols(names: _Reader) -> list[bytes]:
    found = []
    while names:
        found.append(names.part(1).rest())
    return found


def host_name(name: bytes) -> str:
    """Return a host's name as certificates are looked up by it; empty for what can't be one."""
    text = name.decode("latin-1").lower().removesuffix(".")
    labels = text.split(".")
    if len(text) > _LONGEST_NAME or not all(labels) or not text.isascii():
        return ""
    return text if text.replace("-", "").replace(".", "").replace("_", "").isalnum() else ""
