"""The line to a worker's event loop, from the main interpreter's side, and what is known of that loop."""

import asyncio
from collections.abc import Callable
from time import monotonic

from snakepit.wire import envelopes
from snakepit.wire.envelopes import Envelope
from snakepit.wire.loop_ends import MainEnd

LOOP_SILENCE = 0.002
"""Seconds that a worker's loop may be silent until what waits for it is given to others."""

TURNS = 3
"""Turns of this loop after which everything has been heard that workers had rung before."""


class LoopLine:
    """The line to a worker's event loop, and whether that turns.

    `stuck`: the loop was found in a long computation, and has not turned since. `blocked_by`: the exchange for which
    that is, if the watchdog has told. `asked_at`: when the loop was asked for a heartbeat, if nothing was heard since.
    `counted_on`: something of all this is to be forgotten when the loop turns.

    Args:
        missed: called with the seconds since a ring that was not heard, which is a bug.
    """

    def __init__(self, end: MainEnd, loop: asyncio.AbstractEventLoop, missed: Callable[[float], None]) -> None:
        self.end = end
        self.stuck = False
        self.blocked_by = 0
        self.asked_at: float | None = None
        self.counted_on = False
        self._lag_asked = False
        self._loop = loop
        self._missed = missed
        self._unread_since = -1.0  # when it was heard last before something was found unread
        self._unheard = 0.0, 0.0  # after the first no ring of its loop was heard, from before the second none will be

    @property
    def watched(self) -> bool:
        """Whether something waits for the loop, so that `take_back_late` may find something."""
        return not self.stuck and self.end.unheard

    def take_back_late(self) -> dict[int, list[Envelope]]:
        """Take back what waits for a loop that has been silent for too long, which is `stuck` then.

        Returns the exchanges that it has not begun, each as what it was to get.
        """
        if self.stuck or self.end.silent(monotonic()) <= LOOP_SILENCE:
            self._look_for_unread()
            return {}
        self.stuck = self.counted_on = True
        taken, others = unbegun(self.end.take_back())
        self.end.put_back(others)
        return taken

    def _look_for_unread(self) -> None:
        """Ask whether a ring was lost, if the worker has said something that lies there since an earlier look.

        It does not ring for more, as long as it takes this end to be about to read.
        """
        if self.end.unread:
            if self._unread_since == self.end.heard_at:
                self.ask(monotonic())
            self._unread_since = self.end.heard_at

    def ask_heartbeat(self, now: float) -> None:
        """Ask for a sign of life, unless one is due; `now` as by `time.monotonic`."""
        if self.end.unread:
            self.ask(now)
        elif self.asked_at is None:
            self.asked_at, self.counted_on = now, True
            self.end.ask(envelopes.ask_heartbeat())  # a ring would do, but between processes nothing rings

    def ask_lag(self) -> None:
        """Ask how late the loop is, unless that is due."""
        if not self._lag_asked:
            self._lag_asked = True
            self.end.post(envelopes.ask_lag())

    def on_lag(self) -> None:
        """It has said how late it is."""
        self._lag_asked = False

    def ask(self, now: float, turns: int = TURNS) -> None:
        """Have the loop ring, if it has not been heard by then, in some turns; `now` as by `time.monotonic`."""
        end = self.end
        if end.heard_at >= now:
            return
        if turns:
            self._loop.call_soon(self.ask, now, turns - 1)
            return
        heard_at = end.heard_at
        end.ask(envelopes.ask_heartbeat())
        self._unheard, self.counted_on = (heard_at, now), True
        if self.asked_at is None:
            self.asked_at = now

    def on_rung(self) -> None:
        """The loop has turned."""
        self.stuck, self.blocked_by, self.asked_at, self._unheard = False, 0, None, (0.0, 0.0)
        self.counted_on = False

    def on_blocked_by(self, envelope: Envelope) -> None:
        """A BLOCKED_BY came."""
        _, number = envelope
        self.blocked_by = number if self.stuck else 0

    def on_heartbeat(self, envelope: Envelope) -> None:
        """A HEARTBEAT came."""
        _, _, since, until = envelope
        heard_at, asked_at = self._unheard
        if heard_at < since and until < asked_at:
            self._missed(asked_at - until)


def unbegun(posted: list[Envelope]) -> tuple[dict[int, list[Envelope]], list[Envelope]]:
    """Sort what a worker has not taken: the exchanges whose request is among it, and everything else."""
    exchanges: dict[int, list[Envelope]] = {}
    others: list[Envelope] = []
    for envelope in posted:
        kind, number, *_ = envelope
        if kind == envelopes.REQUEST:
            exchanges[number] = [envelope]
        elif kind == envelopes.BODY and number in exchanges:
            exchanges[number].append(envelope)
        else:
            others.append(envelope)
    return exchanges, others
