"""The latest events of a server, in the memory of its main interpreter. All methods are for the event loop's thread.

What may happen at any rate, such as refusals, is summed up: there is one event for all of a kind, an app and a reason
that follow each other, and it moves to the end now and then while it grows. So a flood neither displaces what led to
it, nor costs more than an addition for each.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from snakepit.server.events.kinds import Kind
from snakepit.system.moments import timestamp

KEPT = 400
"""The most events that are kept; then the oldest of the most frequent kind is forgotten. So a worker that crashes over
and over for days leaves the start of the server, and the reload before it."""

LONGEST = 300
"""Characters of a text that are kept."""

TELL_AGAIN = 10.0
"""Seconds; the least between two times that a growing event moves to the end."""

APART = 60.0
"""Seconds without another one after which a further one is an event of its own."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened.

    Args:
        number: grows by one with each event, and with each time that one moves to the end.
        key: the number that it had first.
        time, since: when it happened last, and first, in seconds since 1970.
        count: how often, in that time.
        app: the name of the app; empty: it concerns the server.
        worker: the worker's number.
        reason: in a word; empty: the kind says all.
        text: a sentence for people, without its full stop.
    """

    number: int
    key: int
    time: float
    since: float
    count: int
    kind: Kind
    app: str
    worker: int | None
    reason: str
    text: str

    def described(self) -> dict[str, Any]:
        """Describe it as `snakepit events --json` does."""
        return {
            "number": self.number,
            "time": timestamp(self.time),
            "kind": self.kind.value,
            "level": self.kind.level,
            "app": self.app or None,
            "worker": self.worker,
            "reason": self.reason or None,
            "count": self.count,
            "since": timestamp(self.since),
            "text": self.text,
        }


class _Sum:
    """An event that grows. `told` is what of it is among those that are kept, since `told_at`."""

    __slots__ = ("count", "several", "time", "told", "told_at")

    def __init__(self, told: Event) -> None:
        self.count = 0
        self.time = self.told_at = told.time
        self.several = ""
        self.told = told

    @property
    def grown(self) -> bool:
        """Whether more of them have happened than are told."""
        return self.count > self.told.count


class Events:
    """Keeps the latest events, and wakes those who wait for more.

    Args:
        clock: returns the time, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[int, Event] = {}  # by key; the latest comes last
        self._sums: dict[tuple[Kind, str, str], _Sum] = {}
        self._count = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self.ended = False
        """Whether the last event has happened."""

    @property
    def count(self) -> int:
        """The number of the latest event."""
        self._tell_sums(TELL_AGAIN)
        return self._count

    @property
    def latest(self) -> list[Event]:
        """Those that are kept, the latest first."""
        self._tell_sums(0.0)
        return sorted(self._kept.values(), key=_time)[::-1]

    def after(self, number: int) -> list[Event]:
        """Return those that are kept and have a higher number, the latest last."""
        self._tell_sums(TELL_AGAIN if number else 0.0)
        return sorted((event for event in self._kept.values() if event.number > number), key=_time)

    def add(self, kind: Kind, text: str, *, app: str = "", worker: int | None = None, reason: str = "") -> None:
        """Keep an event. Of a text with several lines the gist is kept."""
        now = self._clock()
        number = self._next_number()
        self._keep(Event(number, number, now, now, 1, kind, app, worker, reason, gist(text)))

    def sum_up(self, kind: Kind, one: str, several: str, *, app: str = "", reason: str = "") -> None:
        """Count an event that may happen often.

        Args:
            one: its text.
            several: the text of several, without their number; the latest counts.
        """
        now, which = self._clock(), (kind, app, reason)
        found = self._sums.get(which)
        if found is not None and now - found.time > APART:
            self._tell(found)
            found = None
        if found is None:
            number = self._next_number()
            found = self._sums[which] = _Sum(Event(number, number, now, now, 1, kind, app, None, reason, gist(one)))
            self._keep(found.told)
        found.count += 1
        found.time, found.several = now, several

    def end(self) -> None:
        """Note that nothing more will happen."""
        self.ended = True
        self._wake()

    async def wait_after(self, number: int, seconds: float) -> None:
        """Wait until there is an event with a higher number, or the end, or for so many seconds."""
        if self.ended or self.count > number:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            async with asyncio.timeout(seconds):
                await woken
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(woken)

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def _keep(self, event: Event) -> None:
        self._kept.pop(event.key, None)
        self._kept[event.key] = event
        if len(self._kept) > KEPT:
            [(kind, _)] = Counter(kept.kind for kept in self._kept.values()).most_common(1)
            del self._kept[next(key for key, kept in self._kept.items() if kept.kind is kind)]
        self._wake()

    def _wake(self) -> None:
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)

    def _tell_sums(self, seconds: float) -> None:
        """Keep of events that grow what they have become, unless that was done so many seconds ago, or sooner."""
        if not self._sums:
            return
        now = self._clock()
        for which, found in list(self._sums.items()):
            over = now - found.time > APART
            if over or self.ended or now - found.told_at >= seconds:
                self._tell(found)
            if over:
                del self._sums[which]

    def _tell(self, found: _Sum) -> None:
        if found.grown:
            told, text = found.told, gist(f"{found.count} {found.several}")
            number, found.told_at = self._next_number(), self._clock()
            found.told = replace(told, number=number, time=found.time, count=found.count, text=text)
            self._keep(found.told)


def _time(event: Event) -> float:
    return event.time


def gist(text: str) -> str:
    """Return one line of a text: the first; of one with a traceback, what that ends with, too."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    before, traceback, _ = text.partition("Traceback (most recent call last)")
    line = lines[0]
    if len(lines) > 1 and traceback:
        head = next(iter(before.strip().splitlines()), "").rstrip(": ")
        line = f"{head}: {lines[-1]}" if head else lines[-1]
    elif len(lines) > 1:
        line = f"{line} …"
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
