"""Which worker gets an exchange, and who waits. Pure: it takes facts and returns the assignments to carry out.

Least loaded first, in constant time: workers with room stand in buckets by the number of exchanges they have, and
the lowest bucket that is not empty is remembered. Within a bucket the one that waited longest comes first.
An exchange may have a worker where it feels at home, since that had the one before it on the same connection: it gets
that one while it is about as free as the least loaded (NEAR), for what the app and its caches hold there.
When no worker has room, exchanges wait in one line, oldest first, so that none waits behind a busy worker while
another has room. The line is bounded; who finds it full waits for a stuck worker, and where all are full, is refused.

A worker that is stuck (its loop is in a long computation) has no room, however few exchanges it has. When it turns
again, it gets one exchange from the line, then two when it has taken that one promptly, then four: the first may well
be the next long computation, and what was given away behind it could not be given to another.
"""

from collections.abc import Hashable
from enum import Enum, auto

NEAR = 4
"""A worker is about as free as the least loaded if it has at most one exchange more for each NEAR that that one has: so
nobody waits beside a busy worker while another has nothing to do, and one more or less among many moves nobody."""

_UNLIMITED = 1 << 10  # a worker that has taken so many at once and promptly may have what comes


class Unassigned(Enum):
    """What becomes of an exchange that no worker gets now."""

    WAITS = auto()
    """It stands in the line."""
    REFUSED = auto()
    """All workers are full, and the line is."""


class _Slot:
    """What is known of a worker."""

    __slots__ = ("budget", "capacity", "load", "stuck", "window")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.load = 0
        self.stuck = False
        self.window = 0  # how many it may get until it is heard of; 0: no such limit
        self.budget = 0  # what is left of the window


