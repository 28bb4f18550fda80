"""snakepit.server.net.http1_lifetime: what time clients get, how connections close, and what becomes of them when the
server stops; on a loop whose clock is advanced by hand."""

import logging

import pytest
from clients import answers, bodies, chunked, request, statuses
from connections import play
from playing import advance
from waiting import turn

from snakepit.http.fields import render
from snakepit.server.net.client_limits import DISCARDED_BYTES, LAST_LINGER_SECONDS, LINGER_SECONDS, STALLED_SECONDS
from snakepit.wire.envelopes import CHUNK, WINDOW

HEAD_TIME = 20.0
KEEP_ALIVE = 5.0
EXPECTING = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


# -- closing in two steps --------------------------------------------------------------------------------------------


def test_linger_is_over():
    async def scenario(world):
        client = world.connect()
        client.send(b"rubbish\r\n\r\n")
        assert client.is_reading()
        await advance(LINGER_SECONDS - 0.25)
        assert not client.closing
        await advance(0.25)
        assert client.aborted
        assert statuses(client) == [400]

    play(scenario)


def test_linger_begins_when_the_answer_was_written():
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(b"rubbish\r\n\r\n")
        await advance(3 * LINGER_SECONDS)
        assert not client.closing
        client.client_reads_again()
        await advance(LINGER_SECONDS)
        assert client.aborted
        assert statuses(client) == [400]

    play(scenario)


