"""snakepit.server.net.http1, with snakepit.server.net.services: between a transport and a pool that behave like real
ones, on a loop whose clock is advanced by hand. What ends a connection is in test_http1_lifetime.py."""

import logging
import socket

import pytest
from clients import FakeSocket, answers, bodies, chunked, request, statuses
from connections import echoing, play
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import advance
from waiting import turn

from snakepit.server.exchanges.kept_answer import KeptAnswers
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.net.client_limits import DISCARDED_BYTES
from snakepit.wire.envelopes import CHUNK, WINDOW, cost

HEAD_TIME = 20.0
KEEP_ALIVE = 5.0


# -- one request after another ---------------------------------------------------------------------------------------


def test_one_exchange():
    async def scenario(world):
        client = world.connect()
        client.send(request("/a?b", "PUT", b"c", ["X-Y: z"]))
        exchange = world.app.exchange
        head = exchange.head
        assert (head.method, head.target, head.http_version) == ("PUT", b"/a?b", "1.1")
        assert (b"x-y", b"z") in head.headers
        assert (world.app.body, exchange.request_complete) == (b"c", True)
        assert world.app.posted[0][6:9] == (("10.0.0.1", 5000), ("127.0.0.1", 8000), "http")
        assert client.received == b""
        world.app.respond(201, [(b"x-a", b"b")], b"hello")
        assert answers(client.received) == [(201, {"x-a": "b", "content-length": "5"}, b"hello")]
        assert not client.closing
        assert "10.0.0.1:5000" in repr(client.protocol)

    play(scenario)


def test_keep_alive():
    async def scenario(world):
        client = world.connect()
        for number in range(5):
            client.send(request(f"/{number}", "POST", b"x" * number))
            await turn()
        assert bodies(client) == [b"POST /%d %s" % (number, b"x" * number) for number in range(5)]
        assert (world.http.connections.accepted, world.http.connections.requests) == (1, 5)
        numbers = [app.exchange.number for app in world.pool.apps]
        assert len(set(numbers)) == 5

    echoing(scenario)


def test_exchanges_of_all_connections_have_numbers_of_their_own():
    async def scenario(world):
        for _ in range(3):
            world.connect().send(request())
        assert len({app.exchange.number for app in world.pool.apps}) == 3
        assert world.http.connections.accepted == 3

    play(scenario)


def test_pipelined_answers_leave_in_order():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1") + request("/2", "POST", b"two") + chunked("/3", b"th", b"ree") + request("/4"))
        assert len(world.pool.apps) == 1, "the next is read only once the one before is answered"
        for number in range(1, 5):
            assert world.app.exchange.head.target == b"/%d" % number
            world.app.respond(body=b"answer %d" % number)
            await turn()
        assert len(world.pool.apps) == 4
        assert [app.body for app in world.pool.apps] == [b"", b"two", b"three", b""]
        assert bodies(client) == [b"answer 1", b"answer 2", b"answer 3", b"answer 4"]

    play(scenario)


@pytest.mark.parametrize("together", [True, False])
def test_a_client_that_does_not_read_its_answers_gets_no_more_of_them(together):
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request("/1") + request("/2") if together else request("/1"))
        world.app.respond(200, body=b"x" * (CHUNK + 1))
        if not together:
            client.send(request("/2"))
        await advance(50.0 if together else 1.0)  # no deadline of its own: its connection is not idle
        assert not client.is_reading()
        assert len(world.pool.apps) == 1
        client.client_reads_again()
        await turn()
        assert len(world.pool.apps) == 2
        assert client.is_reading()
        world.app.respond(200, body=b"second")
        assert statuses(client) == [200, 200]

    play(scenario)


def test_a_client_that_does_not_read_and_leaves():
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request("/1") + request("/2"))
        world.app.respond(200, body=b"x" * (CHUNK + 1))
        client.client_resets()
        await turn()
        assert len(world.pool.apps) == 1

    play(scenario)


def test_a_long_row_of_pipelined_requests_that_are_refused():
    async def scenario(world):
        world.pool.mode = "refuse"
        client = world.connect()
        client.send(request() * 3000)
        await turn()
        assert statuses(client) == [503] * 3000

    play(scenario)


