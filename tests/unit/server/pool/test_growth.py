"""snakepit.server.pool.growth: when workers are added, and when they go."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from waiting import PATIENCE, until

from snakepit.server.pool import growth as growth_module
from snakepit.server.pool.growth import LOOK_PERIOD, QUIET_SECONDS, Growth
from snakepit.server.pool.outcome import Outcome

DONE = Outcome(1)

LOOKS = round(QUIET_SECONDS / LOOK_PERIOD)


class App:
    """Workers and a queue, with what the test says of them."""

    def __init__(self, wanted=2, least=1, most=4, at_once=1, outcome=DONE):
        self.places = SimpleNamespace(wanted=wanted, serving=dict.fromkeys(range(wanted), 0.0))
        self.queue = SimpleNamespace(in_progress=0, waiting=0)
        self.outcome = outcome
        self.growth = Growth(least, most, self.places, self.queue, lambda: at_once, self.scale, "shop")

    async def scale(self, workers):
        self.places.wanted = workers
        self.places.serving = dict.fromkeys(range(workers), 0.0)
        return self.outcome

    def look(self, in_progress=0, waiting=0, times=1):
        self.queue.in_progress, self.queue.waiting = in_progress, waiting
        return [self.growth.look() for _ in range(times)]


def test_requests_that_wait_twice_in_a_row_get_a_worker_more():
    app = App()
    assert app.look(5, waiting=1, times=3) == [None, 3, 3]
    assert app.look(5, waiting=0) == [None]
    assert app.look(5, waiting=1) == [None]


def test_not_more_than_there_may_be():
    assert App(wanted=4, most=4).look(5, waiting=1, times=5) == [None] * 5


def test_not_while_one_starts():
    app = App()
    app.places.serving.popitem()
    assert app.look(5, waiting=1, times=5) == [None] * 5
    app.places.serving["new"] = 0.0
    assert app.look(5, waiting=1) == [3]


@pytest.mark.parametrize(
    ("wanted", "at_once", "in_progress", "fewer"),
    [(2, 1, 0, True), (2, 1, 1, False), (4, 1, 1, True), (4, 1, 2, False), (2, 8, 4, True), (2, 8, 5, False)],
)
def test_a_minute_in_which_fewer_would_do(wanted, at_once, in_progress, fewer):
    app = App(wanted, at_once=at_once)
    found = app.look(in_progress, times=LOOKS * 2)
    again = wanted - 1 if fewer else None
    assert found == ([None] * (LOOKS - 1) + [again]) * 2


def test_a_peak_makes_the_minute_begin_anew():
    app = App()
    assert app.look(times=LOOKS - 1) == [None] * (LOOKS - 1)
    assert app.look(2) == [None]
    assert app.look(times=LOOKS) == [None] * (LOOKS - 1) + [1]


def test_not_fewer_than_there_have_to_be():
    assert App(wanted=2, least=2).look(times=LOOKS * 2) == [None] * LOOKS * 2


def test_it_looks_by_itself(monkeypatch, caplog):
    monkeypatch.setattr(growth_module, "LOOK_PERIOD", 0.001)
    caplog.set_level(logging.INFO, "snakepit.server")

    async def scenario():
        app = App(outcome=Outcome(0, "no memory"))
        ready = asyncio.Event()
        app.growth.start(ready)
        app.queue.waiting = 1
        ready.set()
        async with asyncio.timeout(PATIENCE):
            await until(lambda: app.places.wanted == 4)
        app.growth.close()

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "Workers of shop: 3, were 2, since requests wait",
        "There are not 3 workers of shop: no memory",
        "Workers of shop: 4, were 3, since requests wait",
        "There are not 4 workers of shop: no memory",
    ]
