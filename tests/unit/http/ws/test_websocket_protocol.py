"""snakepit.http.ws: the handshake, frames beside wsproto's own reading of them, and compression."""

import os
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.ws.deflate import WINDOW_BITS, Deflate
from snakepit.http.ws.frames import BINARY, CLOSE, PING, PONG, TEXT, Alive, Closed, Message, WebSocketProtocol
from snakepit.http.ws.handshake import Handshake, check_handshake, wants_websocket

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
MAX = 1_000_000
CONTINUATION = 0x80
MORE = 0x7F  # a first byte and this: the message goes on in another frame
COMPRESSED = 0x40

# -- the handshake ---------------------------------------------------------------------------------------------------

GOOD = [
    (b"host", b"test"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
]


def head(*more, method="GET", version="1.1", without=(), **replaced):
    fields = {name.replace("_", "-").encode(): value for name, value in replaced.items()}
    headers = [(name, fields.get(name, value)) for name, value in GOOD if name not in without]
    return RequestHead(method, b"/", version, [*headers, *more], False, upgrade=True)


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(upgrade=b"WebSocket", connection=b"keep-alive, UPGRADE"),
        head(upgrade=b"h2c, websocket"),
        head((b"upgrade", b"websocket"), upgrade=b"h2c"),
        head((b"connection", b"upgrade"), connection=b"keep-alive"),
        head((b"content-length", b"0")),
        head(sec_websocket_key=b"  " + KEY + b" "),
    ],
)
def test_a_good_handshake(request_head):
    assert wants_websocket(request_head)
    assert check_handshake(request_head) == Handshake(KEY, ())


@pytest.mark.parametrize(
    "request_head",
    [
        head(version="1.0"),
        head(without=[b"upgrade"]),
        head(upgrade=b"h2c"),
        head(upgrade=b"websockets"),
        head(upgrade=b"web, socket"),
    ],
)
def test_what_does_not_ask_for_a_websocket(request_head):
    assert not wants_websocket(request_head)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head(method="POST"), 400),
        (head(method="HEAD"), 400),
        (head(without=[b"connection"]), 400),
        (head(connection=b"close"), 400),
        (head(without=[b"sec-websocket-version"]), 400),
        (head(sec_websocket_version=b"8"), 426),
        (head(sec_websocket_version=b"13, 8"), 426),
        (head((b"sec-websocket-version", b"8")), 426),
        (head((b"sec-websocket-version", b"13")), 426),
        (head(sec_websocket_version=b""), 426),
        (head(without=[b"sec-websocket-key"]), 400),
        (head((b"sec-websocket-key", KEY)), 400),
        (head(sec_websocket_key=b""), 400),
        (head(sec_websocket_key=KEY[:-1]), 400),
        (head(sec_websocket_key=KEY + b"="), 400),
        (head(sec_websocket_key=b"!" + KEY[1:]), 400),
        (head((b"content-length", b"1")), 400),
        (head((b"transfer-encoding", b"chunked")), 400),
        (head((b"sec-websocket-protocol", b"a b")), 400),
        (head((b"sec-websocket-protocol", b"a, b\xe9")), 400),
    ],
)
def test_a_bad_handshake_is_refused(request_head, status):
    assert wants_websocket(request_head)
    with pytest.raises(RemoteProtocolError) as caught:
        check_handshake(request_head)
    assert caught.value.status == status
    assert "WebSocket" in caught.value.reason


def test_what_can_be_spoken_is_named_where_the_version_is_not_known():
    with pytest.raises(RemoteProtocolError) as caught:
        check_handshake(head(sec_websocket_version=b"99"))
    assert dict(caught.value.headers) == {b"sec-websocket-version": b"13", b"upgrade": b"websocket"}


def test_offers_are_read_from_all_lines_in_their_order():
    lines = [(b"sec-websocket-extensions", value) for value in (b"a; x=1, b", b",, c")]
    assert check_handshake(head(*lines)).offers == ("a; x=1", "b", "c")