def test_a_long_row_of_pipelined_requests_that_are_answered_at_once():
    async def scenario(world):
        def submit(exchange):
            world.pool.assign(exchange).respond()

        world.pool.submit = submit
        client = world.connect()
        client.send(request() * 2000)
        await turn()
        assert statuses(client) == [200] * 2000

    play(scenario)


def test_reading_stops_while_a_later_request_waits():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1"))
        assert client.is_reading(), "to see the client go"
        client.send(request("/2"))
        assert not client.is_reading()
        client.send(request("/3"))
        assert client.kernel
        world.app.respond()
        await turn()
        assert client.kernel == [] or not client.is_reading()
        world.app.respond()
        await turn()
        world.app.respond()
        await turn()
        assert [app.exchange.head.target for app in world.pool.apps] == [b"/1", b"/2", b"/3"]
        assert client.is_reading()

    play(scenario)


def test_a_later_request_that_cannot_be_served_is_refused_in_its_turn():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1") + b"rubbish\r\n\r\n")
        assert client.received == b""
        world.app.respond()
        await turn()
        assert statuses(client) == [200, 400]
        assert client.eof_written

    play(scenario)


def test_head_request():
    async def scenario(world):
        client = world.connect()
        client.send(request("/", "HEAD") + request("/2"))
        world.app.respond(headers=[(b"content-length", b"5")], body=b"hello")
        await turn()
        world.app.respond(body=b"there")
        (_, fields, _), (_, _, body) = answers(client.received, heads=[0])
        assert fields["content-length"] == "5"
        assert body == b"there"

    play(scenario)


def test_streamed_response():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond(body=b"a", more=True)
        assert client.received.endswith(b"a\r\n"), "head and first chunk leave at once"
        world.app.exchange.respond_body(b"b", True)
        world.app.exchange.respond_body(b"", False)
        assert answers(client.received) == [(200, {"transfer-encoding": "chunked"}, b"ab")]
        client.send(request())
        assert len(world.pool.apps) == 2

    play(scenario)


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"],
)
def test_connection_that_ends_with_its_answer(first):
    async def scenario(world):
        client = world.connect()
        client.send(first)
        world.app.respond()
        await turn()
        assert answers(client.received)[0][1]["connection"] == "close"
        assert client.ended
        assert client.lost

    play(scenario)


def test_common_headers():
    async def scenario(world):
        client = world.connect()
        client.send(request() + request())
        world.app.respond()
        await turn()
        world.app.respond(headers=[(b"Date", b"never"), (b"SERVER", b"mine")])
        first, second = (fields for _, fields, _ in answers(client.received))
        assert first["server"] == "snakepit"
        assert first["date"].endswith(" GMT")
        assert (second["date"], second["server"]) == ("never", "mine")

    play(scenario, date_header=True, server_header=True)


def test_access_log(caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request("/a?b"))
        world.app.respond(404)
        await turn()

    logger = logging.getLogger("snakepit.access")
    caplog.set_level(logging.INFO, "snakepit.access")
    caplog.handler.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    try:
        play(scenario, access_log=True)
    finally:
        logger.removeHandler(caplog.handler)
    lines = {record.getMessage() for record in caplog.records if record.name == "snakepit.access"}
    assert lines == {'10.0.0.1:5000 - "GET /a?b HTTP/1.1" 404'}


# -- the socket ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp_sends_at_once(family):
    async def scenario(world):
        client = world.connect(family=family)
        assert client.socket.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]

    play(scenario)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_unix_socket():
    async def scenario(world):
        client = world.connect(family=socket.AF_UNIX, peername="")
        client.send(request())
        assert client.socket.options == []
        assert world.app.posted[0][6] is None
        assert client.protocol.peer == "local"

    play(scenario)


# -- requests in pieces ----------------------------------------------------------------------------------------------