class Dispatcher[W: Hashable, X: Hashable]:
    """The policy for one pool of workers (W) and their exchanges (X).

    Args:
        line_limit: how many exchanges may wait.
    """

    def __init__(self, line_limit: int) -> None:
        self._line_limit = line_limit
        self._line: dict[X, None] = {}  # ordered, and an exchange whose client goes can leave from the middle
        self._slots: dict[W, _Slot] = {}
        self._buckets: list[dict[W, _Slot]] = [{}]
        self._lowest = 0  # no bucket below this one holds a worker

    def __repr__(self) -> str:
        loads = ", ".join(f"{worker} {slot.load}/{slot.capacity}" for worker, slot in self._slots.items())
        return f"<Dispatcher [{loads}] waiting {len(self._line)}>"

    @property
    def waiting(self) -> int:
        """Exchanges in the line."""
        return len(self._line)

    @property
    def line(self) -> list[X]:
        """The exchanges that wait, the oldest first."""
        return list(self._line)

    @property
    def asleep(self) -> list[W]:
        """The workers that get nothing until they are heard of."""
        return [worker for worker, slot in self._slots.items() if slot.stuck or (slot.window and slot.budget <= 0)]

    def load(self, worker: W) -> int:
        """Exchanges that a worker has."""
        return self._slots[worker].load

    def add(self, worker: W, capacity: int) -> list[tuple[W, X]]:
        """A worker became ready for `capacity` exchanges at once; returns what it gets from the line."""
        slot = self._slots[worker] = _Slot(capacity)
        self._enter(worker, slot)
        return self._serve_line()

    def widen(self, worker: W, capacity: int) -> list[tuple[W, X]]:
        """A worker may have so many exchanges from now on, not fewer; returns who gets what from the line now."""
        slot = self._slots.get(worker)
        if slot is None:
            return []
        self._leave(worker, slot)
        slot.capacity = capacity
        self._enter(worker, slot)
        return self._serve_line()

    def remove(self, worker: W) -> None:
        """A worker gets nothing more. What it has must be submitted again or given up by the caller."""
        slot = self._slots.pop(worker, None)
        if slot is not None:
            self._leave(worker, slot)

    def submit(self, exchange: X, home: W | None = None) -> W | Unassigned:
        """Find a worker for an exchange, if possible its `home`; or else have it wait, or refuse it."""
        worker = None if self._line else self._take(home)
        if worker is not None:
            return worker
        if len(self._line) < self._line_limit:
            self._line[exchange] = None
            return Unassigned.WAITS
        worker = self._take_asleep()
        return worker if worker is not None else Unassigned.REFUSED

    def submit_to(self, worker: W) -> bool:
        """Give an exchange to this worker, if it has room and nothing waits in the line."""
        slot = self._slots.get(worker)
        if slot is None or self._line or slot.load >= len(self._buckets) or worker not in self._buckets[slot.load]:
            return False
        self._give(worker, slot)
        return True

    def insist(self, worker: W) -> bool:
        """Give an exchange to this worker, which alone can serve it, unless it is full; stuck or not."""
        slot = self._slots.get(worker)
        if slot is None or slot.load >= slot.capacity:
            return False
        self._give(worker, slot)
        return True

    def withdraw(self, exchange: X) -> None:
        """An exchange in the line is given up."""
        self._line.pop(exchange, None)

    def clear_line(self) -> list[X]:
        """No worker is to be expected; returns who waited, and waits no more."""
        line, self._line = self.line, {}
        return line

    def finished(self, worker: W) -> list[tuple[W, X]]:
        """A worker is through with one exchange; returns who gets what from the line now."""
        slot = self._slots.get(worker)
        if slot is None:
            return []  # removed meanwhile
        self._relieve(worker, slot, 1)
        return self._serve_line()

    # -- who is awake ------------------------------------------------------------------------------------------------

    def stuck(self, worker: W) -> None:
        """A worker gets nothing until it is heard of."""
        slot = self._slots.get(worker)
        if slot is not None:
            self._leave(worker, slot)
            slot.stuck = True

    def heard(self, worker: W) -> list[tuple[W, X]]:
        """A worker that was stuck, or is limited since, has turned; returns who gets what from the line now."""
        slot = self._slots.get(worker)
        if slot is None or not (slot.stuck or slot.window):
            return []
        self._leave(worker, slot)
        if slot.stuck:
            slot.stuck, slot.window = False, 1
        else:
            slot.window *= 2
            if slot.window >= _UNLIMITED:
                slot.window = 0
        slot.budget = slot.window
        self._enter(worker, slot)
        return self._serve_line()

    def give_back(self, worker: W, exchanges: list[X], count: int) -> list[tuple[W, X]]:
        """A worker has not begun these exchanges, and others may be sooner; returns who gets what now.

        They go to the head of the line, whatever the line's limit: they have been accepted already. `count` is how
        many the worker has less, with those that nobody waits for any more.
        """
        slot = self._slots.get(worker)
        if slot is not None:
            self._relieve(worker, slot, count)
        self._line = {**dict.fromkeys(exchanges), **self._line}
        return self._serve_line()

    # ----------------------------------------------------------------------------------------------------------------

    def _serve_line(self) -> list[tuple[W, X]]:
        assignments: list[tuple[W, X]] = []
        while self._line:
            worker = self._take()
            if worker is None:
                break
            exchange = next(iter(self._line))
            del self._line[exchange]
            assignments.append((worker, exchange))
        return assignments

    def _take(self, home: W | None = None) -> W | None:
        """The least loaded worker, or one that is about as free and `home`; with one exchange more."""
        buckets = self._buckets
        while self._lowest < len(buckets):
            bucket = buckets[self._lowest]
            if bucket:
                if home is not None:
                    at_home = self._slots.get(home)
                    if (
                        at_home is not None
                        and at_home.load <= self._lowest + self._lowest // NEAR
                        and at_home.load < len(buckets)  # a full one may have no bucket
                        and home in buckets[at_home.load]
                    ):
                        self._give(home, at_home)
                        return home
                worker, slot = next(iter(bucket.items()))
                self._give(worker, slot)
                return worker
            self._lowest += 1
        return None

    def _take_asleep(self) -> W | None:
        """The least loaded worker of those that are stuck or limited: waiting for one is better than being refused."""
        asleep = [(slot.load, worker) for worker, slot in self._slots.items() if slot.load < slot.capacity]
        if not asleep:
            return None
        worker = min(asleep, key=lambda found: found[0])[1]
        self._slots[worker].load += 1
        return worker

    def _give(self, worker: W, slot: _Slot) -> None:
        self._leave(worker, slot)
        slot.load += 1
        if slot.window:
            slot.budget -= 1
        self._enter(worker, slot)

    def _relieve(self, worker: W, slot: _Slot, count: int) -> None:
        """A worker has so many exchanges less."""
        self._leave(worker, slot)
        slot.load -= count
        self._enter(worker, slot)

    def _enter(self, worker: W, slot: _Slot) -> None:
        """Put a worker that has room into its bucket."""
        load = slot.load
        if load < slot.capacity and not slot.stuck and (not slot.window or slot.budget > 0):
            if load >= len(self._buckets):
                self._buckets += [{} for _ in range(load + 1 - len(self._buckets))]
            self._buckets[load][worker] = slot
            if load < self._lowest:
                self._lowest = load

    def _leave(self, worker: W, slot: _Slot) -> None:
        if slot.load < len(self._buckets):  # one without room stands in no bucket, and its load may have none
            self._buckets[slot.load].pop(worker, None)
