"""What `snakepit top` has seen of a server, and the rates that follow from it."""

from collections import deque
from collections.abc import Mapping
from typing import Any

KEPT = 300
"""Looks back that are kept, for the line of the past."""


class Looks:
    """What was seen of a server: the latest state, the rates since the one before, and those of the past.

    `rate` and `errors` are in a second, None where that is not known yet; `told` is the last message for people,
    and `stack` a request and where it was, in the place of the requests; empty: none.
    """

    def __init__(self) -> None:
        self.state: Mapping[str, Any] = {}
        self.rate: float | None = None
        self.errors: float | None = None
        self.rates: deque[float] = deque(maxlen=KEPT)
        self.told = ""
        self.stack = ("", "")

    def add(self, state: Mapping[str, Any]) -> None:
        """Take a state."""
        before, self.state = self.state, state
        if not before or before["server"]["pid"] != state["server"]["pid"] or state["time"] <= before["time"]:
            self.rate = self.errors = None
            return
        seconds = state["time"] - before["time"]
        self.rate = max(0, state["requests"] - before["requests"]) / seconds
        self.errors = max(0, state["errors"] - before["errors"]) / seconds if state["counted"] else None
        self.rates.append(self.rate)
