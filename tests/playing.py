"""Loops whose clock the test advances."""

import asyncio
from functools import partial

from fakes import fake_of
from waiting import turn


class HandLoop(asyncio.SelectorEventLoop):
    """A real loop whose clock stands still until the test advances it."""

    now = 1000.0

    def time(self):
        return self.now


async def advance(seconds):
    """Let time pass; what falls due on the way happens at its time."""
    loop = asyncio.get_running_loop()
    for _ in range(round(seconds * 4)):
        loop.now += 0.25
        await turn()


@fake_of(asyncio.TimerHandle)
class Timer:
    """The result of call_at."""

    def __init__(self, when, callback, args):
        self._when = when
        self._callback, self._args = callback, args
        self._cancelled = False

    def when(self):
        return self._when

    def cancel(self):
        self._cancelled = True

    def cancelled(self):
        return self._cancelled

    def run(self):
        self._callback(*self._args)


@fake_of(asyncio.AbstractEventLoop)
class TimerLoop:
    """An event loop that has nothing but a clock and what is to be called: nothing runs by itself."""

    def __init__(self):
        self.now = 100.0
        self.soon = []  # what call_soon was given
        self._timers = []

    def time(self):
        return self.now

    def call_soon(self, callback, *args, context=None):
        self.soon.append(partial(callback, *args) if args else callback)

    def call_at(self, when, callback, *args, context=None):
        timer = Timer(when, callback, args)
        self._timers.append(timer)
        return timer

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args)

    @property
    def pending(self):
        return [timer for timer in self._timers if not timer.cancelled()]

    def advance(self, seconds):
        """Let time pass; what falls due on the way, of that and of what comes of it, is called at its time."""
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer.when() <= end]:
            timer = min(due, key=Timer.when)
            self._timers.remove(timer)
            self.now = max(self.now, timer.when())
            timer.run()
        self.now = end

    def jump(self, seconds):
        """Let time pass at once, as where the process stood still: what fell due meanwhile is called late."""
        self.now += seconds
        for timer in [timer for timer in self.pending if timer.when() <= self.now]:
            self._timers.remove(timer)
            timer.run()
