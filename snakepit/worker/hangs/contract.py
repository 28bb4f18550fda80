"""What hangs in a worker, and how it is ended: by an exception that is raised in it.

It is raised only where the app's code runs. In Snakepit's own, a thread waits for the client or for room in a channel,
and is told by its channel.

How that is done while the app is imported, for a WSGI app and for an ASGI app, is in `app_import`, `wsgi_threads` and
`asgi_tasks`.
"""

from typing import Protocol

from snakepit.errors import Interrupted
from snakepit.wire.envelopes import Envelope

NOTHING = "", False
"""What `end_exchange` returns where nothing runs for an exchange."""


class Interruptible(Protocol):
    """What a worker does, as its watchdog sees it: something that can be ended."""

    def end_exchange(self, number: int, error: type[Interrupted], /) -> tuple[str, bool] | None:
        """End what is done for an exchange.

        Returns what ran there and whether that was aside, as in `envelopes.interrupted`; None: something does, and
        has to be looked at later.
        """

    def held_up(self) -> list[Envelope]:
        """Take what was answered and can't leave, and what was taken and can't begin; for the caller to send."""

    def end_all(self, error: type[Interrupted], again: bool, /) -> None:
        """End whatever runs; `again`: also what went on after it had been ended."""

    def start_stack(self) -> str:
        """Return where the start is, for people; empty if that can't be told, or the worker has started."""
