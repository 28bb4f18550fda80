"""WebSocket on one connection: the handshake (RFC 6455 section 4), frames (section 5), compression (RFC 7692).

wsproto does the work. Ordinary frames, which are nearly all, are read here without it: data of a whole message in one
frame, pings and pongs. With the first frame that is anything else, wsproto gets that and everything after it. So there
is one place that decides what is allowed, and the usual case costs a third.

Compressed messages are wsproto's, with an extension (`Deflate`) that bounds what a message may grow to, and that keeps
little memory for each connection.

Where the package `websockets` is installed, its C function takes the mask off: 0.1 µs for 1 KiB instead of 2, and
1.4 µs for 64 KiB instead of 60.
"""

import re
import zlib
from codecs import utf_8_decode
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from io import BytesIO, StringIO
from typing import Any, cast

from wsproto.connection import SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits, XorMaskerSimple
from wsproto.utilities import generate_accept_token

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.fields import TOKEN
from snakepit.http.types import Headers

VERSION = b"13"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_PARAMETER = re.compile(
    r"(server|client)_(no_context_takeover|max_window_bits)(?:\s*=\s*(\"?)(?P<bits>[89]|1[0-5])\3)?", re.ASCII
)

WINDOW_BITS = 12
"""4 KiB of window for compressing, as most of what is sent is small; zlib's 32 KiB take 256 KiB for each connection."""

_MEMORY_LEVEL = 5  # zlib's; with WINDOW_BITS a compressor takes 32 KiB
_WORTH_COMPRESSING = 64  # bytes
_WHOLE = 256 * 1024  # bytes; a larger frame is wsproto's, which takes it piece by piece
_LONG = 2048  # bytes; less is unmasked faster as one number
_STEP = 16 * 1024  # bytes that wsproto gets at once
_AT_ONCE = 256  # ordinary messages that are read at once

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # a frame's first byte, if it is the whole message


@dataclass(slots=True)
class Message:
    """A whole message: text, or bytes."""

    data: str | bytes


@dataclass(slots=True)
class Closed:
    """The other side has closed, or broke the protocol (`failed`): nothing more will be read.

    `code` as in RFC 6455 section 7.4, 1005 if there was none. A close frame is to be sent in answer, with this code.
    """

    code: int
    reason: str
    failed: bool = False


@dataclass(slots=True)
class Alive:
    """A pong came."""


type WebSocketEvent = Message | Closed | Alive


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's wish for a WebSocket: what the answer depends on."""

    key: bytes
    offers: tuple[str, ...]
    """Extensions, in the client's order."""

    def response(self, subprotocol: str | None, deflate: "Deflate | None", fields: bytes) -> bytes:
        """The 101 response; `fields`: lines of more header fields. Tells `deflate` what was agreed on."""
        lines = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            generate_accept_token(self.key),
            b"\r\n",
        ]
        if subprotocol is not None:
            lines.append(b"Sec-WebSocket-Protocol: %s\r\n" % subprotocol.encode("ascii"))
        if deflate is not None:
            for offer in self.offers:
                parameters = deflate.accept(offer)
                if isinstance(parameters, str):
                    lines.append(b"Sec-WebSocket-Extensions: %s\r\n" % parameters.encode("ascii"))
                    break
        return b"".join((*lines, fields, b"\r\n"))


def wants_websocket(head: RequestHead) -> bool:
    """Whether a request asks to become a WebSocket. HTTP/1.0 can't (RFC 9110 section 7.8)."""
    return head.http_version == "1.1" and b"websocket" in _options(head.headers, b"upgrade")


def check_handshake(head: RequestHead) -> Handshake:
    """Read a request that asks for a WebSocket. Raises RemoteProtocolError, with 400 or 426."""
    headers = head.headers
    if head.method != "GET":
        raise RemoteProtocolError("a WebSocket handshake must be a GET request")
    if b"upgrade" not in _options(headers, b"connection"):
        raise RemoteProtocolError("a WebSocket handshake must say Connection: Upgrade")
    versions = _values(headers, b"sec-websocket-version")
    if versions != [VERSION]:
        raise RemoteProtocolError(
            "only WebSocket version 13 is spoken here",
            426 if versions else 400,
            ((b"upgrade", b"websocket"), (b"sec-websocket-version", VERSION)),
        )
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise RemoteProtocolError("a WebSocket handshake must have one Sec-WebSocket-Key of 16 bytes in base64")
    if any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers):
        raise RemoteProtocolError("a WebSocket handshake must have no body")
    for protocol in _elements(headers, b"sec-websocket-protocol"):
        if not TOKEN.fullmatch(protocol):
            raise RemoteProtocolError("a WebSocket handshake's subprotocols must be tokens")
    offers = [offer.decode("latin-1") for offer in _elements(headers, b"sec-websocket-extensions")]
    return Handshake(keys[0], tuple(offers))


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value.strip() for known, value in headers if known == name]


