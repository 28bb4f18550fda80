"""Which worker gets an exchange, and who waits. Pure: it takes facts and returns the assignments to carry out.

Least loaded first, in constant time: workers with room stand in buckets by the number of exchanges they have, and
the lowest bucket that is not empty is remembered. Within a bucket the one that waited longest comes first. One that got
more at home than it had when it was put into its bucket is put into the right one when it would be chosen: most have
got rid of it before.
An exchange may have a worker where it feels at home, since that had the one before it on the same connection: it gets
that one while it is about as free as the least loaded (NEAR), for what the app and its caches hold there.
When no worker has room, exchanges wait in one line, oldest first, so that none waits behind a busy worker while
another has room. The line is bounded; who finds it full waits for a stuck worker, and where all are full, is refused.

A worker whose threads are quick may have more than they can begin, and finds the next without having slept. What waits
there, ahead of those in the line, counts as waiting, too.

A worker that is stuck (its loop is in a long computation) has no room, however few exchanges it has. When it turns
again, it gets one exchange from the line, then two when it has taken that one promptly, then four: the first may well
be the next long computation, and what was given away behind it could not be given to another.
"""

from collections.abc import Hashable
from enum import Enum, auto
from typing import cast

NEAR = 4
"""A worker is about as free as the least loaded if it has at most one exchange more for each NEAR that that one has: so
nobody waits beside a busy worker while another has nothing to do, and one more or less among many moves nobody."""

_NOWHERE = 1 << 60  # the bucket of a worker that has no room
_UNLIMITED = 1 << 10  # a worker that has taken so many at once and promptly may have what comes


class Unassigned(Enum):
    """What becomes of an exchange that no worker gets now."""

    WAITS = auto()
    """It stands in the line."""
    REFUSED = auto()
    """All workers are full, and the line is."""


class _Slot:
    """What is known of a worker."""

    __slots__ = ("at", "budget", "capacity", "load", "most", "room", "stuck", "window")

    def __init__(self, capacity: int, room: int) -> None:
        self.capacity = capacity  # exchanges that it can have begun
        self.room = room  # exchanges that it may have, with those that wait there
        self.load = 0
        self.at = _NOWHERE  # its bucket, which is not above its load
        self.stuck = False
        self.window = 0  # how many it may get until it is heard of; 0: no such limit
        self.budget = 0  # what is left of the window
        self.most = room  # 0 while it is stuck or limited by a window: then look closer

    @property
    def free(self) -> bool:
        """Whether it may have one more now."""
        if self.most:
            return self.load < self.most
        return self.load < self.room and not self.stuck and (not self.window or self.budget > 0)

    def changed(self) -> None:
        """What limits it has changed."""
        self.most = 0 if self.stuck or self.window else self.room


