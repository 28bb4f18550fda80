"""The latest errors of apps, as they were logged, with their tracebacks."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit.server.net.transport import name_of_client

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange

KEPT = 50
"""The most errors that are kept; then the oldest is forgotten."""

LONGEST = 20_000
"""Characters of a traceback that are kept: its end, where the error is."""

LONGEST_LINE = 200
"""Characters of a path, and of the last line of a traceback, that are shown."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of an app, as it came last: `times` says how often it has come, for the same path.

    `number` is that of the last time among all errors, and `key` that of the first; `last_line` says the most.
    """

    number: int
    key: int
    times: int
    time: float
    method: str
    path: str
    client: str
    worker: str
    last_line: str
    text: str


class Faults:
    """Keeps the latest errors; those of one request again and again as one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Fault] = {}  # the latest comes last
        self.count = 0
        """How many there were."""

    @property
    def latest(self) -> list[Fault]:
        """Those that are kept, the latest first."""
        return list(reversed(self._kept.values()))

    def add(self, exchange: "Exchange", text: str) -> None:
        """Keep an error of the app."""
        self.count += 1
        text = text.rstrip()
        lines = [line for line in text.splitlines() if line.strip()]
        last_line = (lines[-1] if lines else "")[:LONGEST_LINE]
        method, path = exchange.head.method, path_of(exchange)
        before = self._kept.pop((method, path, last_line), None)
        self._kept[method, path, last_line] = Fault(
            number=self.count,
            key=self.count if before is None else before.key,
            times=1 if before is None else before.times + 1,
            time=time.time(),
            method=method,
            path=path,
            client=name_of_client(exchange.endpoints),
            worker=exchange.served_by,
            last_line=last_line,
            text=text if len(text) <= LONGEST else f"…{text[-LONGEST:]}",
        )
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def numbered(self, number: int) -> Fault | None:
        """Return the error with this number, if it is still kept."""
        return next((fault for fault in self._kept.values() if fault.number == number), None)


def path_of(exchange: "Exchange") -> str:
    """Return the path of an exchange, without its query, in which there may be secrets."""
    path = exchange.head.target.partition(b"?")[0].decode("latin-1")
    return path if len(path) <= LONGEST_LINE else f"{path[:LONGEST_LINE]}…"
