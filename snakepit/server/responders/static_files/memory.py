"""A cache with a limit in bytes.

What was put there longest ago goes first. What is in demand is put anew each second, so it stays.
"""

from collections.abc import Hashable

OVERHEAD = 1024
"""Bytes; what an entry takes beside what it says itself: its objects, and the cache's."""


class Memory[K: Hashable, V]:
    """A cache whose entries together cost no more than `most` bytes, by what is said of each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[K, tuple[V, int]] = {}
        self.size = 0

    def get(self, key: K) -> V | None:
        """Return an entry; None if there is none."""
        found = self._entries.get(key)
        return None if found is None else found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep an entry of so many bytes in place of an older one, and let others go for it if need be."""
        self.drop(key)
        size += OVERHEAD
        if size > self._most:
            return
        while self.size + size > self._most:
            self.drop(next(iter(self._entries)))
        self._entries[key] = value, size
        self.size += size

    def drop(self, key: K) -> None:
        """Let an entry go, if there is one."""
        found = self._entries.pop(key, None)
        if found is not None:
            self.size -= found[1]
