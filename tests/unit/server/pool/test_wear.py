"""snakepit.server.pool.wear, with workers that are only names, and memory that is what the test says."""

import asyncio

import pytest
from fakes import fake_of
from waiting import until

from snakepit.server.pool import observer as observer_module
from snakepit.server.pool import wear as wear_module
from snakepit.server.pool.recycling import Recycling
from snakepit.server.pool.roster import Roster
from snakepit.server.pool.wear import Wear
from snakepit.server.workers.worker import WorkerHandle

MIB = 2**20


@fake_of(WorkerHandle)
class Worker:
    def __init__(self, number, size):
        self.number = number
        self.thread = self
        self.memory = size * MIB

    def __str__(self):
        return f"worker {self.number}"


@fake_of(Roster, Recycling)
class Workers:
    """Two workers; who is replaced gets a successor of the size that `born_with` says."""

    def __init__(self, world, size=50, born_with=50):
        self.world = world
        self.born_with = born_with
        self.living = {}
        self.leaving = []
        self.recycled = []
        self.can_start = True
        for number in (1, 2):
            self.add(number, size)

    @property
    def serving(self):
        self.world.looks += 1
        return dict(self.living)

    @property
    def retiring(self):
        self.world.looks += 1
        return list(self.leaving)

    def add(self, number, size):
        self.living[Worker(number, size)] = asyncio.get_running_loop().time()

    def of(self, number):
        return next(worker for worker in self.living if worker.number == number)

    async def recycle(self, worker, reason):
        self.recycled.append(worker.number)
        if self.can_start:
            del self.living[worker]
            self.add(worker.number, self.born_with)
        return self.can_start


@fake_of(observer_module.Observer)
class Observer:
    def __init__(self, answer=False):
        self.answer = answer
        self.reasons = []

    def worn_out(self, reason):
        self.reasons.append(reason)
        return self.answer


class World:
    """What the wear looks at: how often it has, and how much memory it saw."""

    def __init__(self):
        self.looks = 0
        self.process = 50

    async def looked(self, times=3):
        """Return when it has looked so often since."""
        upto = self.looks + times
        await until(lambda: self.looks >= upto, pause=0)


@pytest.fixture
def world(monkeypatch):
    """Looks follow each other at once, and nothing is fresh."""
    made = World()

    def resident_memory():
        made.looks += 1
        return made.process * MIB

    monkeypatch.setattr(wear_module, "resident_memory", resident_memory)
    for name in ("CHECK_PERIOD", "RETRY", "FRESH", "TAKEN"):
        monkeypatch.setattr(wear_module, name, 0.0)
    return made


def play(scenario, world, apart, answer=False, **workers):
    async def main():
        made, observer = Workers(world, **workers), Observer(answer)
        wear = Wear(made, 100 * MIB, apart, made.recycle, observer.worn_out)
        all_ready = asyncio.Event()
        wear.start(all_ready)
        [watching] = wear._tasks
        all_ready.set()
        try:
            await scenario(made, observer)
            assert not watching.done()
        finally:
            wear.close()

    asyncio.run(main())


# -- workers in processes of their own ---------------------------------------------------------------------------------


def test_a_worker_with_too_much_is_replaced_and_no_other(world, caplog):
    async def scenario(workers, observer):
        await world.looked()
        assert workers.recycled == []
        workers.of(2).memory = 101 * MIB
        await until(lambda: workers.recycled, pause=0)
        await world.looked()
        assert workers.recycled == [2]
        assert observer.reasons == []

    caplog.set_level("INFO")
    play(scenario, world, apart=True)
    assert "Worker 2 has 101 MiB in RAM, more than --workers-max-rss 100: it is replaced" in caplog.text


def test_a_worker_whose_process_has_ended_is_none_of_it(world):
    async def scenario(workers, observer):
        workers.of(1).memory = None
        await world.looked()
        assert workers.recycled == []

    play(scenario, world, apart=True)