def test_the_answer_is_that_of_the_rfc():
    answer = Handshake(KEY, ()).response(None, None, b"")
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_answer_names_the_subprotocol_and_has_the_given_lines():
    answer = Handshake(KEY, ()).response("chat", None, b"x-a: 1\r\nx-b: 2\r\n")
    assert answer.endswith(b"\r\nSec-WebSocket-Protocol: chat\r\nx-a: 1\r\nx-b: 2\r\n\r\n")


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in GOOD]), st.binary(max_size=40)), max_size=6))
def test_no_header_makes_a_handshake_raise_anything_else(headers):
    request_head = head(*headers)
    try:
        check_handshake(request_head)
    except RemoteProtocolError as error:
        refused = error.status
    else:
        refused = None
    assert refused in (None, 400, 426)


# -- frames ----------------------------------------------------------------------------------------------------------


def frame(first, payload=b"", mask=b"\x01\x02\x03\x04", length=None):
    """A client's frame; `mask` None: not masked; `length`: said in so many bytes, though it may fit in fewer."""
    size = len(payload)
    if length is None:
        length = 0 if size < 126 else 2 if size < 65536 else 8
    said = bytes([size]) if length == 0 else bytes([126 if length == 2 else 127]) + size.to_bytes(length)
    if mask is None:
        return bytes([first]) + said + payload
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([first, said[0] | 0x80]) + said[1:] + mask + masked


def drain(protocol):
    """All events there are."""
    events = protocol.events_received()
    while protocol.pending:
        events += protocol.events_received()
    return events


def feed(protocol, *pieces):
    events = []
    for piece in pieces:
        protocol.receive_data(piece)
        events += drain(protocol)
    return events


def server(max_size=MAX, deflate=None):
    return WebSocketProtocol(max_size, deflate)


def sent(protocol):
    return b"".join(protocol.data_to_send())


def heard(data, *extensions):
    """What a client makes of what the server sent."""
    client = Connection(CLIENT, list(extensions))
    client.receive_data(data)
    events, parts = [], []
    for event in client.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data)
            if event.message_finished:
                events.append(parts[0][:0].join(parts))
                parts = []
        else:
            events.append(event)
    return events


class Reference:
    """wsproto alone, used plainly."""

    def __init__(self):
        self.connection = Connection(SERVER)
        self.events = []
        self.pongs = []
        self._parts = []
        self._over = False

    def feed(self, data):
        if self._over:
            return
        self.connection.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
                if event.message_finished:
                    self.events.append(self._parts[0][:0].join(self._parts))
                    self._parts = []
            elif isinstance(event, Ping):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, Pong):
                self.events.append("alive")
            else:
                failed = self.connection.state is ConnectionState.OPEN
                self.events.append((int(event.code), failed, "" if failed else event.reason or ""))
                self._over = True


def plain(events):
    """Events as `Reference` has them; a failure's words are not compared."""
    return [
        event.data
        if isinstance(event, Message)
        else "alive"
        if isinstance(event, Alive)
        else (event.code, event.failed, "" if event.failed else event.reason)
        for event in events
    ]


masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=50).map(str.encode) | st.sampled_from([b"", b"x" * 200, "☃".encode() * 50])
payloads = texts | st.binary(max_size=150) | st.sampled_from([b"a" * 125, b"b" * 126, b"c" * 1500, b"\xff" * 1030])
controls = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125), masks)
closes = st.builds(
    lambda code, reason, mask: frame(CLOSE, code.to_bytes(2) + reason.encode()[:123], mask),
    st.sampled_from([1000, 1001, 1005, 1006, 999, 1016, 2999, 3000, 4999, 5000]),
    st.text(max_size=130),
    masks,
) | st.builds(frame, st.just(CLOSE), st.binary(max_size=1), masks)
whole = st.builds(frame, st.just(TEXT), texts, masks) | st.builds(frame, st.just(BINARY), payloads, masks)


@st.composite
def fragmented(draw):
    """A message in several frames, perhaps with control frames in between."""
    payload = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), min_size=1, max_size=3)))
    parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    frames = []
    for index, part in enumerate(parts):
        first = opcode if index == 0 else CONTINUATION
        frames.append(frame(first if index == len(parts) - 1 else first & MORE, part, draw(masks)))
        if index < len(parts) - 1:
            frames += draw(st.lists(controls, max_size=1))
    return b"".join(frames)