STREAM = b"".join(
    [
        request("/1"),
        request("/2", "POST", b"hello"),
        chunked("/3", b"ab", b"c" * 300, b"d"),
        request("/4", "PUT", b""),
        request("/5", "POST", b"x" * 3000),
        request("/6", headers=["Expect: 100-continue"]),
        request("/7", headers=["Connection: close"]),
    ]
)
EXPECTED = [
    b"GET /1 ",
    b"POST /2 hello",
    b"POST /3 ab" + b"c" * 300 + b"d",
    b"PUT /4 ",
    b"POST /5 " + b"x" * 3000,
    b"GET /6 ",
    b"GET /7 ",
]


def served(pieces):
    """Feed a stream in these pieces; returns the client, when everything has come to rest."""
    clients = []

    async def scenario(world):
        client = world.connect()
        clients.append(client)
        for piece in pieces:
            client.send(piece)
            await turn()
        for _ in range(20):
            await turn()
        assert client.kernel == []

    echoing(scenario)
    return clients[0]


def cut(data, places):
    places = sorted({place for place in places if 0 < place < len(data)})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def test_whole():
    assert bodies(served([STREAM])) == EXPECTED


def test_byte_by_byte():
    client = served(cut(STREAM, range(len(STREAM))))
    assert bodies(client) == EXPECTED
    assert client.ended


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_split_gives_the_same_answers(places):
    assert bodies(served(cut(STREAM, places))) == EXPECTED


@settings(max_examples=30)
@given(st.integers(0, len(STREAM)), st.integers(0, len(STREAM)))
def test_a_stream_that_stops_anywhere(first, second):
    """The client closes after some byte: complete requests are answered, and no connection is left over."""
    start, end = sorted((first, second))

    async def scenario(world):
        client = world.connect()
        for piece in (STREAM[:start], STREAM[start:end]):
            if piece:
                client.send(piece)
                await turn()
        client.client_closes()
        for _ in range(20):
            await turn()
        got = bodies(client)
        assert got == EXPECTED[: len(got)]
        assert client.lost
        assert world.pool.open == []

    echoing(scenario)


# -- refusals --------------------------------------------------------------------------------------------------------