class Dispatcher[W: Hashable, X: Hashable]:
    """The policy for one pool of workers (W) and their exchanges (X).

    Args:
        line_limit: how many exchanges may wait.
    """

    def __init__(self, line_limit: int) -> None:
        self._line_limit = line_limit
        self._line: dict[X, bool] = {}  # ordered; any may leave, whose client goes. Whether it may wait in a worker
        self._few = False  # may wait, fewer than workers have room for
        self._slots: dict[W, _Slot] = {}
        self._buckets: list[dict[W, _Slot]] = [{}]
        self._lowest = 0  # no bucket below this one holds a worker
        self._near = 0  # with as many, a worker is about as free as the least loaded

    def __repr__(self) -> str:
        loads = ", ".join(f"{worker} {slot.load}/{slot.capacity}" for worker, slot in self._slots.items())
        return f"<Dispatcher [{loads}] waiting {len(self._line)}>"

    @property
    def waiting(self) -> int:
        """Exchanges in the line, and those that workers have and can't begin yet."""
        return len(self._line) + self._ahead

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

    def add(self, worker: W, capacity: int, room: int = 0) -> list[tuple[W, X]]:
        """A worker became ready for `capacity` exchanges at once; returns what it gets from the line.

        `room`: how many it may have, with those that wait there, if that is more.
        """
        slot = self._slots[worker] = _Slot(capacity, max(capacity, room))
        self._look_at_room()
        self._enter(worker, slot)
        return self._serve_line()

    def resize(self, worker: W, capacity: int, room: int = 0) -> list[tuple[W, X]]:
        """A worker may have so many exchanges from now on; returns who gets what from the line now."""
        slot = self._slots.get(worker)
        if slot is None:
            return []
        self._leave(worker, slot)
        slot.capacity, slot.room = capacity, max(capacity, room)
        slot.changed()
        self._look_at_room()
        self._enter(worker, slot)
        return self._serve_line()

    def remove(self, worker: W) -> None:
        """A worker gets nothing more. What it has must be submitted again or given up by the caller."""
        slot = self._slots.pop(worker, None)
        if slot is not None:
            self._leave(worker, slot)
            self._look_at_room()

    def submit(self, exchange: X, home: W | None = None, ahead: bool = True) -> W | Unassigned:
        """Find a worker for an exchange, if possible its `home`; or else have it wait, or refuse it.

        `ahead`: it may wait in a worker that can't begin it yet.
        """
        may_wait = ahead and not (self._few and self._ahead >= self._line_limit)
        if not self._line:
            at_home = self._slots.get(home) if home is not None else None
            if (
                at_home is not None
                and at_home.load <= self._near
                and at_home.load < at_home.most
                and (may_wait or at_home.load < at_home.capacity)
            ):
                at_home.load += 1
                return cast("W", home)
            worker = self._take(home, may_wait)
            if worker is not None:
                return worker
        if self.waiting < self._line_limit:
            self._line[exchange] = ahead
            return Unassigned.WAITS
        worker = self._take_asleep()
        return worker if worker is not None else Unassigned.REFUSED

    def submit_to(self, worker: W) -> bool:
        """Give an exchange to this worker, if it has room and nothing waits in the line."""
        slot = self._slots.get(worker)
        if slot is None or self._line or not slot.free or slot.load >= slot.capacity:
            return False
        if slot.most:
            slot.load += 1
        else:
            self._give(worker, slot)
        return True

    def insist(self, worker: W, ahead: bool = True) -> bool:
        """Give an exchange to this worker, which alone can serve it, unless it is full; stuck or not."""
        slot = self._slots.get(worker)
        if slot is None or slot.load >= (slot.room if ahead else slot.capacity):
            return False
        self._give(worker, slot)
        return True

    def withdraw(self, exchange: X) -> list[tuple[W, X]]:
        """An exchange in the line is given up; returns who gets what from the line now.

        Others may have waited behind it that may wait in a worker.
        """
        self._line.pop(exchange, None)
        return self._serve_line() if self._line else []

    def clear_line(self) -> list[X]:
        """No worker is to be expected; returns who waited, and waits no more."""
        line, self._line = self.line, {}
        return line

    def finished(self, worker: W, count: int = 1) -> list[tuple[W, X]]:
        """A worker is through with so many exchanges; returns who gets what from the line now."""
        slot = self._slots.get(worker)
        if slot is None:
            return []  # removed meanwhile
        slot.load -= count
        if slot.load < slot.at:
            self._leave(worker, slot)
            self._enter(worker, slot)
        return self._serve_line() if self._line else []

    # -- who is awake ------------------------------------------------------------------------------------------------

    def stuck(self, worker: W) -> None:
        """A worker gets nothing until it is heard of."""
        slot = self._slots.get(worker)
        if slot is not None:
            self._leave(worker, slot)
            slot.stuck = True
            slot.changed()

    def limits(self, worker: W) -> bool:
        """Whether a worker gets only so much, or nothing, until it is heard of."""
        slot = self._slots.get(worker)
        return slot is not None and (slot.stuck or slot.window > 0)

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
        slot.changed()
        self._enter(worker, slot)
        return self._serve_line()

    def give_back(self, worker: W, exchanges: list[X], count: int) -> list[tuple[W, X]]:
        """A worker has not begun these exchanges, and others may be sooner; returns who gets what now.

        They go to the head of the line, whatever the line's limit: they have been accepted already. `count` is how many
        the worker has less, with those that no client waits for any more.
        """
        slot = self._slots.get(worker)
        if slot is not None:
            self._relieve(worker, slot, count)
        self._line = {**dict.fromkeys(exchanges, True), **self._line}
        return self._serve_line()

    # ----------------------------------------------------------------------------------------------------------------

    def _serve_line(self) -> list[tuple[W, X]]:
        assignments: list[tuple[W, X]] = []
        while self._line:
            exchange, ahead = next(iter(self._line.items()))
            worker = self._take(None, ahead)
            if worker is None:
                break
            del self._line[exchange]
            assignments.append((worker, exchange))
            if not ahead:  # nothing may wait behind it: the worker will say what room it has beside it (`resize`)
                break
        return assignments

    def _take(self, home: W | None, ahead: bool) -> W | None:
        """The least loaded worker, or one that is about as free and `home`; with one exchange more.

        `ahead`: it need not be able to begin it.
        """
        buckets = self._buckets
        at = self._lowest
        while at < len(buckets):
            bucket = buckets[at]
            if not bucket:
                at += 1
                continue
            worker, slot = next(iter(bucket.items()))
            if slot.load != at:  # it has got more at home since it was put here
                del bucket[worker]
                slot.at = _NOWHERE
                self._enter(worker, slot)
                continue
            self._set_lowest(at)
            if home is not None:
                at_home = self._slots.get(home)
                if (
                    at_home is not None
                    and at_home.load <= self._near
                    and at_home.free
                    and (ahead or at_home.load < at_home.capacity)
                ):
                    if at_home.most:
                        at_home.load += 1
                    else:
                        self._give(home, at_home)
                    return home
            if at >= slot.capacity and not ahead:
                return self._take_that_can_begin()
            self._give(worker, slot)
            return worker
        self._set_lowest(at)
        return None

    def _take_that_can_begin(self) -> W | None:
        found = [(slot.load, worker) for worker, slot in self._slots.items() if slot.free and slot.load < slot.capacity]
        if not found:
            return None
        worker = min(found, key=lambda each: each[0])[1]
        self._give(worker, self._slots[worker])
        return worker

    @property
    def _ahead(self) -> int:
        """Exchanges that workers have and can't begin yet."""
        return sum(slot.load - slot.capacity for slot in self._slots.values() if slot.load > slot.capacity)

    def _look_at_room(self) -> None:
        self._few = sum(slot.room - slot.capacity for slot in self._slots.values()) > self._line_limit

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
        if slot.free:
            load = slot.load
            if load >= len(self._buckets):
                self._buckets += [{} for _ in range(load + 1 - len(self._buckets))]
            self._buckets[load][worker] = slot
            slot.at = load
            if load < self._lowest:
                self._set_lowest(load)

    def _leave(self, worker: W, slot: _Slot) -> None:
        if slot.at is not _NOWHERE:
            del self._buckets[slot.at][worker]
            slot.at = _NOWHERE

    def _set_lowest(self, at: int) -> None:
        self._lowest = at
        self._near = at + at // NEAR
