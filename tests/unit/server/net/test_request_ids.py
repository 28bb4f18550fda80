"""snakepit.server.net.request_ids, and what connections do with them: whose IDs are taken over, and where they go."""

import re

import pytest
from clients import answers, request
from connections import Peer, play

from snakepit.http.events import RequestHead
from snakepit.server.net.request_ids import identify, new_id
from snakepit.wire.envelopes import REQUEST

PROXY = ("127.0.0.1", 5000)
MADE = re.compile(rb"[0-9a-f]{32}")


def head_with(*values):
    headers = [(b"host", b"x"), *((b"x-request-id", value) for value in values), (b"accept", b"*/*")]
    return RequestHead("GET", b"/", "1.1", headers, False)


def test_new_ones_differ():
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(MADE.fullmatch, made))


@pytest.mark.parametrize("value", [b"a", b"5f0c-41/a+b=.~_:@", b"x" * 128])
def test_a_trusted_one_is_kept(value):
    head = head_with(value)
    before = head.headers
    assert identify(head, True) == value
    assert head.headers is before


@pytest.mark.parametrize(
    ("values", "trusted"),
    [((), True), ((b"a", b"b"), True), ((b"",), True), ((b"x" * 129,), True), ((b'a"b',), True), ((b"a",), False)],
)
def test_others_are_replaced(values, trusted):
    head = head_with(*values)
    before, copy = head.headers, head.headers[:]
    made = identify(head, trusted)
    assert before == copy  # other requests have the same list
    [value] = [value for name, value in head.headers if name == b"x-request-id"]
    assert MADE.fullmatch(value)
    assert value == made
    assert [field for field in head.headers if field[0] != b"x-request-id"] == [(b"host", b"x"), (b"accept", b"*/*")]


def sent_back(data):
    assert len(answers(data)) == 1
    head, _, _ = data.partition(b"\r\n\r\n")
    return re.findall(rb"(?i)\r\nx-request-id: ([^\r\n]*)", head)


def test_the_worker_and_the_client_get_it():
    async def scenario(world):
        for peer, kept in ((PROXY, True), (("10.0.0.1", 5000), False)):
            client = world.connect(peername=peer)
            client.send(request("/", headers=["X-Request-ID: abc"]))
            [envelope] = [one for one in world.app.posted if one[0] == REQUEST]
            [at_app] = [value for name, value in envelope[5] if name == b"x-request-id"]
            world.app.answer()
            assert sent_back(client.received) == [at_app]
            assert (at_app == b"abc") is kept

    play(scenario, request_id=True)


def test_the_apps_own_goes_first():
    async def scenario(world):
        client = world.connect()
        client.send(request("/"))
        world.app.answer(200, [(b"X-Request-ID", b"mine")])
        assert sent_back(client.received) == [b"mine"]

    play(scenario, request_id=True)


def test_websockets():
    async def scenario(world):
        peer = Peer(world)
        assert re.search(rb"\r\nx-request-id: [0-9a-f]{32}\r\n", peer.transport.received)

    play(scenario, request_id=True)


def test_a_fault(caplog):
    async def scenario(world):
        client = world.connect(peername=PROXY)
        client.send(request("/", headers=["X-Request-ID: abc"]))
        world.app.exchange.done("it raised")
        assert sent_back(client.received) == [b"abc"]

    caplog.set_level("ERROR", "snakepit.server")
    play(scenario, request_id=True)
    assert caplog.messages == ["GET / from 127.0.0.1:5000 failed in worker 1\nRequest ID: abc\nit raised"]


def test_the_default_line_is_still_there(caplog):
    async def scenario(world):
        world.connect().send(request("/"))
        world.app.answer()

    caplog.set_level("INFO", "snakepit.access")
    play(scenario, request_id=True, access_log=True)
    assert caplog.messages == ['10.0.0.1:5000 - "GET / HTTP/1.1" 200']


def test_off_unless_asked_for():
    async def scenario(world):
        client = world.connect(peername=PROXY)
        client.send(request("/", headers=["X-Request-ID: abc"]))
        world.app.answer()
        assert sent_back(client.received) == []

    play(scenario)