def test_a_limit_below_what_a_worker_is_born_with_does_not_replace_for_ever(world, monkeypatch, caplog):
    monkeypatch.setattr(wear_module, "FRESH", 1000.0)

    async def scenario(workers, observer):
        await world.looked(10)
        assert workers.recycled == []
        monkeypatch.setattr(wear_module, "_now", lambda: asyncio.get_running_loop().time() + 1000.0)
        workers.of(1).memory = 240 * MIB
        await world.looked(10)
        assert workers.recycled == [], "that is not clearly more"
        workers.of(1).memory = 260 * MIB
        await until(lambda: workers.recycled == [1], pause=0)

    play(scenario, world, apart=True, size=200)
    assert caplog.text.count("Worker 1 has 200 MiB in RAM, more than --workers-max-rss 100, soon after the start") == 1
    assert "nothing is done about it below 250 MiB" in caplog.text


def test_where_no_other_can_start_it_is_tried_again(world):
    async def scenario(workers, observer):
        workers.can_start = False
        workers.of(1).memory = 101 * MIB
        await until(lambda: len(workers.recycled) == 2, pause=0)
        workers.can_start = True
        await until(lambda: workers.of(1).memory == 50 * MIB, pause=0)

    play(scenario, world, apart=True)


# -- workers that share the process ------------------------------------------------------------------------------------


def test_a_new_process_is_asked_for_once_and_again_when_there_is_clearly_more(world):
    async def scenario(workers, observer):
        await world.looked()
        assert observer.reasons == []
        world.process = 101
        await world.looked(10)
        assert observer.reasons == ["The process has 101 MiB in RAM, more than --workers-max-rss 100"]
        world.process = 120
        await world.looked(10)
        assert len(observer.reasons) == 1
        world.process = 130
        await world.looked(10)
        assert len(observer.reasons) == 2
        assert workers.recycled == []

    play(scenario, world, apart=False, answer=True)


def test_where_nobody_sees_to_that_workers_are_replaced_one_after_the_other(world, caplog):
    async def scenario(workers, observer):
        world.process = 101
        await until(lambda: workers.recycled, pause=0)
        world.process = 60
        await world.looked(10)
        assert workers.recycled == [1, 2]
        assert len(observer.reasons) == 1
        world.process = 101
        await until(lambda: len(workers.recycled) == 4, pause=0)

    play(scenario, world, apart=False)
    assert "The process has 101 MiB in RAM, more than --workers-max-rss 100: workers are replaced" in caplog.text


def test_where_that_does_not_help_it_is_left_at_that(world, monkeypatch, caplog):
    async def scenario(workers, observer):
        await world.looked()
        monkeypatch.setattr(wear_module, "FRESH", 1000.0)  # from the next ones on
        world.process = 101
        await until(lambda: len(workers.recycled) == 2, pause=0)
        await world.looked(10)
        assert workers.recycled == [1, 2]

    play(scenario, world, apart=False)
    assert "MiB in RAM, more than --workers-max-rss 100, soon after the start" in caplog.text


def test_the_outcome_is_looked_at_when_the_predecessors_have_ended(world, monkeypatch, caplog):
    async def scenario(workers, observer):
        await world.looked()
        monkeypatch.setattr(wear_module, "FRESH", 1000.0)
        workers.leaving = list(workers.living)
        world.process = 101
        await until(lambda: len(workers.recycled) == 2, pause=0)
        await world.looked(10)
        assert "soon after" not in caplog.text
        world.process = 60
        workers.leaving = []
        await world.looked(10)
        assert "soon after" not in caplog.text

    play(scenario, world, apart=False)


# -- what replaced workers leave behind --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [False, True])
def test_what_copies_leave_behind_is_added_up(answer, caplog):
    observer = Observer(answer)
    wear = Wear(None, None, False, None, observer.worn_out)
    for _ in range(4):
        wear.kept(128 * MIB)
    assert observer.reasons == []
    wear.kept(MIB)
    assert observer.reasons == ["Copies of C extensions that are no longer used keep 513 MiB"]
    for _ in range(4):
        wear.kept(128 * MIB)
    assert len(observer.reasons) == 1
    wear.kept(MIB)
    assert len(observer.reasons) == 2
    assert caplog.text.count("until the server is restarted") == (0 if answer else 2)
