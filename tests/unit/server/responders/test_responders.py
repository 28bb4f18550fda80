"""server.responders.responder and server.routing.router: answers without a worker, at once, later and by streams."""

import pytest
from clients import FakeClient, answers, request
from connections import play
from fakes import fake_of
from hypothesis import given
from hypothesis import strategies as st
from sinks import FakeDestination

from snakepit.errors import InternalError
from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE, render
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.responder import Responder
from snakepit.server.routing.router import Router
from snakepit.wire.envelopes import DISCONNECT, WINDOW

LENGTH = render([(b"content-length", b"5")])


@fake_of(Destination)
class Kept(Responder):
    """Takes what is under its path, and leaves it to the test to answer."""

    def __init__(self, path=b"/here"):
        self.path = path
        self.exchanges = []
        self.withdrawn = []

    def takes(self, head):
        return head.target.startswith(self.path)

    def submit(self, exchange):
        self.exchanges.append(exchange)

    def withdraw(self, exchange):
        self.exchanges.remove(exchange)
        self.withdrawn.append(exchange)


def head_of(target, body=b"", more=False):
    return RequestHead("GET", target, "1.1", [], False, body=body, more=more)


def submitted(responder, body=b"", more=False):
    exchange = Exchange(1, client := FakeClient(), responder, head_of(b"/here", body, more))
    responder.submit(exchange)
    return exchange, client


def begun(responder):
    exchange, client = submitted(responder)
    exchange.begin_reply(200, NONE, b"one")
    return exchange, client


@pytest.mark.parametrize(("target", "place"), [(b"/a/b", 0), (b"/a", 1), (b"/b", 2), (b"/", 2)])
def test_the_first_responder_that_takes_a_request_gets_it_and_the_app_the_rest(target, place):
    places = [Kept(b"/a/"), Kept(b"/a"), FakeDestination()]
    router = Router(places[2], places[:2])
    assert router.find(head_of(target)) is places[place]


@pytest.mark.parametrize("later", [False, True])
def test_a_whole_answer(later):
    exchange, client = submitted(Kept())
    if later:
        exchange.mark_waiting()
        assert not client.begun
    exchange.reply(200, NONE, b"hello")
    assert (client.status, client.body, client.complete) == (200, b"hello", True)
    assert (exchange.state, exchange.status, exchange.served_by) == (ExchangeState.CLOSED, 200, "no worker")


@pytest.mark.parametrize("later", [False, True])
def test_a_stream(later):
    exchange, client = submitted(Kept())
    if later:
        exchange.mark_waiting()
    exchange.begin_reply(200, NONE, b"one")
    exchange.add_to_reply(b" two")
    assert (client.body, client.complete, exchange.state) == (b"one two", False, ExchangeState.RESPONDING)
    exchange.add_to_reply(b" three", more=False)
    assert (client.body, client.complete, exchange.state) == (b"one two three", True, ExchangeState.CLOSED)


def test_a_stream_hears_when_its_client_takes_no_more_and_when_it_does():
    told = []
    exchange, client = submitted(Kept())
    exchange.begin_reply(200, NONE, b"one", told.append)
    assert exchange.add_to_reply(b"x" * 3 * WINDOW)
    client.writable = False
    assert not exchange.add_to_reply(b"x" * 3 * WINDOW)
    assert told == []
    client.writable = True
    exchange.return_credit()
    assert told == [exchange]
    assert not exchange.add_to_reply(b"", more=False)
    assert told == [exchange] * 2, "and that it is over"
    exchange.return_credit()
    assert told == [exchange] * 2
    assert client.complete


def test_a_stream_that_does_not_ask_is_not_told():
    exchange, client = begun(Kept())
    exchange.return_credit()
    assert exchange.add_to_reply(b" two")
    assert client.body == b"one two"


def test_a_stream_that_is_not_as_it_was_announced_breaks_off():
    responder = Kept()
    exchange, client = begun(responder)
    assert not exchange.add_to_reply(b"illegal")
    assert (client.broken, client.faults, responder.withdrawn) == (True, ["illegal body"], [exchange])
    assert exchange.state is ExchangeState.CLOSED


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("how", ["waiting", "stream"])
def test_a_responder_hears_when_the_client_goes(how, stopping):
    responder = Kept()
    exchange, client = submitted(responder)
    if how == "waiting":
        exchange.mark_waiting()
    else:
        exchange.begin_reply(200, NONE, b"one")
    exchange.client_gone(stopping)
    exchange.client_gone(stopping)
    assert responder.withdrawn == [exchange]
    assert exchange.state is ExchangeState.CLOSED
    exchange.add_to_reply(b"late", more=False)
    assert not client.complete


