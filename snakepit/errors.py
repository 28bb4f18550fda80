"""Errors, by whose fault they are, because the remedy follows from that.

`exit_status` is what the command line exits with: 2 where the operator can mend it, 3 where the app has to be mended.
Exception objects never cross an interpreter; their text does, as a fault (see `snakepit.envelopes`).
"""

import traceback


class SnakepitError(Exception):
    """The base of everything that Snakepit raises on purpose."""

    exit_status = 1


class ConfigError(SnakepitError):
    """The operator asked for something that can't be: one line, no traceback."""

    exit_status = 2


class AppError(SnakepitError):
    """The app can't be served; the message carries the app's own traceback where there is one."""

    exit_status = 3


class AppImportError(AppError):
    """The app could not be imported, or what was imported is not an app that can be served."""


class LifespanError(AppError):
    """The app's lifespan start-up failed."""


class ProtocolError(SnakepitError):
    """Somebody broke a protocol."""


class RemoteProtocolError(ProtocolError):
    """The client sent something that can't be served.

    Args:
        reason: one sentence, for the log and the body of the answer.
        status: the HTTP status (RFC 9110 section 15) to answer with.
        headers: what the answer must carry beside the usual.
    """

    def __init__(self, reason: str, status: int = 400, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.headers = headers


class LocalProtocolError(ProtocolError):
    """The app sent something that its interface (ASGI, PEP 3333) or HTTP does not allow."""


class ClientDisconnected(OSError):
    """The client has left; raised in the app by what waits for it in WSGI, and by sending a WebSocket message.

    The latter is what ASGI's WebSocket specification asks for since 2.4.
    """


class WorkerError(SnakepitError):
    """A worker could not do its work."""


class WorkerLost(WorkerError):
    """A worker ended though nobody had asked it to."""

    exit_status = 3


class Interrupted(BaseException):
    """Raised from outside in the app's code, wherever that is.

    Not an Exception, as CancelledError is none: what an app does about its own errors is no answer to this.
    """


class RequestTimeout(Interrupted):
    """The request has taken longer than --timeout-request, and its client has got 504."""

    def __str__(self) -> str:
        return "no response within --timeout-request"


class WorkerStopping(Interrupted):
    """The worker must end now; whatever it was doing is cut."""

    def __str__(self) -> str:
        return "the worker must end"


class InternalError(SnakepitError):
    """A bug in Snakepit."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: this is a bug in snakepit; please report it")


def fault(error: BaseException) -> str:
    """Flatten an exception to the text that may cross an interpreter: its traceback, without a trailing newline."""
    return "".join(traceback.format_exception(error)).rstrip("\n")
