"""Samples the stacks of this interpreter's threads, and adds up the time that each stack takes."""

import sys
import threading
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from snakepit.stacks.machinery import Call, ours, waits
from snakepit.stacks.stack import Sampled
from snakepit.stacks.thread_frames import BOOTSTRAP, stacks, thread_of

if TYPE_CHECKING:
    from types import CodeType

MOST_STACKS = 20_000
"""The most different stacks that are kept while sampling; the time of further ones is kept without them."""

MOST_TOLD = 2000
"""The most stacks that are told, those that took longest."""

MOST_CALLS = 200
"""The most calls of a stack, the innermost."""


SWITCH_INTERVAL = 0.00001
"""Seconds after which a thread that computes hands the GIL over to the one that samples. After Python's own, 0.005 s,
most callbacks of an event loop are over: they would be seen in no sample, and what waits instead in each."""


class Sampler:
    """Adds up samples; the time between two counts for the stacks of the second. `close` it."""

    PAUSE = 0.02
    """Seconds between samples. Every 0.01 s cost an app that computes 5 to 10 %: its thread has to get the GIL back
    each time."""

    def __init__(self) -> None:
        _switch_often.begin(self)
        self._last = perf_counter()
        self._seconds: dict[tuple[str, bool, tuple[tuple[CodeType, int], ...]], float] = {}

    def close(self) -> None:
        """Sample no more."""
        _switch_often.end(self)

    def sample(self) -> None:
        """Look at all threads but the calling one."""
        now = perf_counter()
        passed, self._last = now - self._last, now
        for calls, lines in stacks():
            thread = thread_of(calls[-1])
            name = "not Python's" if thread is None else thread.name
            codes = [call.f_code for call in calls[:MOST_CALLS]]
            key = name, calls[-1].f_code is BOOTSTRAP, tuple(zip(codes, lines[:MOST_CALLS], strict=True))
            if key not in self._seconds and len(self._seconds) >= MOST_STACKS:
                key = name, True, ()
            self._seconds[key] = self._seconds.get(key, 0.0) + passed

    def told(self) -> Sampled:
        """Return the app's calls; threads are left out while they ran none of them."""
        found = []
        for name, is_thread, calls, seconds in self._sampled():
            shown = _apps(calls, is_thread)
            if shown or not calls:
                found.append((name, shown, seconds))
        return _packed(found)

    def told_of_main(self, with_apps: bool) -> Sampled:
        """Return all calls of the main interpreter's threads, which are left out while they wait for something to do.

        `with_apps`: otherwise what `told` returns is left out.
        """
        found = []
        for name, is_thread, calls, seconds in self._sampled():
            if calls and not waits(calls[-1]) and (with_apps or not _apps(calls, is_thread)):
                found.append((name, calls, seconds))
        return _packed(found)

    def _sampled(self) -> Iterator[tuple[str, bool, list[Call], float]]:
        for (name, is_thread, stack), seconds in self._seconds.items():
            yield (
                name,
                is_thread,
                [(code.co_filename, line, code.co_qualname) for code, line in reversed(stack)],
                seconds,
            )


class _SwitchInterval:
    """This interpreter's switch interval, while one samples, or several do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samplers: set[Sampler] = set()
        self._before = 0.0

    def begin(self, sampler: Sampler) -> None:
        with self._lock:
            if not self._samplers:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_INTERVAL)
            self._samplers.add(sampler)

    def end(self, sampler: Sampler) -> None:
        with self._lock:
            if self._samplers == {sampler}:
                sys.setswitchinterval(self._before)
            self._samplers.discard(sampler)


_switch_often = _SwitchInterval()


def _apps(calls: list[Call], is_thread: bool) -> list[Call]:
    return [call for call, is_ours in zip(calls, ours(calls, is_thread), strict=True) if not is_ours]


def _packed(stacks: list[tuple[str, list[Call], float]]) -> Sampled:
    positions: dict[Call, int] = {}
    samples: dict[tuple[str, tuple[int, ...]], float] = {}
    for name, calls, seconds in stacks:
        key = name, tuple(positions.setdefault(call, len(positions)) for call in calls)
        samples[key] = samples.get(key, 0.0) + seconds
    longest = sorted(samples.items(), key=lambda item: -item[1])[:MOST_TOLD]
    return list(positions), [(name, list(calls), seconds) for (name, calls), seconds in longest]