odd = st.one_of(
    st.builds(frame, st.integers(0, 255), payloads, masks | st.none()),
    st.builds(lambda payload: frame(TEXT, payload[:125], length=2), payloads),
    st.builds(lambda payload: frame(BINARY, payload, length=8), payloads),
    st.builds(frame, st.just(TEXT), payloads, masks),
    st.binary(max_size=20),
    closes,
)
streams = st.lists(st.one_of(whole, whole, controls, fragmented(), odd), max_size=8).map(b"".join)
cuts = st.lists(st.integers(0, 5000), max_size=10)


def split_at(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@settings(max_examples=200)
@given(streams, cuts)
@example(frame(TEXT, b"", None), [])
@example(b"\x81\x05", [])
@example(b"\x91", [])
@example(b"\x89\xfe", [])
@example(frame(TEXT, b"ab\xff" + b"c" * 50)[:10], [])
@example(frame(TEXT, "☃".encode() * 40)[:-1], [8, 9, 10, 50])
def test_frames_mean_what_they_mean_to_wsproto_however_they_come(data, places):
    protocol, reference = server(), Reference()
    pieces = split_at(data, places)
    events = feed(protocol, *pieces)
    for piece in pieces:
        reference.feed(piece)
    assert plain(events) == reference.events
    assert [bytes(event.payload) for event in heard(sent(protocol))] == reference.pongs


@settings(max_examples=150)
@given(streams, st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), min_size=1, max_size=4), cuts)
def test_mutated_frames_mean_what_they_mean_to_wsproto(data, changes, places):
    changed = bytearray(data or b"\x81\x80")
    for place, change in changes:
        changed[place % len(changed)] ^= change
    protocol, reference = server(), Reference()
    events = feed(protocol, *split_at(bytes(changed), places))
    reference.feed(bytes(changed))
    assert plain(events) == reference.events


@given(streams)
def test_frames_that_come_byte_by_byte(data):
    at_once, slowly = server(), server()
    assert plain(feed(at_once, data)) == plain(feed(slowly, *(data[index : index + 1] for index in range(len(data)))))
    assert sent(at_once) == sent(slowly)


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=300), max_size=5), st.booleans(), st.integers(1, 500))
def test_random_bytes_raise_nothing(pieces, compressing, max_size):
    deflate = Deflate(max_size)
    protocol = server(max_size, deflate)
    if compressing:
        deflate.accept("permessage-deflate")
    events = feed(protocol, *pieces)
    assert not any(isinstance(event, Closed) for event in events[:-1])
    if events and isinstance(events[-1], Closed):
        protocol.send_close(events[-1].code, "")
        assert protocol.closed
        assert feed(protocol, *pieces) == []


@given(st.binary(max_size=200), st.booleans())
def test_random_compressed_bytes_raise_nothing(payload, text):
    protocol = server(1000, agreed("permessage-deflate", 1000)[0])
    for event in feed(protocol, frame((TEXT if text else BINARY) | COMPRESSED, payload)):
        assert isinstance(event, Message) or event.code in (1002, 1007, 1009)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1023, 1024, 65535, 65536, 300_000])
@pytest.mark.parametrize("mask", [b"\x00\x00\x00\x00", b"\xa1\xb2\xc3\xd4"])
def test_messages_of_any_size_come_through(size, mask):
    payload = bytes(index * 7 & 0x7F for index in range(size))
    assert feed(server(), frame(BINARY, payload, mask)) == [Message(payload)]
    assert feed(server(), frame(TEXT, payload, mask)) == [Message(payload.decode())]


def test_a_message_in_many_fragments_with_a_ping_between_them():
    protocol = server()
    parts = [frame(TEXT & MORE, b"a"), frame(PING, b"?"), frame(0, b""), frame(0, b"b"), frame(CONTINUATION, b"c")]
    assert feed(protocol, *parts) == [Message("abc")]
    assert heard(sent(protocol)) == [Pong(payload=b"?")]
    assert feed(protocol, frame(BINARY, b"next")) == [Message(b"next")]


