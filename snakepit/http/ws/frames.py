"""Reads and writes the frames of a WebSocket (RFC 6455 section 5), after the handshake.

Ordinary frames, which are nearly all, are read here: data of a whole message in one frame, pings and pongs. From the
first other frame on, wsproto reads everything. So one library decides what is allowed, and the usual case costs a
third.
"""

from codecs import utf_8_decode
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

from wsproto.connection import SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from snakepit.http.ws.deflate import Deflate
from snakepit.http.ws.masking import unmask

_WHOLE = 256 * 1024  # bytes; a larger frame is wsproto's, which takes it piece by piece
_STEP = 16 * 1024  # bytes that wsproto gets at once
_AT_ONCE = 256  # ordinary messages that are read at once

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # first byte of a frame that is a whole message


@dataclass(slots=True)
class Message:
    """A whole message: text, or bytes."""

    data: str | bytes


@dataclass(slots=True)
class Closed:
    """The other side has closed, or broke the protocol (`failed`): nothing more is read.

    `code` as in RFC 6455 section 7.4, 1005 if there was none. The answer is a close frame with this code.
    """

    code: int
    reason: str
    failed: bool = False


@dataclass(slots=True)
class Alive:
    """A pong came."""


type WebSocketEvent = Message | Closed | Alive


class WebSocketProtocol:
    """The frames of one connection, after the handshake. The four verbs are those of `snakepit.http.events`.

    Args:
        max_size: bytes of a message; a larger one ends the connection with 1009.
        deflate: the agreed compression; None: no compression.
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
        """Feed bytes that came from the client."""
        self._buffer = self._buffer + data if self._buffer else data

    def events_received(self) -> list[WebSocketEvent]:
        """Return the next events, and answer pings; if there are more, `pending` is set. After a Closed nothing more
        comes.

        The bytes of one read of a socket may grow a thousandfold by decompression, or contain thousands of messages. So
        they are parsed in parts, and the caller can stop asking.
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
        """Return the bytes for the client, in pieces, from all that was sent since the last call."""
        data, self._output = self._output, []
        return data

    def end(self) -> None:
        """Release memory; the connection is closed.

        A parser of wsproto refers to itself, so it stays until the garbage collector runs, with everything that it
        refers to.
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
        """Read frames as long as they are ordinary; returns False at one that is not."""
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
            payload = unmask(data[at + head - 4 : at + head], data[at + head : end])
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
        """Tell whether a partial text, from `start` on, can be UTF-8, so that one that can't is refused at once."""
        shift = self._checked & 3
        part = unmask(mask[shift:] + mask[:shift], data[start + self._checked :])
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
        """Add a part to a message; returns False if the message grows too large."""
        data = event.data if isinstance(event, TextMessage) else bytes(event.data)
        self._size += len(data.encode()) if isinstance(data, str) and not data.isascii() else len(data)
        if self._size > self._max_size:
            self._fail(CloseReason.MESSAGE_TOO_BIG, f"a message may have {self._max_size} bytes", events)
            return False
        if self.closing:
            pass  # messages after our close frame are discarded
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
    """Make a frame of a server, which is not masked (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return [bytes((first, size)) + payload]
    if size < 65536:
        return [b"%c\x7e%b%b" % (first, size.to_bytes(2), payload)]
    return [b"%c\x7f%b" % (first, size.to_bytes(8)), payload]