def _elements(headers: Headers, name: bytes) -> list[bytes]:
    """A list-valued field's elements, over all its lines (RFC 9110 section 5.6.1)."""
    elements = (element.strip() for value in _values(headers, name) for element in value.split(b","))
    return [element for element in elements if element]


def _options(headers: Headers, name: bytes) -> set[bytes]:
    return {element.lower() for element in _elements(headers, name)}


class Deflate(PerMessageDeflate):
    """permessage-deflate (RFC 7692) with bounds: on what a message grows to, and on memory.

    Args:
        max_size: bytes of a message.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__(client_max_window_bits=15, server_max_window_bits=WINDOW_BITS)
        self._max_size = max_size
        self._size = 0  # of the message that is being read

    def end(self) -> None:
        """Let go of zlib's memory; the connection is closed."""
        self._compressor = self._decompressor = None

    def accept(self, offer: str) -> bool | str | None:
        """Answer an offer: the parameters agreed on; None if it can't be agreed to."""
        name, *given = (part.strip() for part in offer.split(";"))
        parameters: dict[str, int | None] = {}
        for text in given:
            found = _PARAMETER.fullmatch(text)
            if found is None:
                return None
            key = f"{found[1]}_{found[2]}"
            bits = int(found["bits"]) if found["bits"] else None
            if key in parameters or (bits is not None and found[2] != "max_window_bits"):
                return None
            parameters[key] = bits
        server_bits = parameters.get("server_max_window_bits", 15)
        if name != self.name or server_bits is None or server_bits < 9:  # zlib can't do 8
            return None
        self.server_max_window_bits = min(server_bits, WINDOW_BITS)
        answer = [self.name, f"server_max_window_bits={self.server_max_window_bits}"]
        if "client_max_window_bits" in parameters:
            self.client_max_window_bits = max(9, min(parameters["client_max_window_bits"] or 15, WINDOW_BITS))
            if (parameters["client_max_window_bits"] or 15) >= 9:
                answer.append(f"client_max_window_bits={self.client_max_window_bits}")
        self.server_no_context_takeover = "server_no_context_takeover" in parameters
        self.client_no_context_takeover = "client_no_context_takeover" in parameters
        answer += [key for key in parameters if key.endswith("no_context_takeover")]
        self._enabled = True
        return "; ".join(answer)

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """A frame begins. A control frame is no part of a message, and may stand within one."""
        if opcode.iscontrol():
            self._inbound_is_compressible = False
            return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else RsvBits(True, False, False)
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Inflate, as far as a message may grow."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        return self._inflate(data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """The end of a frame, and perhaps of a message."""
        if not fin or not self._inbound_is_compressible:
            return None
        compressed, self._inbound_compressed = self._inbound_compressed, None
        if not compressed:
            return None
        inflated = self._inflate(b"\x00\x00\xff\xff")  # RFC 7692 section 7.2.2
        self._size = 0
        if self.client_no_context_takeover:
            self._decompressor = None
        return inflated

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        pieces = []
        while True:
            if self._decompressor is None:
                self._decompressor = zlib.decompressobj(-self.client_max_window_bits)
            try:
                piece = self._decompressor.decompress(data, self._max_size - self._size + 1)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._size += len(piece)
            if self._size > self._max_size:
                return CloseReason.MESSAGE_TOO_BIG
            pieces.append(piece)
            if not self._decompressor.eof:
                return b"".join(pieces)
            # a block was marked as the last (RFC 7692 section 7.2.3.5): to zlib that is the end, here more may follow
            data, self._decompressor = self._decompressor.unused_data, None
            if not data:
                return b"".join(pieces)

    def compress(self, data: bytes) -> bytes | None:
        """A whole message, compressed; None if it is to be sent as it is."""
        if len(data) < _WORTH_COMPRESSING:
            return None
        if self._compressor is None:
            self._compressor = zlib.compressobj(
                zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -self.server_max_window_bits, _MEMORY_LEVEL
            )
        compressed = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if self.server_no_context_takeover:
            self._compressor = None
        return compressed[:-4]  # RFC 7692 section 7.2.1


class WebSocketProtocol:
    """The frames of one connection, after the handshake. The four verbs are those of `snakepit.http.events`.

    Args:
        max_size: bytes of a message; a larger one ends the connection with 1009.
        deflate: what was agreed on; None: nothing is compressed.
    """

    __slots__ = (
        "_buffer",
        "_checked",
        "_deflate",
        "_failed",
        "_library",
        "_max_size",
        "_output",
        "_parts",
        "_size",
        "closing",
        "pending",
    )

    def __init__(self, max_size: int, deflate: Deflate | None) -> None:
        self._max_size = max_size
        self._deflate = deflate if deflate is not None and deflate.enabled() else None
        self._buffer = b""
        self._library: Connection | None = None  # once something came that is not ordinary
        self._checked = 0  # bytes of a text that is still coming that are known to be UTF-8
        self._parts: Any = None  # of a message that comes in several frames: a StringIO or BytesIO
        self._size = 0
        self._output: list[bytes] = []
        self._failed = False
        self.closing = False  # a close frame was sent
        self.pending = False  # more came than was read: `events_received` is to be called again

    @property
    def closed(self) -> bool:
        """Whether both sides have sent a close frame, or the other side broke the protocol."""
        return self._failed or (self._library is not None and self._library.state is ConnectionState.CLOSED)

    def receive_data(self, data: bytes) -> None:
        """Take bytes that came from the client."""
        self._buffer = self._buffer + data if self._buffer else data

    def events_received(self) -> list[WebSocketEvent]:
        """What came, or the first of it (`pending`); pings are answered. After a Closed nothing more comes.

        What one read of a socket holds may grow a thousandfold by inflating, or be thousands of messages. So it is
        read bit by bit, and whoever asks can stop asking.
        """
        events: list[WebSocketEvent] = []
        self.pending = False
        if self._library is None and not self._read_ordinary(events):
            self._use_library()
        if self._library is not None:
            data, at = self._buffer, 0
            while at < len(data) and not events and self._receives(self._library):
                self._read_with_library(self._library, data[at : at + _STEP], events)
                at += _STEP
            self._buffer = data[at:] if self._receives(self._library) else b""
            self.pending = bool(self._buffer)
        return events

    def send_message(self, data: str | bytes) -> None:
        """Send a whole message."""
        payload, first = (data, BINARY) if isinstance(data, bytes) else (data.encode(), TEXT)
        if self._deflate is not None:
            compressed = self._deflate.compress(payload)
            if compressed is not None:
                payload, first = compressed, first | 0x40
        self._output += _frame(first, payload)

    def send_ping(self) -> None:
        """Ask for a pong."""
        self._output += _frame(PING, b"")

    def send_close(self, code: int, reason: str) -> None:
        """Send a close frame, or answer the other side's; `code` 1005: without a code."""
        if self.closing:
            return
        self.closing = True
        event = CloseConnection(code=CloseReason.NO_STATUS_RCVD if code == 1005 else code, reason=reason or None)
        self._output.append(bytes(self._use_library().send(event)))

    def data_to_send(self) -> list[bytes]:
        """What the client must get, since the last call, in pieces."""
        data, self._output = self._output, []
        return data

    def end(self) -> None:
        """Let go of what takes memory; the connection is closed.

        A parser of wsproto's refers to itself, and so stays until the garbage collector runs, with what it refers to.
        """
        if self._deflate is not None:
            self._deflate.end()

    def _use_library(self) -> Connection:
        if self._library is None:
            self._library = Connection(SERVER, [self._deflate] if self._deflate is not None else [])
        return self._library

    def _receives(self, library: Connection) -> bool:
        return not self._failed and library.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)

    def _read_ordinary(self, events: list[WebSocketEvent]) -> bool:
        """Read frames as long as they are ordinary; False where one is not."""
        data, at = self._buffer, 0
        size, longest = len(data), min(_WHOLE, self._max_size)
        ordinary = True
        while size - at >= 2:
            first, second = data[at], data[at + 1]
            length, head = second & 0x7F, 6
            if length == 126 and first in (TEXT, BINARY):
                head = 8
                if size - at >= 4:
                    length = int.from_bytes(data[at + 2 : at + 4])
                    ordinary = length > 125
            elif length > 125 or first not in (TEXT, BINARY, PING, PONG):
                ordinary = False
            if not ordinary or not second & 0x80 or length > longest:
                ordinary = False
                break
            end = at + head + length
            if end > size:
                if first == TEXT and size > at + head:
                    ordinary = self._text_so_far(data[at + head - 4 : at + head], data, at + head)
                break
            payload = _unmask(data[at + head - 4 : at + head], data[at + head : end])
            if first == TEXT:
                try:
                    events.append(Message(payload.decode()))
                except UnicodeDecodeError:  # wsproto says so in its own words
                    ordinary = False
                    break
            elif first == BINARY:
                events.append(Message(payload))
            elif first == PING:
                self._pong(payload)
            else:
                events.append(Alive())
            at = end
            self._checked = 0
            if len(events) >= _AT_ONCE:
                self.pending = at < size
                break
        self._buffer = data[at:] if at else data
        return ordinary

    def _text_so_far(self, mask: bytes, data: bytes, start: int) -> bool:
        """Whether what has come of a text, from `start` on, can be UTF-8: one that can't is refused at once."""
        shift = self._checked & 3
        part = _unmask(mask[shift:] + mask[:shift], data[start + self._checked :])
        try:
            self._checked += utf_8_decode(part, "strict", False)[1]
        except UnicodeDecodeError:
            return False
        return True

    def _read_with_library(self, library: Connection, data: bytes, events: list[WebSocketEvent]) -> None:
        library.receive_data(data)
        for event in library.events():
            if isinstance(event, TextMessage | BytesMessage):
                if not self._add(event, events):
                    return
            elif isinstance(event, Ping):
                self._pong(bytes(event.payload))
            elif isinstance(event, Pong):
                events.append(Alive())
            elif isinstance(event, CloseConnection):
                if library.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
                    self._fail(event.code, event.reason or "", events)
                else:
                    events.append(Closed(int(event.code), event.reason or ""))
                return

    def _add(self, event: TextMessage | BytesMessage, events: list[WebSocketEvent]) -> bool:
        """Put a message together; False where it grows too large."""
        data = event.data if isinstance(event, TextMessage) else bytes(event.data)
        self._size += len(data.encode()) if isinstance(data, str) and not data.isascii() else len(data)
        if self._size > self._max_size:
            self._fail(CloseReason.MESSAGE_TOO_BIG, f"a message may have {self._max_size} bytes", events)
            return False
        if self.closing:
            pass  # what comes after our close frame is for nobody
        elif self._parts is None and event.message_finished:
            events.append(Message(data))
        else:
            if self._parts is None:
                self._parts = StringIO() if isinstance(data, str) else BytesIO()
            self._parts.write(data)
            if event.message_finished:
                events.append(Message(self._parts.getvalue()))
        if event.message_finished:
            self._parts, self._size = None, 0
        return True

    def _pong(self, payload: bytes) -> None:
        if not self.closing:
            self._output += _frame(PONG, payload)

    def _fail(self, code: int, reason: str, events: list[WebSocketEvent]) -> None:
        self._failed = True
        self._parts = None
        events.append(Closed(int(code), reason, failed=True))


def _frame(first: int, payload: bytes) -> list[bytes]:
    """A frame from a server, which masks nothing (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return [bytes((first, size)) + payload]
    if size < 65536:
        return [b"%c\x7e%b%b" % (first, size.to_bytes(2), payload)]
    return [b"%c\x7f%b" % (first, size.to_bytes(8)), payload]


def _unmask(mask: bytes, data: bytes) -> bytes:
    if _apply_mask is not None:
        return _apply_mask(data, mask)
    size = len(data)
    if size >= _LONG:
        return bytes(XorMaskerSimple(mask).process(bytearray(data)))
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


def _load_apply_mask() -> Callable[[bytes, bytes], bytes] | None:
    """The C function of `websockets`, loaded without the package, whose own import takes 10 ms and more."""
    package = find_spec("websockets")
    spec = PathFinder.find_spec("websockets.speedups", package.submodule_search_locations) if package else None
    if spec is None or spec.loader is None:
        return None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return cast("Callable[[bytes, bytes], bytes]", module.apply_mask)


_apply_mask = _load_apply_mask()