def test_endless_empty_fragments_take_no_memory():
    protocol = server()
    feed(protocol, frame(TEXT & MORE, b"a"))
    empty = frame(0) * 10_000
    feed(protocol, empty)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            feed(protocol, empty)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
    assert feed(protocol, frame(CONTINUATION, b"b")) == [Message("ab")]


def test_what_came_at_once_is_read_in_turns():
    """So that the reader can stop, with thousands of messages in one piece."""
    protocol = server()
    protocol.receive_data(frame(TEXT, b"x") * 1000)
    assert 0 < len(protocol.events_received()) < 1000
    assert protocol.pending
    assert len(drain(protocol)) + 256 == 1000
    assert not protocol.pending


def test_a_ping_is_answered_with_what_it_said():
    protocol = server()
    assert feed(protocol, frame(PING, b"abc"), frame(PING)) == []
    assert sent(protocol) == b"\x8a\x03abc\x8a\x00"


def test_a_pong_is_a_sign_of_life():
    assert feed(server(), frame(PONG, b"abc")) == [Alive()]


# -- limits ----------------------------------------------------------------------------------------------------------

LIMIT = 1000


def in_one_frame(size):
    return frame(TEXT, b"x" * size)


def in_many_frames(size):
    return frame(BINARY & MORE, b"x" * (size // 2)) + frame(0, b"") + frame(CONTINUATION, b"x" * (size - size // 2))


def in_three_bytes_each(size):
    return frame(TEXT, "☃".encode() * (size // 3) + b"x" * (size % 3))


def compressed(size):
    return frame(BINARY | COMPRESSED, deflated(b"x" * size))


def compressed_in_many_frames(size):
    data = deflated(b"x" * size)
    return frame((BINARY | COMPRESSED) & MORE, data[:3]) + frame(CONTINUATION, data[3:])


@pytest.mark.parametrize(
    "make", [in_one_frame, in_many_frames, in_three_bytes_each, compressed, compressed_in_many_frames]
)
@pytest.mark.parametrize("piece", [1, 50, 100_000])
def test_a_message_may_have_so_many_bytes_and_not_one_more(make, piece):
    for size in (LIMIT, LIMIT + 1):
        protocol = server(LIMIT, agreed("permessage-deflate", LIMIT)[0])
        data = make(size)
        events = feed(protocol, *(data[start : start + piece] for start in range(0, len(data), piece)))
        if size == LIMIT:
            (event,) = events
            assert isinstance(event, Message)
            assert len(event.data if isinstance(event.data, bytes) else event.data.encode()) == LIMIT
        else:
            assert plain(events) == [(1009, True, "")]


def test_the_limit_is_for_each_message():
    protocol = server(LIMIT, agreed("permessage-deflate", LIMIT)[0])
    for make in (in_one_frame, compressed, in_many_frames, compressed_in_many_frames, compressed):
        assert len(feed(protocol, make(LIMIT))) == 1


def test_a_bomb_stays_small():
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(compressor.compress(bytes(2**20)) for _ in range(200)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 250_000
    protocol = server(2**20, agreed("permessage-deflate", 2**20)[0])
    tracemalloc.start()
    try:
        events = feed(protocol, frame(BINARY | COMPRESSED, bomb[:-4]))
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert plain(events) == [(1009, True, "")]


def test_many_small_bombs_are_read_one_by_one():
    """A read may hold hundreds of messages that are each within the limit, and together are not."""
    protocol = server(2**20, agreed("permessage-deflate; client_no_context_takeover", 2**20)[0])
    protocol.receive_data(frame(BINARY | COMPRESSED, deflated(bytes(2**20))) * 100)
    assert sum(len(event.data) for event in protocol.events_received()) <= 20 * 2**20
    assert protocol.pending
    assert len(drain(protocol)) > 50


# -- what is not allowed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"a", None),
        frame(CONTINUATION, b"a"),
        frame(TEXT & MORE, b"a") + frame(TEXT, b"b"),
        frame(PING, b"x" * 126),
        frame(PING & MORE, b"x"),
        frame(TEXT | 0x40, b"a"),
        frame(TEXT | 0x20, b"a"),
        frame(BINARY | 0x10, b"a"),
        frame(0x83, b"a"),
        frame(0x8B, b""),
        frame(TEXT, b"short", length=2),
        frame(TEXT, b"x" * 200, length=8),
        b"\x82\xff" + b"\xff" * 8 + bytes(4),
        frame(CLOSE, b"\x03"),
        *(frame(CLOSE, code.to_bytes(2)) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535)),
    ],
)
def test_a_broken_protocol_ends_it_with_1002(data):
    protocol = server()
    *before, last = feed(protocol, data)
    assert before == []
    assert (last.code, last.failed) == (1002, True)
    assert last.reason
    assert sent(protocol) == b"", "it is said only once the app has answered what came before"
    protocol.send_close(last.code, last.reason)
    (close,) = heard(sent(protocol))
    assert close.code == 1002
    assert feed(protocol, frame(TEXT, b"more")) == []
    assert protocol.closed


@pytest.mark.parametrize("bad", [b"\xff", b"a\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x98"])
def test_text_that_is_not_utf_8_ends_it_with_1007(bad):
    for data in (frame(TEXT, bad), frame(TEXT & MORE, bad[:1]) + frame(CONTINUATION, bad[1:])):
        for pieces in ([data], [data[index : index + 1] for index in range(len(data))]):
            assert plain(feed(server(), *pieces)) == [(1007, True, "")]


def test_text_is_refused_before_the_rest_of_it_came():
    assert plain(feed(server(), frame(TEXT, b"a" * 50 + b"\xff" + b"b" * 1000)[:70])) == [(1007, True, "")]
    protocol = server()
    assert feed(protocol, frame(TEXT & MORE, b"ab"), frame(PING, b"")) == []
    assert plain(feed(protocol, frame(0, b"\xf4\x90"))) == [(1007, True, "")]


def test_a_character_may_be_cut_anywhere():
    text = "κόσμε☃𝄞" * 300
    data = frame(TEXT, text.encode())
    for cut in range(8, 60):
        assert feed(server(), data[:cut], data[cut:]) == [Message(text)]
    assert feed(server(), *(data[at : at + 1] for at in range(len(data)))) == [Message(text)]


def test_what_came_before_a_breach_is_told():
    events = feed(server(), frame(TEXT, b"first") + frame(TEXT | 0x20, b"second"))
    assert plain(events) == ["first", (1002, True, "")]


def test_messages_can_be_sent_between_a_breach_and_the_close_frame():
    protocol = server()
    feed(protocol, frame(TEXT, b"first") + frame(TEXT | 0x20, b"second"))
    protocol.send_message("answer")
    protocol.send_close(1002, "why")
    assert heard(sent(protocol)) == ["answer", CloseConnection(code=1002, reason="why")]


# -- closing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999])
def test_the_client_closes(code):
    protocol = server()
    assert feed(protocol, frame(CLOSE, code.to_bytes(2) + "bye ☃".encode())) == [Closed(code, "bye ☃")]
    assert not protocol.closed
    protocol.send_close(code, "")
    assert protocol.closed
    assert sent(protocol) == b"\x88\x02" + code.to_bytes(2)


def test_the_client_closes_without_a_code():
    protocol = server()
    assert feed(protocol, frame(CLOSE)) == [Closed(1005, "")]
    protocol.send_close(1005, "")
    assert sent(protocol) == b"\x88\x00"
    assert protocol.closed


def test_a_close_reason_that_is_not_utf_8():
    assert plain(feed(server(), frame(CLOSE, b"\x03\xe8\xff"))) == [(1007, True, "")]


@pytest.mark.parametrize("before", [b"", frame(TEXT, b"a"), frame(TEXT & MORE, b"a"), frame(TEXT, b"abc")[:7]])
def test_the_server_closes(before):
    """Whatever had come, what comes after is dropped, until the client closes, too."""
    protocol = server()
    feed(protocol, before)
    protocol.send_close(1001, "going")
    protocol.send_close(1000, "a second time")
    assert heard(sent(protocol)) == [CloseConnection(code=1001, reason="going")]
    assert protocol.closing
    assert not protocol.closed
    rest = frame(CONTINUATION, b"b") if before == frame(TEXT & MORE, b"a") else frame(TEXT, b"abc")[7:]
    rest = rest if before and before != frame(TEXT, b"a") else b""
    assert feed(protocol, rest + frame(TEXT, b"late") + frame(PING, b"late")) == []
    assert sent(protocol) == b""
    assert feed(protocol, frame(CLOSE, b"\x03\xe9")) == [Closed(1001, "")]
    assert protocol.closed
    protocol.send_close(1001, "")
    assert sent(protocol) == b""


def test_both_close_at_once():
    protocol = server()
    protocol.receive_data(frame(CLOSE, b"\x03\xe8"))
    protocol.send_close(1012, "")
    assert drain(protocol) == [Closed(1000, "")]
    assert protocol.closed
    assert heard(sent(protocol)) == [CloseConnection(code=1012, reason="")]


def test_a_broken_protocol_after_our_close_frame():
    protocol = server()
    protocol.send_close(1000, "")
    assert plain(feed(protocol, frame(TEXT, b"x", None))) == [(1002, True, "")]
    assert protocol.closed
    assert sent(protocol) == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize("in_one_piece", [True, False])
@pytest.mark.parametrize("first", [b"", frame(TEXT & MORE, b"a")])
def test_what_comes_after_a_close_frame_is_ignored(first, in_one_piece):
    protocol = server()
    pieces = [first, frame(CLOSE, b"\x03\xe8"), frame(TEXT, b"late"), b"\xff" * 100]
    assert feed(protocol, *([b"".join(pieces)] if in_one_piece else pieces)) == [Closed(1000, "")]
    protocol.send_close(1000, "")
    assert feed(protocol, frame(TEXT, b"later"), frame(CLOSE)) == []


def test_a_long_reason_is_cut_between_characters():
    protocol = server()
    protocol.send_close(1000, "☃" * 100)
    assert heard(sent(protocol)) == [CloseConnection(code=1000, reason="☃" * 41)]


# -- what we send ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 63, 64, 125, 126, 65535, 65536, 200_000])
@pytest.mark.parametrize("offer", [None, "permessage-deflate", "permessage-deflate; server_no_context_takeover"])
def test_what_we_send_can_be_read(size, offer):
    deflate, client = agreed(offer, MAX) if offer else (None, None)
    protocol = server(deflate=deflate)
    data = os.urandom(size // 2 + 1).hex()[:size]
    said = [data, data.encode(), "☃" * size, data]
    for message in said:
        protocol.send_message(message)
    protocol.send_ping()
    assert heard(sent(protocol), *([client] if client else [])) == [*said, Ping(payload=b"")]


@given(st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=6), st.sampled_from(["", "_no"]))
def test_what_we_compress_can_be_read(messages, takeover):
    offer = "permessage-deflate" + ("; server_no_context_takeover" if takeover else "")
    deflate, client = agreed(offer, MAX)
    protocol = server(deflate=deflate)
    for message in messages:
        protocol.send_message(message)
    assert heard(sent(protocol), client) == messages


def test_small_messages_are_not_compressed_and_larger_ones_are():
    protocol = server(deflate=agreed("permessage-deflate", MAX)[0])
    protocol.send_message("x" * 63)
    assert sent(protocol)[0] == TEXT
    protocol.send_message(b"x" * 64)
    compressed = sent(protocol)
    assert compressed[0] == BINARY | COMPRESSED
    assert len(compressed) < 20


# -- permessage-deflate ----------------------------------------------------------------------------------------------


def agreed(offer, max_size=MAX):
    """The server's side and the client's of an offer that was accepted."""
    deflate, client = Deflate(max_size), PerMessageDeflate()
    answer = deflate.accept(offer)
    assert isinstance(answer, str)
    client.finalize(answer)
    return deflate, client


def deflated(data, bits=15, compressor=None):
    compressor = compressor or zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def parameters(answer):
    name, *parts = (part.strip() for part in answer.split(";"))
    assert name == "permessage-deflate"
    return dict((*part.split("="), "")[:2] for part in parts)


OURS = {"server_max_window_bits": str(WINDOW_BITS)}


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", OURS),
        ("permessage-deflate; client_max_window_bits", OURS | {"client_max_window_bits": "12"}),
        ("permessage-deflate; client_max_window_bits=15", OURS | {"client_max_window_bits": "12"}),
        ("permessage-deflate; client_max_window_bits=9", OURS | {"client_max_window_bits": "9"}),
        ('permessage-deflate; client_max_window_bits="10"', OURS | {"client_max_window_bits": "10"}),
        ("permessage-deflate; client_max_window_bits=8", OURS),
        ("permessage-deflate; server_max_window_bits=15", OURS),
        ("permessage-deflate; server_max_window_bits=9", {"server_max_window_bits": "9"}),
        ("permessage-deflate;server_max_window_bits = 11 ", {"server_max_window_bits": "11"}),
        ("permessage-deflate; server_no_context_takeover", OURS | {"server_no_context_takeover": ""}),
        ("permessage-deflate; client_no_context_takeover", OURS | {"client_no_context_takeover": ""}),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            "client_max_window_bits=13",
            {
                "server_no_context_takeover": "",
                "client_no_context_takeover": "",
                "server_max_window_bits": "10",
                "client_max_window_bits": "12",
            },
        ),
    ],
)
def test_an_offer_that_is_accepted(offer, answer):
    deflate = Deflate(MAX)
    assert parameters(deflate.accept(offer)) == answer
    assert deflate.enabled()


