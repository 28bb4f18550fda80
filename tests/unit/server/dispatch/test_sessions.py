"""snakepit.server.dispatch.sessions, and what the queue does with it: all of a client's sessions are in one worker."""

import asyncio
from collections import Counter

import pytest
from clients import FakeClient
from ready_pools import Ready, play

from snakepit.http.events import RequestHead
from snakepit.server.dispatch import queue
from snakepit.server.dispatch.sessions import Sessions
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire import envelopes


def head(target=b"/", *headers):
    return RequestHead("GET", target, "1.1", list(headers), False)


EVENTS = (b"accept", b"application/json, text/event-stream")


@pytest.mark.parametrize(
    ("framework", "asked", "belongs"),
    [
        ("nicegui", head(), True),
        ("gradio", head(), True),
        ("socketio", head(), False),
        ("socketio", head(b"/socket.io/?transport=polling&EIO=4&t=1"), True),
        ("socketio", head(b"/socket.io/?EIO=4"), True),
        ("socketio", head(b"/search?q=EIO=4"), False),
        ("mcp", head(b"/mcp"), False),
        ("mcp", head(b"/mcp", (b"host", b"x"), EVENTS), True),
        ("mcp", head(b"/mcp", (b"accept", b"application/json")), False),
        ("mcp", head(b"/mcp", (b"mcp-session-id", b"1")), True),
        ("mcp", head(b"/messages/?session_id=1"), True),
        ("mcp", head(b"/messages?a=b&sessionId=1"), True),
    ],
)
def test_what_belongs_to_a_session(framework, asked, belongs):
    assert Sessions([framework]).belongs(asked) is belongs
    assert Sessions(["socketio", "mcp", framework]).belongs(asked) is belongs


def test_clients_and_their_workers():
    sessions = Sessions([], most=2)
    assert sessions.worker_of("a") is None
    sessions.begin("a", 1)
    sessions.begin("b", 2)
    assert [sessions.worker_of(address) for address in "ab"] == [1, 2]
    sessions.begin("c", 1)
    assert [sessions.worker_of(address) for address in "abc"] == [None, 2, 1], "the oldest is forgotten"
    sessions.forget(1)
    assert [sessions.worker_of(address) for address in "abc"] == [None, 2, None]


class ClientAt(FakeClient):
    def __init__(self, address):
        super().__init__()
        self.address = address

    def endpoints(self, head):
        return self.address, ("127.0.0.1", 8000), "http", None, None


class Keeping(Ready):
    """A pool whose app keeps sessions in memory."""

    def __init__(self, framework, *args):
        super().__init__(*args)
        self.pool.queue.heed([framework])

    def ask(self, address, target=b"/"):
        """A request of a client; returns its exchange."""
        self.number += 1
        client = ClientAt(address and (address, self.number))
        exchange = Exchange(self.number, client, self.pool.queue, head(target))
        self.pool.queue.submit(exchange)
        return exchange


def test_all_of_a_client_goes_to_one_worker():
    async def scenario(ready):
        for address in ("a", "b", "c", "d"):
            assert len({ready.ask(address).served_by for _ in range(10)}) == 1
        assert Counter(ready.ask(address).served_by for address in "abcd") == {"worker 1": 2, "worker 2": 2}

    play(scenario, "nicegui", 2, of=Keeping)


def test_what_belongs_to_no_session_or_to_nobody_goes_to_the_least_loaded():
    async def scenario(ready):
        assert Counter(ready.ask("a").served_by for _ in range(10)) == {"worker 1": 5, "worker 2": 5}
        assert Counter(ready.ask(None, b"/?EIO=4").served_by for _ in range(10)) == {"worker 1": 5, "worker 2": 5}
        assert len({ready.ask("a", b"/?EIO=4").served_by for _ in range(10)}) == 1

    play(scenario, "socketio", 2, of=Keeping)


def test_it_waits_for_its_worker_while_that_computes():
    async def scenario(ready):
        first = ready.ask("a")
        home = next(worker for worker in ready.workers if str(worker) == first.served_by)
        ready.pool.queue._dispatcher.stuck(home)
        assert ready.ask("a").served_by == str(home)
        back = ready.ask("a")
        home._take([envelopes.declined(back.number, (envelopes.REQUEST, back.number))])
        assert (back.served_by, back.state) == (str(home), ExchangeState.ASSIGNED), (
            "a worker that declines gets it again"
        )
        assert ready.pool.queue._dispatcher.load(home) == len(home.exchanges) == 3
        assert {ready.ask("b").served_by} == {str(worker) for worker in ready.workers if worker is not home}

    play(scenario, "nicegui", 2, of=Keeping)


def test_it_finds_another_worker_where_its_own_is_gone_or_full():
    async def scenario(ready):
        home = ready.ask("a").served_by
        (other,) = {f"worker {number}" for number in (1, 2)} - {home}
        assert [ready.ask("a").served_by for _ in range(3)] == [home, other, other], "it takes two at once"
        assert ready.ask("a").state is ExchangeState.WAITING
        ready.pool.queue.remove(next(worker for worker in ready.workers if str(worker) == home))
        await asyncio.sleep(0)
        assert ready.pool.queue._sessions.worker_of("a") is None

    play(scenario, "gradio", 2, 2, of=Keeping)


def test_who_does_not_come_to_an_end_with_its_first_exchange_gets_more_all_the_same(monkeypatch):
    monkeypatch.setattr(queue, "ALONE", 0.0)

    async def scenario(ready):
        ready.pool.queue.remove(ready.workers[0])
        ready.pool.queue.add(ready.workers[0], 3, first_alone=True)
        asked = [ready.ask("a") for _ in range(4)]
        assert [exchange.state.name for exchange in asked] == ["ASSIGNED", "WAITING", "WAITING", "WAITING"]
        while asked[1].state is ExchangeState.WAITING:
            await asyncio.sleep(0)
        assert [exchange.state.name for exchange in asked] == ["ASSIGNED", "ASSIGNED", "ASSIGNED", "WAITING"]

    play(scenario, "socketio", 1, of=Keeping)