def test_a_responder_hears_nothing_of_what_it_has_answered():
    responder = Kept()
    whole, _ = submitted(responder)
    whole.reply(200, NONE, b"")
    stream, _ = begun(responder)
    stream.add_to_reply(b"", more=False)
    for exchange in (whole, stream):
        exchange.client_gone()
    assert responder.withdrawn == []


def test_it_is_the_one_that_answers_that_hears_and_not_the_one_that_gave_it_away():
    first, second = Kept(), Kept()
    exchange, _ = submitted(first)
    exchange.redirect(second)
    exchange.mark_waiting()
    exchange.client_gone()
    assert (first.withdrawn, second.withdrawn) == ([], [exchange])


def test_two_answers_are_refused():
    exchange, _ = submitted(Kept())
    exchange.reply(200, NONE, b"")
    with pytest.raises(InternalError):
        exchange.reply(200, NONE, b"")
    exchange, _ = begun(Kept())
    with pytest.raises(InternalError):
        exchange.begin_reply(200, NONE, b"")


@given(st.lists(st.binary(max_size=20), min_size=1), st.booleans())
def test_any_stream(pieces, later):
    exchange, client = submitted(Kept())
    if later:
        exchange.mark_waiting()
    exchange.begin_reply(200, NONE, pieces[0])
    for piece in pieces[1:]:
        exchange.add_to_reply(piece)
    exchange.add_to_reply(b"", more=False)
    assert client.body == b"".join(pieces)
    assert exchange.state is ExchangeState.CLOSED


# -- on real connections -----------------------------------------------------------------------------------------------


def test_a_connection_goes_on_after_an_answer_without_a_worker():
    async def scenario(world):
        here = Kept()
        world.respond(here)
        transport = world.connect()
        transport.send(request("/here") + request("/there"))
        assert world.pool.apps == []
        here.exchanges[0].reply(200, LENGTH, b"hello")
        await world.settle()
        world.app.answer(body=b"app")
        assert [(status, body) for status, _, body in answers(transport.received)] == [(200, b"hello"), (200, b"app")]

    play(scenario)


def test_what_is_left_of_a_body_that_a_responder_does_not_want_is_thrown_away():
    async def scenario(world):
        here = Kept()
        world.respond(here)
        transport = world.connect()
        whole = request("/here", "POST", body=b"x" * 1000)
        transport.send(whole[:-400])
        here.exchanges[0].reply(200, LENGTH, b"hello")
        transport.send(whole[-400:] + request("/there"))
        await world.settle()
        world.app.answer(body=b"app")
        assert [status for status, _, _ in answers(transport.received)] == [200, 200]

    play(scenario)


def test_a_stream_goes_at_its_clients_pace():
    async def scenario(world):
        here, left = Kept(), [b"x" * WINDOW] * 5

        def go_on(exchange):
            transport.client_stops_reading()
            while left and exchange.add_to_reply(left.pop()):
                pass
            if not left:
                exchange.add_to_reply(b"", more=False)

        world.respond(here)
        transport = world.connect()
        transport.send(request("/here"))
        here.exchanges[0].begin_reply(200, NONE, b"", go_on)
        go_on(here.exchanges[0])
        rounds = 0
        while not transport.received.endswith(b"0\r\n\r\n"):
            assert len(transport.buffer) < 2 * WINDOW
            transport.client_reads_again()
            rounds += 1
            await world.settle()
        [(_, _, body)] = answers(transport.received)
        assert (len(body), rounds) == (5 * WINDOW, 5)

    play(scenario)


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_client_that_goes_from_a_stream(how):
    async def scenario(world):
        here = Kept()
        world.respond(here)
        transport = world.connect()
        transport.send(request("/here"))
        [exchange] = here.exchanges
        exchange.begin_reply(200, NONE, b"one")
        getattr(transport, f"client_{how}")()
        await world.settle()
        assert here.withdrawn == [exchange]

    play(scenario)


def test_a_handshake_that_a_responder_takes_is_a_request_like_any_other():
    async def scenario(world):
        here = Kept()
        world.respond(here)
        transport = world.connect()
        transport.send(request("/here", headers=["Upgrade: websocket", "Connection: Upgrade"]))
        here.exchanges[0].reply(200, LENGTH, b"hello")
        assert [status for status, _, _ in answers(transport.received)] == [200]

    play(scenario)


def test_the_stop_ends_what_waits_in_a_responder_with_the_app_untouched():
    async def scenario(world):
        here = Kept()
        world.respond(here)
        transport = world.connect()
        transport.send(request("/here"))
        other = world.connect()
        other.send(request("/there"))
        here.exchanges[0].begin_reply(200, render([(b"content-type", b"text/event-stream")]), b": one\n\n")
        world.http.drain()
        await world.settle()
        assert len(here.withdrawn) == 1
        assert [envelope[0] for envelope in world.app.posted if envelope[0] == DISCONNECT] == []
        world.app.answer()

    play(scenario)