@pytest.mark.parametrize(
    "offer",
    [
        "x-webkit-deflate-frame",
        "permessage-deflate-2",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=10",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",  # zlib can't
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits="12',
        'permessage-deflate; server_max_window_bits=12"',
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=\u0661\u0662",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10",
        "permessage-deflate;",
        "",
    ],
)
def test_an_offer_that_is_declined(offer):
    deflate = Deflate(MAX)
    assert deflate.accept(offer) is None
    assert not deflate.enabled()


def test_the_first_offer_that_can_be_accepted_is():
    deflate = Deflate(MAX)
    offers = ("x-other", "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=9")
    answer = Handshake(KEY, (*offers, "permessage-deflate")).response(None, deflate, b"")
    assert b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n" in answer
    assert answer.count(b"Extensions") == 1


def test_without_an_offer_nothing_is_compressed():
    deflate = Deflate(MAX)
    assert b"Extensions" not in Handshake(KEY, ("x-other",)).response(None, deflate, b"")
    protocol = server(deflate=deflate)
    protocol.send_message("x" * 1000)
    assert sent(protocol)[0] == TEXT
    assert plain(feed(protocol, frame(TEXT | COMPRESSED, deflated(b"a")))) == [(1002, True, "")]


@pytest.mark.parametrize("bits", range(9, 16))
def test_windows_of_every_size(bits):
    offer = f"permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
    deflate, client = agreed(offer)
    taken = int(parameters(Deflate(MAX).accept(offer))["client_max_window_bits"])
    compressor = zlib.compressobj(wbits=-taken)
    protocol = server(deflate=deflate)
    words = [os.urandom(2000).hex() * 3 for _ in range(4)]
    for word in words:
        assert feed(protocol, frame(TEXT | COMPRESSED, deflated(word.encode(), compressor=compressor))) == [
            Message(word)
        ]
        protocol.send_message(word)
    assert heard(sent(protocol), client) == words


