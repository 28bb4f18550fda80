"""Many deadlines of one length behind a single timer.

Everything put in has the same time to live, so the order of putting in is the order of falling due: one timer for
the oldest is enough, and adding or discarding is a dict operation. A timer per connection would cost each request
two heap operations.
"""

import asyncio
from collections.abc import Callable, Hashable


class Deadlines[K: Hashable]:
    """Calls `expired` with each key that stayed in for `seconds`; None: never."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None, expired: Callable[[K], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = expired
        self._due: dict[K, float] = {}  # in the order they fall due
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._due

    def add(self, key: K) -> None:
        """Start a key's time, anew if it was in already."""
        self._due.pop(key, None)
        if self._seconds is None:
            return
        due = self._due[key] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._fire)

    def discard(self, key: K) -> None:
        """Stop a key's time. The timer is left to find that out by itself: most keys never fall due."""
        self._due.pop(key, None)

    def close(self) -> None:
        """Cancel every deadline."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        now = self._loop.time()
        while self._due:
            key, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._fire)
                return
            del self._due[key]
            self._expired(key)  # which may add or discard
        self._timer = None
