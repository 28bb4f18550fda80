"""The seats of one worker that runs a WSGI app: which thread gets an exchange.

It costs 20 microseconds to wake a thread that sleeps, and threads that run at once under one GIL cost each other more
than that. So while the app is quick, exchanges follow each other on one seat: its thread finds the next one when it is
done, without having slept, and few threads run. It also keeps its answers for a moment, and sends them together
(`snakepit.wire.ends.BlockingEnd`).

The other threads are for exchanges that take long. A seat is *late* when it has not been heard for PATIENCE although
something waits for it: exchanges that follow, or what its thread may keep. Then the exchanges that follow are taken
back, to get another thread or another worker, and the worker's watchdog sends what the threads keep. They keep nothing
more then until many exchanges have been quick. A late seat gets nothing more until it is free.

Only exchanges whose request is complete follow, and they follow only such: so only whole requests wait for the thread,
an item each, and each can be taken back by itself.
"""

from collections.abc import Callable
from time import monotonic

from snakepit.server.workers.speed import Speed
from snakepit.wire.envelopes import ALL, REQUEST, Envelope
from snakepit.wire.loop_ends import MainEnd

PATIENCE = 0.005
"""Seconds that a seat may be silent until it is late. On a busy machine a thread may well wait for 2 ms for a CPU."""

FOLLOWERS = 16
"""Exchanges that may be on one seat at once, the one at work included, and in a worker that has fewer threads."""

QUICK_ONES = 32
"""Exchanges in a row that must be quicker than PATIENCE until threads may keep answers again. Where every tenth is slow
that is hardly ever so, and nothing is kept."""


class Seat:
    """One thread's place."""

    __slots__ = ("closed", "end", "exchanges", "heard_at", "late", "whole")

    def __init__(self, end: MainEnd) -> None:
        self.end = end
        self.exchanges: list[int] = []  # the one it serves, then those that follow
        self.heard_at = 0.0  # when it was through with an exchange, or got its first
        self.whole = True  # nothing of their requests is still to come
        self.closed = False  # nothing may follow until it is free: its thread is at something slow
        self.late = False  # what had to be done about that has been done

    @property
    def open(self) -> bool:
        """Whether others may follow."""
        return self.whole and not self.closed


