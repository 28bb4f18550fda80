"""WebSocket frames, with and without compression: what is read here is what wsproto reads, however it comes."""

import zlib

from fuzz.target import Fault, expect, splits
from snakepit.http.ws.deflate import Deflate
from snakepit.http.ws.frames import Alive, Closed, Message, WebSocketEvent, WebSocketProtocol

MOST = 3000
"""Bytes of a message; small, so that inputs reach it, by compression at least."""

OFFERS = (
    "",
    "permessage-deflate",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_max_window_bits=9",
)


def check(data: bytes) -> None:
    """Read frames in several splits, and by wsproto alone. The first two bytes say which offer, and how it is cut."""
    offer = OFFERS[data[0] % len(OFFERS)] if data else ""
    salt, stream = data[1] if len(data) > 1 else 0, data[2:]
    expected = _read([stream], offer, library=True)
    for pieces in splits(stream, salt):
        read = _read(pieces, offer)
        expect(read == expected, f"reads in pieces of {[len(piece) for piece in pieces]}", read, "not", expected)
    _speak(stream, offer)


def _read(pieces: list[bytes], offer: str, library: bool = False) -> tuple[list[WebSocketEvent], bytes]:
    """Return the events, and the answers to pings; of a failure only its code."""
    deflate = Deflate(MOST) if offer else None
    if deflate is not None:
        expect(deflate.accept(offer), "an offer is refused", offer)
    protocol = WebSocketProtocol(MOST, deflate)
    if library:
        protocol._use_library()
    events: list[WebSocketEvent] = []
    for piece in pieces:
        protocol.receive_data(piece)
        _take(protocol, events)
        while protocol.pending and not protocol.closed:
            _take(protocol, events)
    protocol.end()
    for event in events:
        if isinstance(event, Message):
            size = len(event.data if isinstance(event.data, bytes) else event.data.encode())
            expect(size <= MOST, "a message over the limit", size)
        if isinstance(event, Closed):
            expect(event is events[-1], "something after a close", events)
            expect(1000 <= event.code < 5000, "an odd code", event.code)
            event.reason = "" if event.failed else event.reason
            if event.code == 1007:  # of two faults wsproto finds this or the other first, by how they come
                event.code = 1002
    return events, b"".join(protocol.data_to_send())


def _speak(data: bytes, offer: str) -> None:
    """Have a client that is right say the bytes in several messages, and the server say them back."""
    agreed = Deflate(MOST) if offer else None
    if agreed is not None:
        agreed.accept(offer)
    protocol = WebSocketProtocol(MOST, agreed)
    compressor, bits = None, -agreed.client_max_window_bits if agreed is not None else 0
    for message in (piece * 9 for piece in (data[at : at + 300] for at in range(0, len(data), 300))):
        first, payload = 0x82, message
        if agreed is not None:
            compressor = compressor or zlib.compressobj(wbits=bits)
            first, payload = 0xC2, (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
            compressor = None if agreed.client_no_context_takeover else compressor
        protocol.receive_data(_frame(first, payload, b"abcd"))
        events = protocol.events_received()
        expect(events == [Message(message)], "another message", events, message)
        protocol.send_message(message)
    said = b"".join(protocol.data_to_send())
    inflater = zlib.decompressobj(wbits=-agreed.server_max_window_bits) if agreed is not None else None
    for message in (piece * 9 for piece in (data[at : at + 300] for at in range(0, len(data), 300))):
        size, at = said[1], 2
        if size == 126:
            size, at = int.from_bytes(said[2:4]), 4
        payload, first, said = said[at : at + size], said[0], said[at + size :]
        if first & 0x40:
            assert inflater is not None
            payload = inflater.decompress(payload + b"\0\0\xff\xff")
        expect((first & 0xBF, payload) == (0x82, message), "another message comes back", payload, message)
    protocol.end()


def _take(protocol: WebSocketProtocol, events: list[WebSocketEvent]) -> None:
    new = protocol.events_received()
    expect(all(isinstance(event, Message | Closed | Alive) for event in new), "odd events", new)
    events += new


def _frame(first: int, payload: bytes, mask: bytes = b"\0\0\0\0") -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


_HELLO = _frame(0x81, "hellö".encode(), b"abcd")
SEEDS = [
    b"\x01\x00" + b"abc" * 300,
    b"\x00\x00\x82\xfe\x00\x05\0\0\0\0hello",
    b"\x00\x00" + _HELLO + _frame(0x82, b"\x00\xff") + _frame(0x89, b"ping") + _frame(0x8A, b"") + _HELLO,
    b"\x00\x04" + _frame(0x01, b"he") + _frame(0x89, b"") + _frame(0x00, b"ll") + _frame(0x80, b"o") + _HELLO,
    b"\x00\x03" + _frame(0x82, b"x" * 200) + _frame(0x88, b"\x03\xe8bye") + _HELLO,
    b"\x01\x00" + _frame(0xC1, _deflated(b"hello hello hello")) + _HELLO + _frame(0xC2, _deflated(b"a" * 500)),
    b"\x02\x07" + _frame(0x41, _deflated(b"hello")[:4]) + _frame(0x80, _deflated(b"hello")[4:]) + _HELLO,
    b"\x03\x05" + _frame(0xC2, _deflated(b"a" * 4000)) + _frame(0x88, b""),
    b"\x00\x0b" + _frame(0x81, b"\xc3") + _frame(0x83, b"") + _frame(0x81, b""),
    b"\x00\x02" + b"\x82\xff\0\0\0\0\0\x01\0\0abcd" + b"x" * 100,
]
WORDS = [
    *(
        bytes([first, second])
        for first in (0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x00, 0x80, 0xC1)
        for second in (0x80, 0x85, 0xFE, 0xFF, 0x05)
    ),
    *(b"\0\0\0\0", b"\xed\xa0\x80", b"\xf4\x90", b"\xc3\xa9", b"\x03\xe8", b"\x00\x00\xff\xff", b"\xf0\x9f"),
]
FAULTS = [
    Fault(
        "http/ws/frames.py",
        "elif length > 125 or first not in (TEXT, BINARY, PING, PONG):",
        "elif first not in (TEXT, BINARY, PING, PONG):",
    ),
    Fault("http/ws/frames.py", "if not ordinary or not second & 0x80 or length", "if not ordinary or length"),
    Fault("http/ws/frames.py", "ordinary = length > 125\n", "ordinary = True\n"),
    Fault("http/ws/deflate.py", "        self._size = 0\n        if self.client", "        if self.client"),
    Fault("http/ws/deflate.py", "return compressed[:-4]", "return compressed[:-3]"),
]