def test_a_client_that_was_not_limited_may_use_the_largest_window():
    protocol = server(deflate=agreed("permessage-deflate")[0])
    data = os.urandom(30_000)
    assert feed(protocol, frame(BINARY | COMPRESSED, deflated(data + data))) == [Message(data + data)]


@pytest.mark.parametrize("takeover", [True, False])
def test_the_clients_context(takeover):
    protocol = server(deflate=agreed("permessage-deflate" + ("" if takeover else "; client_no_context_takeover"))[0])
    compressor = zlib.compressobj(wbits=-12)
    data = os.urandom(200)
    first, second = (deflated(data, compressor=compressor) for _ in range(2))
    assert len(second) < 30, "it refers to the first"
    assert feed(protocol, frame(BINARY | COMPRESSED, first)) == [Message(data)]
    events = feed(protocol, frame(BINARY | COMPRESSED, second))
    assert plain(events) == ([data] if takeover else [(1007, True, "")])


@pytest.mark.parametrize("takeover", [True, False])
def test_our_context(takeover):
    deflate, _ = agreed("permessage-deflate" + ("" if takeover else "; server_no_context_takeover"))
    protocol = server(deflate=deflate)
    data = os.urandom(200)
    protocol.send_message(data)
    first = len(sent(protocol))
    protocol.send_message(data)
    second = len(sent(protocol))
    assert (second < 30) if takeover else (second == first)