class Seats:
    """Finds a seat for each exchange, and takes back what waits too long for its thread.

    `room`: how many exchanges there may be, of which as many as there are threads are at work.

    Args:
        release: has the worker send what its threads keep; called with the number up to which exchanges' answers may
            not be kept any more.
        resized: called when `room` has changed, or may have.
    """

    def __init__(
        self,
        ends: list[MainEnd],
        release: Callable[[int], None],
        resized: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        for end in ends:
            end.one_by_one()
        self._release = release
        self._resized = resized
        self._clock = clock
        self._count = len(ends)
        self._free = [Seat(end) for end in reversed(ends)]  # the one used last comes last
        self._busy: dict[Seat, None] = {}
        self._seat_of: dict[int, Seat] = {}
        self._speed = Speed()
        self._highest = 0  # number of an exchange
        self._released = 0  # threads may keep the answers of exchanges above this number
        self._quick_ones = 0  # in a row
        self.room = max(self._count, FOLLOWERS)
        self.unsettled = False
        self._told = True  # what room there is

    @property
    def busy(self) -> int:
        """Seats that have an exchange."""
        return len(self._busy)

    def have_reacted(self, since: float) -> bool:
        """Tell whether a thread is free, or was heard of since then; `since` as by `time.monotonic`."""
        return bool(self._free) or any(seat.end.heard_at >= since for seat in self._busy)

    def take(self, number: int, whole: bool) -> MainEnd:
        """Find a seat for an exchange.

        There is one as long as there are fewer exchanges than threads, or, if its request is complete (`whole`), fewer
        than `room`. If the seats are `unsettled` then, call `settle` once the exchange is with its thread.
        """
        now = self._clock()
        quick = self._speed.quick or self._speed.look(now)
        seat = self._to_follow(now) if whole and quick and self._busy else None
        if seat is None:
            if self._free:
                seat = self._free.pop()
                seat.heard_at, seat.whole, seat.closed, seat.late = now, whole, False, False
                self._busy[seat] = None
            else:
                seat = min(filter(_is_open, self._busy), key=_length)
        seat.exchanges.append(number)
        self._seat_of[number] = seat
        if number > self._highest:
            self._highest = number
        self.unsettled = not whole or not quick or self.room < FOLLOWERS
        if not whole:
            self._told = False
        return seat.end

    def settle(self) -> None:
        """Say what room there is, if that has changed, or if nothing may follow the exchange that came last."""
        self.unsettled = False
        room = self._count
        if room < FOLLOWERS and self._speed.quick and (self._free or any(seat.open for seat in self._busy)):
            room = FOLLOWERS
        if room != self.room or not self._told:
            self.room, self._told = room, True
            self._resized()

    def leave(self, number: int) -> None:
        """The app is through with an exchange."""
        seat = self._seat_of.pop(number)
        now = self._clock()
        if seat.whole:  # otherwise its client may have taken the time
            self._speed.note(seat.heard_at, now)
            if self._released == ALL:
                self._count_quick(now - seat.heard_at)
        self._drop(seat, number)
        seat.heard_at = now
        if not self._speed.quick or self.room < FOLLOWERS:
            self.settle()

    def give_up(self, number: int) -> None:
        """An exchange was declined: its thread waits for the client of another, and nothing more may follow there."""
        seat = self._seat_of.pop(number)
        seat.closed = True
        self._drop(seat, number)
        self.settle()

    def overdue(self) -> dict[int, list[Envelope]]:
        """Take back what follows on seats that have been silent for longer than PATIENCE; release what they keep."""
        came_back: dict[int, list[Envelope]] = {}
        due = self._clock() - PATIENCE
        late = [seat for seat in self._busy if seat.heard_at < due and self._may_be_late(seat) and not seat.end.unread]
        for seat in late:
            seat.late = seat.closed = True
            if len(seat.exchanges) > 1:
                came_back |= self._take_back(seat)
        if late and self._released != ALL:
            self._released, self._quick_ones = ALL, 0
            self._release(ALL)
        self.settle()
        return came_back

    @property
    def watched(self) -> bool:
        """Whether something waits for a thread that is at something else, so that `overdue` may find something."""
        return any(map(self._may_be_late, self._busy))

    def _may_be_late(self, seat: Seat) -> bool:
        return not seat.late and (len(seat.exchanges) > 1 or (seat.whole and seat.exchanges[-1] > self._released))

    def _count_quick(self, seconds: float) -> None:
        """Count an exchange that took so many seconds; have threads keep the answers of those to come if it is time."""
        self._quick_ones = self._quick_ones + 1 if seconds < PATIENCE else 0
        if self._quick_ones == QUICK_ONES:
            self._released = self._highest
            self._release(self._highest)

    def _take_back(self, seat: Seat) -> dict[int, list[Envelope]]:
        """Take back the exchanges that follow on a seat.

        The first stays, even if its thread has not begun it: no other thread of the worker could, if this one can't.
        """
        first = seat.exchanges[0]
        came_back: dict[int, list[Envelope]] = {}
        rest: list[Envelope] = []
        for envelope in seat.end.take_back():
            kind, number, *_ = envelope
            if kind == REQUEST and number != first:
                came_back[number] = [envelope]
                self._drop(self._seat_of.pop(number), number)
            else:
                rest.append(envelope)
        seat.end.put_back(rest)
        return came_back

    def _to_follow(self, now: float) -> Seat | None:
        due = now - PATIENCE
        for seat in self._busy:
            if seat.whole and not seat.closed and seat.heard_at >= due and len(seat.exchanges) < FOLLOWERS:
                return seat
        return None

    def _drop(self, seat: Seat, number: int) -> None:
        seat.exchanges.remove(number)
        if not seat.exchanges:
            del self._busy[seat]
            self._free.append(seat)


def _is_open(seat: Seat) -> bool:
    return seat.open


def _length(seat: Seat) -> int:
    return len(seat.exchanges)
