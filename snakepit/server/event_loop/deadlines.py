"""Many deadlines of one length behind a single timer.

All keys have the same time, so they expire in the order in which they were added: one timer for the oldest is enough,
and adding or discarding is a dict operation. A timer for each connection would cost each request two heap operations.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from itertools import chain, islice
from typing import Protocol

LOOK_AGAIN = 1.0
"""Seconds; the least after which a key that is not idle is looked at again."""

LOOKED_AT = 64
"""Keys among which one is searched for: a bound on the time that a search takes."""


class Deadline[K](Protocol):
    """What keeps a deadline for each key: `Deadlines` of this class of keys, or of one that contains it."""

    def add(self, key: K) -> None:
        """Start a key's time, again if it was added before."""

    def discard(self, key: K) -> None:
        """Stop a key's time."""


class Deadlines[K: Hashable]:
    """Deadlines that call `expired` with each key that was not discarded within `seconds`; None: never."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None, expired: Callable[[K], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = expired
        self._due: dict[K, float] = {}  # in the order in which they expire
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._due

    def add(self, key: K) -> None:
        """Start a key's time, again if it was added before."""
        self._due.pop(key, None)
        if self._seconds is None:
            return
        due = self._due[key] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._fire)

    def discard(self, key: K) -> None:
        """Stop a key's time. The timer is not changed, since most keys never expire."""
        self._due.pop(key, None)

    def first(self, fits: Callable[[K], bool], age: float = 0.0) -> K | None:
        """Return the oldest key that fits, of the oldest LOOKED_AT; only those whose time has run for `age` seconds."""
        latest = self._loop.time() - age + (self._seconds or 0.0)
        for key in islice(self._keys(), LOOKED_AT):
            if self._due.get(key, latest) > latest:
                break
            if fits(key):
                return key
        return None

    def close(self) -> None:
        """Cancel every deadline."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _keys(self) -> Iterator[K]:
        return iter(self._due)

    def _fire(self) -> None:
        now = self._loop.time()
        while self._due:
            key, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._fire)
                return
            del self._due[key]
            self._fell_due(key, now)  # which may add or discard
        self._timer = None

    def _fell_due(self, key: K, now: float) -> None:
        self._expired(key)


class IdleDeadlines[K: Hashable](Deadlines[K]):
    """Calls `expired` with each key that has been idle for `seconds`, and is told nothing when that begins or ends.

    So becoming idle, which a connection does with each request, costs nothing here: it is looked for when the time of
    one would be over that had been idle all along. A key stays in until it expires or is discarded.

    Args:
        idle_since: returns since when a key is idle, in loop time; None: it is not.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float | None,
        idle_since: Callable[[K], float | None],
        expired: Callable[[K], None],
    ) -> None:
        super().__init__(loop, seconds, expired)
        self._idle_since = idle_since
        self._later: dict[K, asyncio.TimerHandle] = {}  # that were not idle all along, each with a timer of its own

    def __len__(self) -> int:
        return super().__len__() + len(self._later)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._later

    def add(self, key: K) -> None:
        self.discard(key)
        super().add(key)

    def discard(self, key: K) -> None:
        super().discard(key)
        if self._later and (timer := self._later.pop(key, None)) is not None:
            timer.cancel()

    def _keys(self) -> Iterator[K]:
        return chain(self._later, self._due)

    def close(self) -> None:
        super().close()
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

    def _fell_due(self, key: K, now: float) -> None:
        assert self._seconds is not None
        since = self._idle_since(key)
        due = since + self._seconds if since is not None else now + max(self._seconds, LOOK_AGAIN)
        if due > now:
            self._later[key] = self._loop.call_at(due, self._look_again, key)
        else:
            self._expired(key)

    def _look_again(self, key: K) -> None:
        del self._later[key]
        self._fell_due(key, self._loop.time())