REFUSALS = {
    "rubbish": (b"rubbish\r\n\r\n", 400),
    "bare line feed": (b"GET / HTTP/1.1\nHost: t\n\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "target": (b"GET a HTTP/1.1\r\nHost: t\r\n\r\n", 400),
    "two lengths": (request("/", "POST", b"abc", ["Transfer-Encoding: chunked"]), 400),
    "connect": (b"CONNECT a:80 HTTP/1.1\r\nHost: t\r\n\r\n", 405),
    "announced body": (request("/", "POST", b"x" * 5001), 413),
    "chunked body": (chunked("/", b"x" * 3000, b"x" * 3000), 413),
    "expectation": (request(headers=["Expect: tea"]), 417),
    "head": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n", 414),
    "fields": (request(headers=[f"X-{number}: a" for number in range(30)]), 431),
    "version": (b"GET / HTTP/1.2\r\nHost: t\r\n\r\n", 505),
}
LIMITS = {"limit_request_head": 2048, "limit_request_fields": 20, "limit_request_body": 5000}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("step", [1, 1_000_000])
def test_refused(name, step, caplog):
    data, status = REFUSALS[name]

    async def scenario(world):
        client = world.connect()
        for start in range(0, len(data), step):
            client.send(data[start : start + step])
            await turn()
        while client.kernel and not client.eof_written:
            await turn()
        (answer,) = answers(client.received)
        assert answer[0] == status
        assert answer[1]["connection"] == "close"
        assert answer[1]["content-type"] == "text/plain; charset=utf-8"
        assert answer[2].endswith(b"\n")
        assert client.eof_written
        assert not client.closing, "it may still be sending, and a reset would destroy the answer"
        assert world.deadlines == [0, 0, 1]
        assert world.pool.open == []
        client.client_closes()
        await turn()
        assert client.lost
        assert not client.aborted

    caplog.set_level(logging.INFO, "snakepit.server")
    echoing(scenario, **LIMITS)


def test_405_names_the_methods():
    async def scenario(world):
        client = world.connect()
        client.send(REFUSALS["connect"][0])
        assert "GET" in answers(client.received)[0][1]["allow"]

    play(scenario)


@pytest.mark.parametrize("mode", ["assign", "line"])
def test_body_that_turns_bad_takes_its_exchange_back(mode):
    async def scenario(world):
        world.pool.mode = mode
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert len(world.pool.open) == 1
        client.send(b"rubbish\r\n")
        assert statuses(client) == [400]
        assert world.pool.open == []
        if mode == "assign":
            assert world.app.gone
            world.app.respond(body=b"too late")
            world.app.exchange.done(None)
            assert statuses(client) == [400]
        else:
            assert len(world.pool.withdrawn) == 1

    play(scenario)


def test_body_that_turns_bad_within_the_response():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        world.app.respond(body=b"begun", more=True)
        client.send(b"rubbish\r\n")
        await turn()
        assert client.aborted
        assert world.app.gone
        assert client.received.count(b"HTTP/1.1") == 1

    play(scenario)


def test_body_that_turns_bad_after_the_response_does_not_destroy_it():
    """The app answered without reading; the rest of the body, which is thrown away, is malformed or too long."""

    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client.client_stops_reading()
        world.app.respond(403, body=b"no")
        client.send(b"rubbish\r\n")
        await turn()
        assert not client.aborted
        client.client_reads_again()
        assert statuses(client) == [403]
        assert client.ended

    play(scenario)


# -- the app goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["Traceback: oh", None])
def test_no_response(fault, caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request("/a") + request("/b"))
        world.app.exchange.done(fault)
        assert statuses(client) == [500]
        await turn()
        world.app.respond()
        assert statuses(client) == [500, 200], "the connection is as good as before"

    play(scenario)
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert messages == ([f"GET /a from 10.0.0.1:5000 failed in worker 1\n{fault}"] if fault else [])


def test_broken_response(caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond(body=b"some", more=True)
        world.app.exchange.done("Traceback: oh")
        await turn()
        assert client.aborted
        assert client.lost
        assert not client.received.endswith(b"0\r\n\r\n")

    play(scenario)
    assert "Traceback: oh" in caplog.text


def test_fault_before_the_response_leaves_the_connection_open(caplog):
    """Illegal header fields, among other things: the worker finds them, and nothing of the response was sent."""

    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.exchange.done("the app sent an illegal response: Illegal header name")
        assert statuses(client) == [500]
        await turn()
        client.send(request())
        world.app.respond()
        assert statuses(client) == [500, 200]

    play(scenario)
    assert "illegal response" in caplog.text


@pytest.mark.parametrize(("length", "body", "more"), [(b"3", b"more", False), (b"3", b"a", False), (b"1", b"ab", True)])
def test_body_that_is_not_as_announced_is_never_passed_off_as_whole(length, body, more, caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond(headers=[(b"content-length", length)], body=body, more=more)
        await turn()
        assert statuses(client) == [500], "nothing had been sent yet"
        assert world.app.gone
        world.app.exchange.done(None)
        client.send(request())
        world.app.respond()
        assert statuses(client) == [500, 200]

    play(scenario)
    assert "illegal response" in caplog.text


@pytest.mark.parametrize(("first", "second", "more"), [(b"ab", b"cd", True), (b"ab", b"", False)])
def test_body_that_turns_out_not_to_be_as_announced_breaks_off(first, second, more, caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond(headers=[(b"content-length", b"3")], body=first, more=True)
        world.app.exchange.respond_body(second, more)
        await turn()
        assert client.aborted
        assert world.app.gone
        world.app.exchange.done(None)

    play(scenario)
    assert "illegal response" in caplog.text


@pytest.mark.parametrize(("length", "body"), [(b"3", b"more"), (b"3", b"a")])
def test_answer_that_is_not_as_announced_is_never_passed_off_as_whole(length, body, caplog):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.answer(headers=[(b"content-length", length)], body=body)
        await turn()
        assert statuses(client) == [500]
        assert world.app.exchange.state is ExchangeState.CLOSED

    play(scenario)
    assert "illegal response" in caplog.text


def test_answers_and_pipelined_requests_take_turns():
    async def scenario(world):
        client = world.connect()
        client.send(b"".join(request(f"/{number}") for number in range(5)))
        for number in range(5):
            assert len(world.pool.apps) == number + 1, "the next one only when this one is answered"
            world.app.answer(body=b"%d" % number)
            await turn()
        assert [body for _, _, body in answers(client.received)] == [b"0", b"1", b"2", b"3", b"4"]

    play(scenario)


def test_answer_before_the_body_has_come_is_read_past():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab")
        world.app.answer()
        assert statuses(client) == [200]
        client.send(b"cd" + request("/next"))
        await turn()
        assert world.app.exchange.head.target == b"/next"
        world.app.answer()
        assert statuses(client) == [200, 200]

    play(scenario)


def test_error_of_a_connection_that_lingers():
    """A second trouble after the connection was given up must find nothing to do."""

    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange = world.app.exchange
        client.send(b"rubbish\r\n")
        client.protocol.send_error(500, "again", [])
        exchange.done("Traceback")
        assert statuses(client) == [400]

    play(scenario)


# -- Expect: 100-continue --------------------------------------------------------------------------------------------

EXPECTING = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


def test_told_to_go_on_when_the_app_reads():
    async def scenario(world):
        client = world.connect()
        client.send(EXPECTING)
        assert client.received == b""
        world.app.exchange.send_continue()
        assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert world.app.body == b"hello"
        world.app.respond()
        await turn()
        assert statuses(client) == [100, 200]
        assert not client.closing

    play(scenario)


def test_answer_to_a_client_that_waits_ends_the_connection():
    async def scenario(world):
        client = world.connect()
        client.send(EXPECTING)
        world.app.respond(401)
        ((status, fields, _),) = answers(client.received)
        assert (status, fields["connection"]) == (401, "close")
        assert client.eof_written
        assert not client.aborted

    play(scenario)


def test_app_that_reads_only_after_it_began_to_answer():
    async def scenario(world):
        client = world.connect()
        client.send(EXPECTING)
        exchange = world.app.exchange
        world.app.respond(body=b"begun ", more=True)
        exchange.send_continue()
        client.send(b"hello")
        assert world.app.body == b"hello"
        exchange.respond_body(b"done", False)
        await turn()
        assert not client.aborted
        ((status, _, body),) = answers(client.received)
        assert (status, body) == (200, b"begun done")

    play(scenario)


# -- bodies that the app leaves unread -------------------------------------------------------------------------------


def test_unread_body_is_thrown_away():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1", "POST", b"x" * 1000)[:-900])
        world.app.respond()
        await turn()
        assert statuses(client) == [200]
        assert not client.closing
        assert world.deadlines == [0, 1, 0]
        client.send(b"x" * 500)
        client.send(b"x" * 400 + request("/2"))
        await turn()
        assert world.app.exchange.head.target == b"/2"
        assert world.app.body == b""

    play(scenario)


def test_unread_body_that_reading_had_stopped_for():
    async def scenario(world):
        client = world.connect()
        size = WINDOW + 1000
        data = request("/1", "POST", b"x" * size)
        client.send(data[:-1000])
        assert not client.is_reading()
        client.send(data[-1000:] + request("/2"))
        world.app.respond()
        await turn()
        assert world.app.exchange.head.target == b"/2"
        assert client.kernel == []

    play(scenario)


def test_too_much_unread_body_ends_the_connection():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n")
        world.app.respond()
        sent = 0
        while not client.eof_written:
            client.send(b"x" * CHUNK)
            sent += CHUNK
            assert sent <= DISCARDED_BYTES + CHUNK
        assert not client.aborted
        while not client.closing:
            client.send(b"x" * CHUNK)
            sent += CHUNK
            assert sent <= 2 * (DISCARDED_BYTES + CHUNK)
        assert client.aborted, "it does not read, and goes on"
        assert statuses(client) == [200]

    play(scenario)


def test_unread_body_that_does_not_come():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n")
        world.app.respond()
        await advance(HEAD_TIME)
        assert client.lost
        assert statuses(client) == [200]

    play(scenario)


# -- flow control ----------------------------------------------------------------------------------------------------


def test_reading_stops_when_the_window_is_used_up():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n")
        sent = 0
        while client.is_reading():
            client.send(b"x" * CHUNK)
            sent += CHUNK
        assert sent == WINDOW
        client.send(b"x" * CHUNK)
        await turn()
        assert len(client.kernel) == 1
        world.app.exchange.add_credit(CHUNK + cost(b""))
        await turn()
        assert client.kernel == []
        assert not client.is_reading()
        assert len(world.app.body) == WINDOW + CHUNK

    play(scenario)


def test_reading_goes_on_for_an_exchange_that_is_answered():
    async def scenario(world):
        client = world.connect()
        data = request("/", "POST", b"x" * 2 * WINDOW)
        client.send(data[: WINDOW + 1000])
        assert not client.is_reading()
        world.app.respond()
        assert client.is_reading()
        client.send(data[WINDOW + 1000 :])
        client.send(request("/2"))
        await turn()
        assert world.app.exchange.head.target == b"/2"

    play(scenario)


def test_a_slow_client_holds_the_app_back():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        client.client_stops_reading()
        world.app.respond(body=b"x" * CHUNK, more=True)
        for _ in range(3):
            world.app.exchange.respond_body(b"x" * CHUNK, True)
        assert world.app.credit == 0
        client.client_reads_again()
        assert world.app.credit == WINDOW
        world.app.exchange.respond_body(b"x" * CHUNK, True)
        world.app.exchange.respond_body(b"x" * CHUNK, True)
        assert world.app.credit == WINDOW + 2 * CHUNK
        world.app.exchange.respond_body(b"", False)
        assert bodies(client) == [b"x" * 6 * CHUNK]

    play(scenario)


def test_writing_resumes_when_no_exchange_is_open():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        client.client_stops_reading()
        world.app.respond(body=b"x" * 2 * CHUNK)
        client.client_reads_again()
        assert bodies(client) == [b"x" * 2 * CHUNK]
        client.send(request())
        world.app.respond()
        assert statuses(client) == [200, 200]

    play(scenario)


def test_next_exchange_behind_a_slow_client():
    """The transport still holds some of the answer before when the next one streams."""

    async def scenario(world):
        client = world.connect()
        client.send(request() + request())
        client.client_stops_reading()
        world.app.respond(body=b"x" * (CHUNK // 2))
        await turn()
        world.app.respond(body=b"y" * CHUNK, more=True)
        world.app.exchange.respond_body(b"y" * CHUNK, True)
        assert world.app.credit == 0
        client.client_reads_again()
        assert world.app.credit == 2 * CHUNK

    play(scenario)


# -- anything may come -----------------------------------------------------------------------------------------------


def settled(world, client):
    """Whether nothing is forgotten: the connection is closed, or an app works for it, or a deadline runs."""
    return client.closing or world.pool.open or sum(world.deadlines) == 1


def survive(pieces):
    async def scenario(world):
        client = world.connect()
        for piece in pieces:
            client.send(piece)
            assert settled(world, client)
            await turn()
            assert settled(world, client)
        for _ in range(len(client.kernel) + 20):
            await turn()
        assert settled(world, client)
        rest = client.received
        # what was written is a row of whole responses, unless the connection was broken off
        if not client.aborted:
            answers(rest)
        client.client_closes()
        await turn()
        if not client.lost:
            client.client_resets()
            await turn()
        assert world.pool.open == []
        assert world.http.connections.open == set()

    echoing(scenario, **LIMITS)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6))
def test_random_bytes(pieces):
    survive(pieces)


TOKENS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"Host: t\r\n", b"\r\n", b"\n", b"\r",
        b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: -1\r\n", b"hello", b"0\r\n\r\n", b"5\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"\0", b"\xff", b" ",
        b"5;x=y\r\nhello\r\n", b"ffffffff\r\n", b"x" * 3000, b"Upgrade: websocket\r\nConnection: upgrade\r\n", b":",
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n", b"X: y\r\n z\r\n", b"Transfer-Encoding: tea\r\n",
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
    ]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.lists(TOKENS, min_size=1, max_size=12).map(b"".join), max_size=4))
def test_random_requests(pieces):
    survive(pieces)


@st.composite
def mutated(draw):
    data = bytearray(
        draw(st.sampled_from([STREAM[:200], chunked("/3", b"ab", b"c" * 30), request("/2", "POST", b"hi")]))
    )
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        width = draw(st.integers(0, 8))
        data[place : place + width] = draw(st.binary(max_size=8))
    return cut(bytes(data), draw(st.lists(st.integers(0, 200), max_size=3)))


@settings(max_examples=150)
@given(mutated())
def test_mutated_requests(pieces):
    survive([piece for piece in pieces if piece])


@settings(max_examples=40)
@given(
    st.lists(TOKENS, max_size=10).map(b"".join),
    st.lists(st.sampled_from(["respond", "stream", "end", "done", "drain", "go", "fault"]), max_size=5),
)
def test_random_requests_and_an_app_that_does_anything(data, doings):
    async def scenario(world):
        client = world.connect()
        if data:
            client.send(data)
        for doing in doings:
            exchange = world.app.exchange if world.pool.apps else None
            if doing == "drain":
                world.http.drain()
            elif exchange is None or exchange.state is ExchangeState.CLOSED:
                pass
            elif doing == "respond":
                world.app.respond()
            elif doing == "stream":
                world.app.respond(body=b"a", more=True)
            elif doing == "end":
                exchange.respond_body(b"b", False)
            elif doing == "go":
                exchange.send_continue()
            else:
                exchange.done("Traceback" if doing == "fault" else None)
            assert settled(world, client)
            await turn()
            assert settled(world, client)

    play(scenario, **LIMITS)


def test_the_last_descriptor_is_told_of(caplog):
    async def scenario(world):
        world.http.open_files.last = world.http.open_files.scarce = 6
        world.connect()
        assert caplog.messages == []
        FakeSocket.number = 6
        world.connect()
        world.connect(family=socket.AF_UNIX)
        assert [message[:20] for message in caplog.messages] == ["No descriptors left:", "Too many connections"]

    try:
        play(scenario)
    finally:
        FakeSocket.number = 5


# -- requests on one connection ----------------------------------------------------------------------------------------


def test_the_last_answer_of_a_connection_says_so():
    async def scenario(world):
        client = world.connect()
        for number in range(3):
            client.send(request(f"/{number}"))
            await turn()
        assert [fields.get("connection") for _, fields, _ in answers(client.received)] == [None, None, "close"]
        assert client.closing

    echoing(scenario, limit_keep_alive_requests=3)


def test_requests_that_came_with_the_last_one_are_answered():
    async def scenario(world):
        client = world.connect()
        client.send(request() * 5)
        for _ in range(5):
            await turn()
        assert [fields.get("connection") for _, fields, _ in answers(client.received)] == [None] * 4 + ["close"]

    echoing(scenario, limit_keep_alive_requests=3)


def test_any_number_of_requests_on_a_connection():
    async def scenario(world):
        client = world.connect()
        for _ in range(2000):
            client.send(request())
            await turn()
        assert {fields.get("connection") for _, fields, _ in answers(client.received)} == {None}

    echoing(scenario)


# -- answers of apps whose threads would wait for clients --------------------------------------------------------------


def test_an_answer_that_is_kept_for_its_client():
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request())
        exchange, app = world.app.exchange, world.app
        exchange.keepers = KeptAnswers(CHUNK)
        app.respond(body=b"a", more=True)
        exchange.respond_body(b"b", True)
        exchange.respond_body(b"c", False)
        app.done()
        assert exchange.keepers.bytes == 2 * cost(b"")
        assert len(world.http.stalls) == 1
        await advance(KEEP_ALIVE + 1)
        assert not client.closing, "it is not idle"
        client.client_reads_again()
        assert bodies(client) == [b"abc"]
        assert exchange.state is ExchangeState.CLOSED
        client.send(request())
        world.app.respond()
        assert statuses(client) == [200, 200]

    play(scenario)


def test_a_client_that_does_not_read_what_is_kept_for_it():
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request())
        exchange = world.app.exchange
        exchange.keepers = KeptAnswers(CHUNK)
        world.app.respond(body=b"a", more=True)
        exchange.respond_body(b"b", False)
        world.app.done()
        await advance(61)
        assert client.aborted
        assert exchange.state is ExchangeState.CLOSED
        assert exchange.keepers.bytes == 0

    play(scenario)