def test_compressed_and_plain_messages_may_be_mixed():
    protocol = server(deflate=agreed("permessage-deflate")[0])
    compressor = zlib.compressobj(wbits=-12)
    for _ in range(3):
        data = frame(TEXT | COMPRESSED, deflated(b"one", compressor=compressor)) + frame(TEXT, b"two")
        assert feed(protocol, data) == [Message("one"), Message("two")]


def test_a_compressed_message_in_fragments_with_control_frames_between_them():
    protocol = server(deflate=agreed("permessage-deflate")[0])
    data = deflated(b"some words, and then some words more")
    for _ in range(2):
        frames = [
            frame((TEXT | COMPRESSED) & MORE, data[:5]),
            frame(PING, b"?"),
            frame(0, b""),
            frame(PONG, b""),
            frame(CONTINUATION, data[5:]),
        ]
        assert feed(protocol, *frames) == [Alive(), Message("some words, and then some words more")]
        assert heard(sent(protocol)) == [Pong(payload=b"?")]


@pytest.mark.parametrize("between", [frame(PONG, b""), frame(PING, b"?"), frame(TEXT, b"plain"), b""])
def test_what_stands_between_compressed_messages(between):
    protocol = server(deflate=agreed("permessage-deflate")[0])
    data = frame(TEXT | COMPRESSED, deflated(b"compressed"))
    events = feed(protocol, between + data + between + data)
    assert [event.data for event in events if isinstance(event, Message)].count("compressed") == 2
    assert not any(isinstance(event, Closed) for event in events)


