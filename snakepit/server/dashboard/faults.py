"""The latest errors of apps, as they were logged, with their tracebacks."""

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit.server.net.transport import name_of_client

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange

KEPT = 50
"""The most errors that are kept; then the oldest is forgotten."""

LONGEST = 20_000
"""Characters of a traceback that are kept: its end, where the error is."""

LONGEST_PATH = 200
"""Characters of a path that are shown."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of an app; `number` grows by one with each, `last_line` says the most in one line."""

    number: int
    time: float
    method: str
    path: str
    client: str
    worker: str
    timed_out: bool
    last_line: str
    text: str


class Faults:
    """Keeps the latest errors."""

    def __init__(self) -> None:
        self.kept: deque[Fault] = deque(maxlen=KEPT)
        self.count = 0
        """How many there were."""

    def add(self, exchange: "Exchange", text: str) -> None:
        """Keep an error of the app."""
        self.count += 1
        text = text.rstrip()
        lines = [line for line in text.splitlines() if line.strip()]
        self.kept.append(
            Fault(
                self.count,
                time.time(),
                exchange.head.method,
                path_of(exchange),
                name_of_client(exchange.endpoints),
                exchange.served_by,
                exchange.timed_out,
                (lines[-1] if lines else "")[:LONGEST_PATH],
                text if len(text) <= LONGEST else f"…{text[-LONGEST:]}",
            )
        )

    def numbered(self, number: int) -> Fault | None:
        """Return the error with this number, if it is still kept."""
        return next((fault for fault in self.kept if fault.number == number), None)


def path_of(exchange: "Exchange") -> str:
    """Return the path of an exchange, without its query, in which there may be secrets."""
    path = exchange.head.target.partition(b"?")[0].decode("latin-1")
    return path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"
