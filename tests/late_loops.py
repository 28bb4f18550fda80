"""A fake event loop whose timers are late."""

from types import SimpleNamespace


class LateLoop:
    """A loop whose timers are late by so much."""

    def __init__(self, now=0.0):
        self.now = now
        self.due = []

    def time(self):
        return self.now

    def call_at(self, when, call, *args):
        self.due.append((when, call, args))
        return SimpleNamespace(cancel=self.due.clear)

    def go_on(self, late):
        when, call, args = self.due.pop()
        self.now = when + late
        call(*args)
