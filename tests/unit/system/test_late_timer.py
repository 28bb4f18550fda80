"""snakepit.system.late_timer: what it tells, and for how long."""

from late_loops import LateLoop

from snakepit.system.late_timer import PERIOD, LateTimer


def test_it_tells_how_late_it_was_until_that_is_enough():
    loop, told = LateLoop(100.0), []

    def note(late):
        told.append(late)
        return len(told) < 3

    timer = LateTimer(loop, note)
    assert loop.due == []
    timer.start()
    timer.start()
    assert [when for when, _, _ in loop.due] == [100.0 + PERIOD], "one is enough"
    for late in (0.5, -0.001, 2.0):
        loop.go_on(late)
    assert told == [0.5, 0.0, 2.0], "one that is early is not late"
    assert loop.due == []
    timer.start()
    assert len(loop.due) == 1, "it can begin anew"
    timer.close()
    timer.close()
    assert loop.due == []
