"""The seats of one worker that runs a WSGI app: which thread gets an exchange.

A thread that sleeps costs 20 microseconds to wake, and several that run at once under one GIL cost each other more than
that. So while the app answers quickly, an exchange follows another on a seat that is at work: its thread finds it when
it is done, without ever having slept, and few threads run. The rest are for handlers that wait or compute for longer
than FOLLOW_TIME: whatever follows on such a seat is taken back, and gets another thread.

Only exchanges whose request is complete follow, and they follow only such: nothing but whole requests then waits for
the thread, and any of them can be taken back by itself.
"""

from collections.abc import Callable
from time import monotonic

from snakepit.wire.envelopes import REQUEST, Envelope
from snakepit.wire.loop_ends import MainEnd

FOLLOW_TIME = 0.005
"""Seconds that a seat may be at one exchange until what follows on it is given to another."""

QUICK_APP = 0.001
"""Seconds; an app that takes longer for an exchange, lately and on average, gets a thread for each at once."""

FOLLOWERS = 8
"""Exchanges that may be on one seat: together far less than FOLLOW_TIME where the app is quick."""

_WEIGHT = 0.1  # of the latest exchange in the average


class Seat:
    """One thread's place."""

    __slots__ = ("end", "exchanges", "since", "whole")

    def __init__(self, end: MainEnd) -> None:
        self.end = end
        self.exchanges: list[int] = []  # the one it serves, then those that follow
        self.since = 0.0  # when it began with the first
        self.whole = True  # nothing of their requests is still to come, and others may follow


class Seats:
    """Finds a seat for each exchange, and takes back what waits too long for its thread."""

    def __init__(self, ends: list[MainEnd], clock: Callable[[], float] = monotonic) -> None:
        for end in ends:
            end.one_by_one()
        self._clock = clock
        self._free = [Seat(end) for end in reversed(ends)]  # the one used last comes last
        self._busy: dict[Seat, None] = {}
        self._seat_of: dict[int, Seat] = {}
        self._average = 0.0  # seconds for one exchange, lately

    @property
    def busy(self) -> int:
        """Seats that have an exchange."""
        return len(self._busy)

    def take(self, number: int, whole: bool) -> MainEnd:
        """Find a seat for an exchange; there is one, as long as there are not more exchanges than seats.

        `whole`: its request is complete.
        """
        seat = self._to_follow() if whole and self._busy and self._average < QUICK_APP else None
        if seat is None:
            seat = self._free.pop()
            seat.since = self._clock()
            seat.whole = whole
            self._busy[seat] = None
        seat.exchanges.append(number)
        self._seat_of[number] = seat
        return seat.end

    def leave(self, number: int) -> None:
        """The app is through with an exchange."""
        seat = self._seat_of.pop(number)
        now = self._clock()
        if seat.exchanges[0] == number:
            self._average += (now - seat.since - self._average) * _WEIGHT
        self._drop(seat, number, now)

    def give_up(self, number: int) -> None:
        """An exchange was not begun and goes elsewhere; what its thread is at takes long, and no other follows it."""
        seat = self._seat_of.pop(number)
        seat.whole = False
        self._drop(seat, number, seat.since)

    def overdue(self) -> dict[int, list[Envelope]]:
        """Take back what follows on seats that have been at one exchange for longer than FOLLOW_TIME."""
        came_back: dict[int, list[Envelope]] = {}
        due = self._clock() - FOLLOW_TIME
        for seat in list(self._busy):
            if len(seat.exchanges) > 1 and seat.since < due:
                rest: list[Envelope] = []
                for envelope in seat.end.take_back():
                    kind, number, *_ = envelope
                    if kind == REQUEST and number in self._seat_of:
                        came_back[number] = [envelope]
                        self.give_up(number)
                    else:
                        rest.append(envelope)
                seat.end.put_back(rest)
        return came_back

    @property
    def followed(self) -> bool:
        """Whether an exchange waits for a seat that is at another."""
        return len(self._seat_of) > self.busy

    def _to_follow(self) -> Seat | None:
        due = self._clock() - FOLLOW_TIME
        for seat in self._busy:
            if seat.whole and seat.since >= due and len(seat.exchanges) < FOLLOWERS:
                return seat
        return None

    def _drop(self, seat: Seat, number: int, since: float) -> None:
        seat.exchanges.remove(number)
        if seat.exchanges:
            seat.since = since
        else:
            del self._busy[seat]
            self._free.append(seat)