def test_an_empty_message_may_be_compressed():
    protocol = server(deflate=agreed("permessage-deflate")[0])
    assert feed(protocol, frame(TEXT | COMPRESSED, b"\x00")) == [Message("")]


def test_blocks_that_are_marked_as_the_last():
    """RFC 7692 section 7.2.3.4 and .5."""
    protocol = server(deflate=agreed("permessage-deflate")[0])
    hello = bytes.fromhex("f3 48 cd c9 c9 07 00 00")
    for _ in range(3):
        assert feed(protocol, frame(TEXT | COMPRESSED, hello)) == [Message("Hello")]
    assert feed(protocol, frame(TEXT | COMPRESSED, hello[:-1] + hello)) == [Message("HelloHello")]
    assert feed(protocol, frame(TEXT | COMPRESSED, deflated(b"and on"))) == [Message("and on")]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT | COMPRESSED, b"\xff\xff\xff"),
        frame(TEXT | COMPRESSED, deflated(b"\xff\xfe")),
        frame((TEXT | COMPRESSED) & MORE, deflated(b"a\xff")),
    ],
)
def test_compressed_rubbish_ends_it_with_1007(data):
    assert plain(feed(server(deflate=agreed("permessage-deflate")[0]), data)) == [(1007, True, "")]


@pytest.mark.parametrize(
    "data",
    [
        frame(PING | COMPRESSED, b""),
        frame(CLOSE | COMPRESSED, b""),
        frame((TEXT | COMPRESSED) & MORE, b"") + frame(CONTINUATION | COMPRESSED, b""),
        frame(TEXT | COMPRESSED | 0x20, b""),
    ],
)
def test_the_bit_of_compression_where_it_may_not_be_ends_it_with_1002(data):
    assert plain(feed(server(deflate=agreed("permessage-deflate")[0]), data)) == [(1002, True, "")]


def test_a_closed_connection_keeps_no_memory_of_zlib():
    deflate, _ = agreed("permessage-deflate", MAX)
    protocol = server(MAX, deflate)
    protocol.send_message("a" * 1000)
    feed(protocol, compressed(1000))
    assert deflate._compressor is not None
    assert deflate._decompressor is not None
    protocol.end()
    assert deflate._compressor is None
    assert deflate._decompressor is None
