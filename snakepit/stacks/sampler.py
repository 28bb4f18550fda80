"""Samples the stacks of this interpreter's threads, and adds up the time that each stack takes."""

import sys
from time import perf_counter
from typing import TYPE_CHECKING

from snakepit.stacks.machinery import Call, ours
from snakepit.stacks.stack import Sampled
from snakepit.stacks.thread_frames import BOOTSTRAP, calls_of, innermost, thread_of

if TYPE_CHECKING:
    from types import CodeType

MOST_STACKS = 20_000
"""The most different stacks that are kept while sampling; the time of further ones is kept without them."""

MOST_TOLD = 2000
"""The most stacks that are told, those that took longest."""

MOST_CALLS = 200
"""The most calls of a stack, the innermost."""


class Sampler:
    """Adds up samples; the time between two counts for the stacks of the second."""

    def __init__(self) -> None:
        self._last = perf_counter()
        self._seconds: dict[tuple[str, bool, tuple[tuple[CodeType, int], ...]], float] = {}

    def sample(self) -> None:
        """Look at all threads but the calling one."""
        this = sys._getframe()
        now = perf_counter()
        passed, self._last = now - self._last, now
        for frame in innermost():
            calls = calls_of(frame)
            if this in calls:
                continue
            thread = thread_of(calls[-1])
            name = "not Python's" if thread is None else thread.name
            is_thread = calls[-1].f_code is BOOTSTRAP
            key = name, is_thread, tuple((call.f_code, call.f_lineno or 0) for call in calls[:MOST_CALLS])
            if key not in self._seconds and len(self._seconds) >= MOST_STACKS:
                key = name, True, ()
            self._seconds[key] = self._seconds.get(key, 0.0) + passed

    def told(self) -> Sampled:
        """Return the app's calls; threads are left out while they ran none of them."""
        positions: dict[Call, int] = {}
        samples: dict[tuple[str, tuple[int, ...]], float] = {}
        for (name, is_thread, stack), seconds in self._seconds.items():
            calls = [(code.co_filename, line, code.co_qualname) for code, line in reversed(stack)]
            shown = [call for call, is_ours in zip(calls, ours(calls, is_thread), strict=True) if not is_ours]
            if shown or not stack:
                key = name, tuple(positions.setdefault(call, len(positions)) for call in shown)
                samples[key] = samples.get(key, 0.0) + seconds
        longest = sorted(samples.items(), key=lambda item: -item[1])[:MOST_TOLD]
        return list(positions), [(name, list(calls), seconds) for (name, calls), seconds in longest]
