"""server.workers.speed: when an app is taken to be quick, and when a slow one is tried again."""

import pytest

from snakepit.server.workers.speed import FIRST_PAUSE, GROWTH, LONGEST_PAUSE, MOST_COUNTED, QUICK, TRIAL, Speed


class World:
    """An app, and a clock."""

    def __init__(self):
        self.now = 1000.0
        self.speed = Speed()

    def serve(self, *seconds):
        """Exchanges follow each other, as long as the app is quick; returns how many did."""
        for count, each in enumerate(seconds):
            if not self.speed.look(self.now):
                return count
            began = self.now
            self.now += each
            self.speed.note(began, self.now)
        return len(seconds)

    def pause(self):
        """Wait until a slow app is tried again; returns for how long that is, in parts of the first pause."""
        began = self.now
        while not self.speed.look(self.now):
            self.now += FIRST_PAUSE / 4
        return round((self.now - began) / FIRST_PAUSE)


@pytest.fixture
def world():
    return World()


def test_quick_at_first_and_for_as_long_as_it_is(world):
    assert world.serve(*[QUICK * 0.9] * 1000) == 1000
    assert world.speed.quick


def test_slow_is_found_out(world):
    assert world.serve(*[QUICK * 1.1] * 1000) < 2 * TRIAL
    assert not world.speed.quick


def test_slow_is_found_out_the_sooner_the_slower_it_is(world):
    assert world.serve(*[MOST_COUNTED] * 1000) == pytest.approx(TRIAL * QUICK / MOST_COUNTED, abs=1)


@pytest.mark.parametrize("seconds", [MOST_COUNTED, 60.0])
def test_a_few_that_are_slow_among_many_do_not_matter(world, seconds):
    """What follows such a one is moved, and it may just not have had a CPU."""
    pattern = [QUICK / 10] * 49 + [seconds]
    assert world.serve(*pattern * 20) == 1000


def test_many_that_are_slow_among_others_do(world):
    pattern = [QUICK / 10] * 9 + [MOST_COUNTED]
    assert world.serve(*pattern * 100) < 1000


def test_one_that_was_quick_for_long_is_found_slow_within_a_second(world):
    world.serve(*[QUICK / 10] * 10_000)
    before = world.now
    world.serve(*[QUICK * 3] * 1000)
    assert not world.speed.quick
    assert world.now - before < 1.0


def test_a_slow_one_is_tried_again_ever_more_rarely(world):
    pauses = []
    for _ in range(9):
        world.serve(*[MOST_COUNTED] * 100)
        pauses.append(world.pause())
    longest = LONGEST_PAUSE / FIRST_PAUSE
    assert pauses == [*(GROWTH**count for count in range(5)), longest, longest, longest, longest]


def test_a_single_slow_one_ends_a_trial(world):
    """Others wait behind it. At first, and when the app was found quick, it takes more than one."""
    world.serve(*[MOST_COUNTED] * 100)
    world.pause()
    assert world.serve(*[QUICK / 10] * 9, MOST_COUNTED, QUICK / 10) == 10
    world.pause()
    assert world.serve(*[QUICK / 10] * 200, MOST_COUNTED, QUICK / 10) == 202


def test_one_that_has_become_quick_stays_so_and_is_forgiven(world):
    for _ in range(5):
        world.serve(*[MOST_COUNTED] * 100)
        world.pause()
    assert world.serve(*[QUICK / 2] * 1000) == 1000
    world.serve(*[MOST_COUNTED] * 100)
    assert world.pause() == 1


def test_what_began_before_the_trial_does_not_count(world):
    """Others ran beside it."""
    world.serve(*[MOST_COUNTED] * 100)
    began = world.now
    world.pause()
    for _ in range(TRIAL):
        world.now += 0.001
        world.speed.note(began, world.now)
    assert world.speed.quick
    assert world.serve(*[QUICK / 2] * 1000) == 1000


def test_what_ends_while_the_app_is_slow_does_not_count(world):
    world.serve(*[MOST_COUNTED] * 100)
    began = world.now
    for _ in range(100):
        world.speed.note(began, world.now)
    assert world.pause() == 1
    assert world.serve(*[QUICK / 2] * 1000) == 1000
