"""The interface for ending hanging code in a worker: by an exception that is raised in it.

It is raised only in the app's code. In Snakepit's own code a thread waits for the client or for room in a channel, and
is told by its channel.

`app_import`, `wsgi_threads` and `asgi_tasks` implement it for the import of the app, for WSGI apps and for ASGI apps.
"""

from typing import Protocol

from snakepit.errors import Interrupted
from snakepit.wire.envelopes import Envelope

NOTHING = "", False
"""The result of `end_exchange` if no code runs for the exchange."""


class Interruptible(Protocol):
    """The interface of a worker's running code for its watchdog."""

    def end_exchange(self, number: int, error: type[Interrupted], /) -> tuple[str, bool] | None:
        """End the code that runs for an exchange.

        Returns its stack and whether it ran aside, as in `envelopes.interrupted`; None: code still runs, so check again
        later.
        """

    def release(self, upto: int, /) -> list[Envelope]:
        """Send what WSGI threads keep; they keep no answers of exchanges up to this number any more.

        Or return the answers that a blocked loop can't send, and the requests that it can't begin; the caller sends
        them.
        """

    def end_all(self, error: type[Interrupted], again: bool, /) -> None:
        """End all running code; `again`: also code that went on after an earlier exception."""

    def start_stack(self) -> str:
        """Return the stack of the start, for people; empty if it is not known, or the worker has started."""
