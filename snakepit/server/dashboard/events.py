"""The latest lines of the server's log, but for errors of apps: starts, reloads, ends of workers."""

import logging
from collections import deque
from dataclasses import dataclass

KEPT = 100
"""The most lines that are kept; then the oldest is forgotten."""

LONGEST = 300
"""Characters of a line that are kept."""

_LEFT_OUT = ("Bad request from", "%s from %s %s in %s", "WebSocket %s from %s failed", "The peer ")
"""The beginnings of messages about what clients do, and of errors of apps: there may be any number of them."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the log; `key` grows by one with each."""

    key: int
    time: float
    level: str
    text: str


class Events(logging.Handler):
    """Keeps the latest lines of a logger. As a handler of its own, it leaves all others as they are."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self.count = 0
        """How many there were."""
        logger.addHandler(self)

    @property
    def latest(self) -> list[Event]:
        """Those that are kept, the latest first."""
        return list(reversed(self._kept))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if str(record.msg).startswith(_LEFT_OUT):
            return
        try:
            first, _, rest = record.getMessage().partition("\n")
        except Exception:  # logging's own handlers report a message that does not fit its arguments
            return
        text = first if len(first) <= LONGEST else f"{first[:LONGEST]}…"
        self.count += 1
        self._kept.append(Event(self.count, record.created, record.levelname.lower(), f"{text} …" if rest else text))

    def close(self) -> None:
        """Hear nothing more."""
        self._logger.removeHandler(self)
        super().close()
