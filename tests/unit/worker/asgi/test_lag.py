"""snakepit.worker.asgi.lag: how late timers are, and for how long that is measured."""

import pytest
from late_loops import LateLoop

from snakepit.system.buckets import BOUNDS
from snakepit.system.late_timer import PERIOD
from snakepit.worker.asgi.lag import UNASKED, TurnLag


def test_how_late_timers_are():
    loop = LateLoop(100.0)
    lag = TurnLag(loop)
    assert loop.due == []
    lag.wanted()
    lag.wanted()
    assert [when for when, _, _ in loop.due] == [100.0 + PERIOD]
    for late in (0.0, 0.002, 0.3, 100.0):
        loop.go_on(late)
    assert sum(lag.counts) == 4
    assert [lag.counts[0], lag.counts[1], lag.counts[BOUNDS.index(0.5)], lag.counts[-1]] == [1, 1, 1, 1]
    assert lag.total == pytest.approx(100.302)
    lag.close()
    assert loop.due == []


def test_it_ends_when_nobody_asks_and_goes_on_when_somebody_does():
    loop = LateLoop(100.0)
    lag = TurnLag(loop)
    lag.wanted()
    while loop.due:
        loop.go_on(0.0)
    assert loop.now == pytest.approx(100.0 + UNASKED, abs=2 * PERIOD)
    before = sum(lag.counts)
    assert before == pytest.approx(UNASKED / PERIOD, abs=2)
    lag.wanted()
    loop.go_on(0.0)
    assert sum(lag.counts) == before + 1
