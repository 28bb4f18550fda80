"""snakepit.acme.on_demand: who gets a certificate that nobody configured."""

import asyncio
import threading

import pytest
from fakes import fake_of
from waiting import until

from snakepit.acme import on_demand
from snakepit.acme.on_demand import MOST_QUESTIONS, REFUSED_FOR, AskUrl, Keeping, OnDemand, RateLimit
from snakepit.acme.problems import CaUnreachable
from snakepit.acme.steps import Response


@fake_of(Keeping)
class Manager:
    def __init__(self):
        self.added = ["known.example"]

    def add(self, name):
        self.added.append(name)

    def names(self):
        return self.added

    async def wait_certificate(self, name):
        return name != "failing.example"


class Play:
    def __init__(self, permits=lambda name: True, per_minute=100, stored=()):
        self.now = 1000.0
        self.asked = []
        self.manager = Manager()

        def asking(name):
            self.asked.append(name)
            return permits(name)

        self.demand = OnDemand(
            self.manager, asking, RateLimit(per_minute, self.clock), lambda name: name in stored, self.clock
        )

    def clock(self):
        return self.now

    async def all(self, *names):
        return await asyncio.gather(*map(self.demand.wait_certificate, names))


def run(work):
    return asyncio.run(work)


def test_names_that_are_permitted():
    play = Play(lambda name: name != "bad.example")
    assert run(play.all("Good.example", "bad.example", "failing.example", "known.example")) == [
        True,
        False,
        False,
        True,
    ]
    assert play.manager.added == ["known.example", "good.example", "failing.example"]
    assert sorted(play.asked) == ["bad.example", "failing.example", "good.example"]


@pytest.mark.parametrize("name", ["", "*.example.com", "a b", "../x", "localhost", "127.0.0.1"])
def test_names_that_no_ca_is_asked_for(name):
    play = Play()
    assert run(play.all(name)) == [False]
    assert play.asked == []


def test_a_refusal_counts_for_a_while():
    play = Play(lambda name: False)
    assert run(play.all("a.example")) == run(play.all("a.example")) == [False]
    assert play.asked == ["a.example"]
    play.now += REFUSED_FOR + 1
    run(play.all("a.example"))
    assert play.asked == ["a.example"] * 2


def test_refusals_are_forgotten_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(on_demand, "MOST_REFUSED", 3)
    play = Play(lambda name: False)
    for number in range(5):
        run(play.all(f"{number}.example"))
    run(play.all("0.example"))
    assert play.asked.count("0.example") == 2
    run(play.all("4.example"))
    assert play.asked.count("4.example") == 1


def test_a_question_that_fails_is_a_refusal(caplog):
    def permits(name):
        raise OSError("no such disk")

    assert run(Play(permits).all("a.example")) == [False]
    assert "Whether a.example may have a certificate can't be found out: no such disk" in caplog.text


def test_many_who_want_the_same_name_ask_once():
    play = Play()
    assert run(play.all(*["a.example"] * 50)) == [True] * 50
    assert play.asked == ["a.example"]
    assert play.manager.added.count("a.example") == 1


def test_few_questions_at_once():
    gate = threading.Event()
    play = Play(lambda name: gate.wait(60))

    async def test():
        first = [
            asyncio.ensure_future(play.demand.wait_certificate(f"{number}.example")) for number in range(MOST_QUESTIONS)
        ]
        await until(lambda: len(play.asked) == MOST_QUESTIONS)
        assert await play.all("further.example") == [False]
        gate.set()
        assert await asyncio.gather(*first) == [True] * MOST_QUESTIONS

    run(test())


def test_a_client_that_leaves_does_not_end_the_question():
    gate = threading.Event()
    play = Play(lambda name: gate.wait(60))

    async def test():
        first = asyncio.ensure_future(play.demand.wait_certificate("a.example"))
        await until(lambda: play.asked)
        second = asyncio.ensure_future(play.demand.wait_certificate("a.example"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        gate.set()
        assert await second
        assert play.manager.added.count("a.example") == 1

    run(test())


def test_the_rate_limit(caplog):
    play = Play(per_minute=2, stored=("stored.example",))
    names = [f"{number}.example" for number in range(4)]

    async def one_by_one():
        return [await play.demand.wait_certificate(name) for name in names]

    assert run(one_by_one()) == [True, True, False, False]
    assert "too many were obtained within a minute" in caplog.text
    assert run(play.all("stored.example")) == [True]  # costs the CA nothing
    play.now += 30
    assert run(one_by_one()) == [True, True, True, False]


def test_there_is_an_end(monkeypatch):
    monkeypatch.setattr(on_demand, "MOST_NAMES", 2)
    play = Play()
    assert [run(play.all(f"{number}.example")) for number in range(3)] == [[True], [True], [False]]


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://localhost/ask", "http://localhost/ask?domain=a.example"),
        ("http://localhost/ask?key=1", "http://localhost/ask?key=1&domain=a.example"),
    ],
)
@pytest.mark.parametrize(("status", "permitted"), [(200, True), (204, False), (302, False), (404, False)])
def test_a_url_that_permits(url, wanted, status, permitted):
    asked = []

    def wait_response(request):
        asked.append(request.url)
        return Response(status)

    assert AskUrl(url, wait_response)("a.example") is permitted
    assert asked == [wanted]


def test_a_url_that_does_not_answer(caplog):
    def wait_response(request):
        raise CaUnreachable("connection refused")

    assert not AskUrl("http://localhost/ask", wait_response)("a.example")
    assert "does not say whether a.example may have a certificate" in caplog.text