def test_lingering_throws_away_so_much_and_no_more():
    async def scenario(world):
        client = world.connect()
        client.send(b"rubbish\r\n\r\n")
        for _ in range(DISCARDED_BYTES // CHUNK):
            client.send(b"x" * CHUNK)
        assert not client.closing
        client.send(b"x")
        assert client.aborted

    play(scenario)


def test_transport_that_can_not_close_one_side():
    async def scenario(world):
        client = world.connect(has_eof=False)
        client.send(b"rubbish\r\n\r\n")
        await turn()
        assert statuses(client) == [400]
        assert client.lost
        assert not client.aborted

    play(scenario)


# -- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\nHost: t\r\n"])
def test_head_too_slow(data):
    async def scenario(world):
        client = world.connect()
        client.send(data)
        await advance(HEAD_TIME - 0.25)
        assert not client.eof_written
        await advance(0.25)
        assert statuses(client) == [408]
        assert client.eof_written

    play(scenario)


def test_head_that_comes_in_drops_has_no_more_time():
    async def scenario(world):
        client = world.connect()
        for byte in b"GET / HTTP/1.1\r\nHost: t\r\n":
            await advance(1)
            client.send(bytes([byte]))
            if client.eof_written:
                break
        assert statuses(client) == [408]
        assert world.loop.now == 1000.0 + HEAD_TIME

    play(scenario)


def test_nothing_comes_at_all():
    async def scenario(world):
        client = world.connect()
        await advance(HEAD_TIME - 0.25)
        assert not client.closing
        await advance(0.25)
        assert client.lost
        assert client.received == b""

    play(scenario)


def test_second_head_too_slow():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond()
        await advance(KEEP_ALIVE - 1)
        client.send(b"GET")
        await advance(HEAD_TIME - 0.25)
        assert statuses(client) == [200]
        await advance(0.25)
        assert statuses(client) == [200, 408]

    play(scenario)


def test_keep_alive_is_over():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond()
        await advance(KEEP_ALIVE - 0.25)
        assert not client.closing
        await advance(0.25)
        assert client.lost
        assert client.ended

    play(scenario)


def test_no_time_runs_while_the_app_works():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        assert sum(world.deadlines) == 0
        await advance(HEAD_TIME * 2)
        world.app.respond()
        assert statuses(client) == [200]
        assert world.deadlines == [1, 0, 0]

    play(scenario)


BODY = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n"
SLOW = "Bad request from 10.0.0.1:5000: the request's body came too slowly (408)"


@pytest.mark.parametrize("rate", [0, 1, 240])
def test_no_time_runs_while_the_body_comes(rate):
    async def scenario(world):
        client = world.connect()
        client.send(BODY)
        for _ in range(80):
            client.send(b"x" * max(1, rate))
            await advance(1)
        world.app.respond()
        assert statuses(client) == [200]

    play(scenario, min_request_body_rate=rate)


@pytest.mark.parametrize("earlier", [b"", request()])
@pytest.mark.parametrize("form", ["of known length", "chunked"])
def test_a_body_that_comes_too_slowly(form, earlier, caplog):
    caplog.set_level(logging.INFO, "snakepit.server")

    async def scenario(world):
        client = world.connect()
        if earlier:
            client.send(earlier)
            world.app.respond()
        client.send(BODY if form == "of known length" else chunked("/", b"begin")[:-5])
        for second in range(20):
            await advance(1 if second < 19 else 0.75)
            client.send(b"x" * 239 if form == "of known length" else b"ef\r\n" + b"x" * 239 + b"\r\n")
        assert not world.app.gone
        await advance(0.25)
        assert statuses(client)[-1] == 408
        assert client.eof_written
        assert world.app.gone
        assert caplog.messages[-1] == SLOW
        await advance(LINGER_SECONDS)
        assert client.aborted

    play(scenario, **{} if form == "of known length" else {"min_request_body_rate": 300})


def test_a_body_that_comes_too_slowly_when_its_response_has_begun():
    async def scenario(world):
        client = world.connect()
        client.send(BODY)
        world.app.respond(more=True)
        await advance(20)
        assert client.received.count(b"HTTP/1.1 ") == 1
        assert client.aborted
        assert world.app.gone

    play(scenario)


def test_an_app_that_does_not_read_is_not_its_clients_fault():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" + b"x" * WINDOW)
        assert not client.is_reading()
        await advance(100)
        world.app.exchange.add_credit(WINDOW)
        await advance(19.75)
        assert not world.app.gone, "its time begins anew when it may send"
        await advance(0.25)
        assert world.app.gone

    play(scenario)


def test_a_client_that_waits_until_it_may_send_its_body_is_not_slow():
    async def scenario(world):
        client = world.connect()
        client.send(EXPECTING)
        await advance(119)
        world.app.exchange.send_continue()
        await advance(19.75)
        assert not world.app.gone
        await advance(0.25)
        assert world.app.gone

    play(scenario)


def test_a_body_that_came_whole_meets_no_deadline():
    async def scenario(world):
        client = world.connect()
        client.send(BODY)
        client.send(b"x" * 100_000)
        await advance(100)
        assert not world.app.gone
        world.app.respond()
        assert statuses(client) == [200]

    play(scenario)


@pytest.mark.parametrize("mode", ["assign", "line"])
def test_pipelined_request_meets_no_deadline_of_the_one_before(mode):
    async def scenario(world):
        client = world.connect()
        client.send(request("/1") + request("/2"))
        world.app.respond()
        world.pool.mode = mode
        await turn()
        assert len(world.pool.open) == 1
        assert sum(world.deadlines) == 0

    play(scenario)


def test_pipelined_requests_without_keep_alive_time_are_all_answered():
    """They have come already: no connection is kept open for them."""

    async def scenario(world):
        first, second = world.connect(), world.connect()
        first.send(request("/a"))
        second.send(request("/1") + request("/2"))
        apps = list(world.pool.apps)
        apps[0].respond()
        apps[1].respond()
        await turn()
        world.app.respond()
        assert statuses(second) == [200, 200]
        assert [fields.get("connection") for _, fields, _ in answers(second.received)] == [None, "close"]

    play(scenario, timeout_keep_alive=0)


def test_without_keep_alive_time_an_answer_says_that_it_is_the_last():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond()
        [(status, fields, _)] = answers(client.received)
        assert (status, fields["connection"]) == (200, "close")
        await turn()
        assert client.lost
        assert not client.aborted

    play(scenario, timeout_keep_alive=0)


def test_an_empty_line_behind_a_request_does_not_stop_the_reading():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1", "POST", b"body") + b"\r\n")
        assert client.is_reading()
        client.client_closes()
        await turn()
        assert world.app.gone, "the client was seen to leave"
        world.app.done()

    play(scenario)


def test_an_empty_line_behind_a_request_is_none_of_the_next():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1", "POST", b"body") + b"\r\n")
        world.app.respond()
        await turn()
        assert world.deadlines == [1, 0, 0], "it is idle, and has no time for a head yet"
        client.send(request("/2"))
        world.app.respond()
        assert statuses(client) == [200, 200]
        client.send(b"\r\n")
        await advance(KEEP_ALIVE)
        assert client.lost
        assert statuses(client) == [200, 200]

    play(scenario)


def test_an_empty_line_alone_is_no_head_that_is_too_slow():
    async def scenario(world):
        client = world.connect()
        client.send(b"\r\n")
        await advance(HEAD_TIME)
        assert client.lost
        assert client.received == b""

    play(scenario)


# -- the client goes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["client_closes", "client_resets"])
def test_client_goes_while_the_app_works(leave):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        getattr(client, leave)()
        await turn()
        assert world.app.gone
        assert client.lost
        world.app.respond()
        world.app.exchange.done(None)
        assert client.received == b""

    play(scenario)


@pytest.mark.parametrize("leave", ["client_closes", "client_resets"])
def test_client_goes_within_the_response(leave):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.respond(body=b"a", more=True)
        getattr(client, leave)()
        await turn()
        assert world.app.gone
        before = client.received
        world.app.exchange.respond_body(b"b", False)
        world.app.exchange.done(None)
        assert client.received == before

    play(scenario)


@pytest.mark.parametrize("leave", ["client_closes", "client_resets"])
def test_client_goes_while_it_waits_in_the_line(leave):
    async def scenario(world):
        world.pool.mode = "line"
        client = world.connect()
        client.send(request())
        getattr(client, leave)()
        await turn()
        assert len(world.pool.withdrawn) == 1

    play(scenario)


@pytest.mark.parametrize("leave", ["client_closes", "client_resets"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"rubbish\r\n\r\n", request(), b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx"],
)
def test_client_goes_when_nobody_works_for_it(leave, sent):
    async def scenario(world):
        client = world.connect()
        if sent:
            client.send(sent)
        if world.pool.apps:
            world.app.respond()
            await turn()
        getattr(client, leave)()
        await turn()
        assert client.lost
        assert world.http.connections.open == set()
        assert sum(world.deadlines) == 0

    play(scenario)


def test_client_goes_with_a_pipelined_request_on_its_way():
    async def scenario(world):
        client = world.connect()
        client.send(request("/1") + request("/2"))
        world.app.respond()
        client.client_resets()
        await turn()
        assert world.pool.open == []

    play(scenario)


# -- the end of the server -------------------------------------------------------------------------------------------


def test_drain_closes_who_is_idle():
    async def scenario(world):
        fresh, used = world.connect(), world.connect()
        used.send(request())
        world.app.respond()
        world.http.drain()
        await turn()
        assert fresh.lost
        assert used.lost
        assert not used.aborted
        assert world.http.connections.open == set()

    play(scenario)


def test_drain_lets_an_exchange_finish():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.http.drain()
        await turn()
        assert not client.closing
        world.app.respond()
        await turn()
        ((status, fields, _),) = answers(client.received)
        assert (status, fields["connection"]) == (200, "close")
        assert client.lost
        assert client.ended

    play(scenario)


def test_drain_lets_a_stream_finish():
    async def scenario(world):
        client = world.connect()
        client.send(request() + request())
        world.app.respond(body=b"a", more=True)
        world.http.drain()
        world.app.exchange.respond_body(b"b", False)
        await turn()
        assert bodies(client) == [b"ab"]
        assert client.lost
        assert len(world.pool.apps) == 1

    play(scenario)


def test_drain_lets_an_exchange_in_the_line_finish():
    async def scenario(world):
        world.pool.mode = "line"
        client = world.connect()
        client.send(request())
        world.http.drain()
        await turn()
        assert not client.closing
        app = world.pool.assign(world.pool.line.pop())
        app.respond()
        await turn()
        assert statuses(client) == [200]
        assert client.lost

    play(scenario)


def test_drain_of_an_upload_that_is_answered_early():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
        world.http.drain()
        world.app.respond()
        assert statuses(client) == [200]
        assert client.eof_written
        assert not client.closing

    play(scenario)


def test_drain_while_a_body_is_thrown_away():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
        world.app.respond()
        world.http.drain()
        await turn()
        assert client.eof_written, "it may read the answer, and need not send the rest"
        client.send(b"x" * 8)
        await advance(LAST_LINGER_SECONDS)
        assert client.lost
        assert statuses(client) == [200]

    play(scenario)


def test_drain_lets_a_request_come_whose_head_has_begun():
    async def scenario(world):
        client = world.connect()
        client.send(request()[:10])
        world.http.drain()
        await turn()
        assert not client.closing
        client.send(request()[10:])
        world.app.respond()
        await turn()
        ((status, fields, _),) = answers(client.received)
        assert (status, fields["connection"]) == (200, "close")
        assert client.lost

    play(scenario)


def test_drain_closes_whose_head_does_not_come():
    async def scenario(world):
        client = world.connect()
        client.send(request()[:10])
        world.http.drain()
        await advance(STALLED_SECONDS / 2)
        client.send(request()[10:12])
        assert not client.closing
        await advance(STALLED_SECONDS / 2)
        assert client.lost
        assert client.received == b""

    play(scenario)


UPLOAD = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n"


def test_drain_lets_a_body_come_for_as_long_as_it_comes():
    async def scenario(world):
        client = world.connect()
        client.send(UPLOAD)
        world.http.drain()
        for _ in range(9):
            await advance(STALLED_SECONDS / 2)
            client.send(b"x")
        await advance(STALLED_SECONDS * 2)
        assert not client.closing, "it is the app's turn"
        world.app.respond()
        await turn()
        assert statuses(client) == [200]
        assert client.lost

    play(scenario)


@pytest.mark.parametrize("responding", [False, True])
def test_drain_gives_up_whose_body_does_not_come(responding):
    async def scenario(world):
        client = world.connect()
        client.send(UPLOAD + b"x")
        if responding:
            world.app.respond(body=b"a", more=True)
        world.http.drain()
        await advance(STALLED_SECONDS)
        assert world.app.gone
        assert client.eof_written or client.aborted
        await advance(LAST_LINGER_SECONDS)
        assert client.lost
        if not responding:
            assert statuses(client) == [503]

    play(scenario)


def test_drain_waits_for_an_app_that_does_not_read_what_comes():
    async def scenario(world):
        client = world.connect()
        client.send(UPLOAD.replace(b"9", b"999999") + bytes(WINDOW))
        assert not client.reading
        world.http.drain()
        await advance(STALLED_SECONDS * 3)
        assert not client.closing
        world.app.exchange.add_credit(WINDOW)
        assert client.reading
        await advance(STALLED_SECONDS)
        assert world.app.gone

    play(scenario)


def test_drain_waits_for_an_app_that_has_not_asked_for_the_body():
    async def scenario(world):
        client = world.connect()
        client.send(UPLOAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        world.http.drain()
        await advance(STALLED_SECONDS * 3)
        assert not client.closing
        world.app.exchange.send_continue()
        await advance(STALLED_SECONDS)
        assert world.app.gone

    play(scenario)


EVENTS = render([(b"Content-Type", b"text/event-stream; charset=utf-8")])


@pytest.mark.parametrize("gently", [False, True])
@pytest.mark.parametrize("begins", ["before", "after"])
def test_drain_ends_event_streams(gently, begins):
    async def scenario(world):
        client = world.connect()
        client.send(request())
        if begins == "after":
            world.http.drain(gently)
        world.app.exchange.respond(200, EVENTS, b"data: 1\n\n", True)
        if begins == "before":
            world.http.drain(gently)
        await turn()
        assert world.app.gone
        assert client.lost
        assert not client.aborted
        assert b"data: 1\n\n" in client.received

    play(scenario)


def test_drain_lets_what_is_no_event_stream_any_more_finish():
    async def scenario(world):
        client = world.connect()
        client.send(request())
        world.app.exchange.respond(200, EVENTS, b"data: 1\n\n", True)
        world.app.exchange.respond_body(b"", False)
        world.app.exchange.done(None)
        client.send(request())
        world.app.respond(body=b"a", more=True)
        world.http.drain()
        world.app.exchange.respond_body(b"b", False)
        await turn()
        assert bodies(client)[1] == b"ab"

    play(scenario)


def test_drain_with_a_pipelined_request_on_its_way():
    """Whether it is still served or not: what is served is answered whole, and the connection ends."""

    async def scenario(world):
        client = world.connect()
        client.send(request() + request())
        world.app.respond()
        world.http.drain()
        await turn()
        if len(world.pool.apps) == 2:
            world.app.respond()
            await turn()
        assert client.lost
        assert statuses(client) == [200] * len(world.pool.apps)

    play(scenario)


def test_drain_does_not_cut_a_client_that_is_reading_its_refusal():
    async def scenario(world):
        client = world.connect()
        client.send(b"rubbish\r\n\r\n")
        world.http.drain()
        await turn()
        assert not client.closing, "it has a moment to read the answer"
        await advance(LAST_LINGER_SECONDS)
        assert client.aborted

    play(scenario)
