"""Errors, by whose fault they are, because the remedy follows from that.

`exit_status` is the exit status of the command: 2 if the operator can correct the cause, 3 if the app has to be
corrected. Exception objects never cross an interpreter; their text does, as a fault (see `snakepit.wire.envelopes`).
"""

import traceback

FAULT_LIMIT = 64 * 1024
"""The most characters of a fault; a longer one loses its middle. An exception's text may be of any length, and all of
it would cross to the main interpreter and into the log. A traceback of a hundred calls has 10,000."""


class SnakepitError(Exception):
    """The base of everything that Snakepit raises on purpose."""

    exit_status = 1


class ConfigError(SnakepitError):
    """An option is wrong, or can't be fulfilled on this system: shown in one line, without a traceback.

    Args:
        reason: what is wrong, and the remedy.
        options: the names of options that do not fit each other, or this system.
    """

    exit_status = 2

    def __init__(self, reason: str, options: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.options = options


class AppError(SnakepitError):
    """The app can't be served; the message contains the app's own traceback, if there is one.

    Args:
        page: what `--debug` shows of it in a browser; empty: nothing.
    """

    exit_status = 3

    def __init__(self, message: str, page: bytes = b"") -> None:
        super().__init__(message)
        self.page = page


class AppImportError(AppError):
    """The app could not be imported, or what was imported is not an app that can be served."""


class LifespanError(AppError):
    """The app's lifespan start-up failed."""


class StartTimeout(AppError):
    """The app was not imported, or did not complete its start-up, within --timeout-startup."""


class ProtocolError(SnakepitError):
    """The base of errors in what the client or the app sent."""


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
    """The client has left; raised in a WSGI app by calls that wait for the client, and in an ASGI app by sending a
    WebSocket message.

    The latter is what ASGI's WebSocket specification asks for since 2.4.
    """


class WorkerError(SnakepitError):
    """A worker could not do its work."""


class WorkerLost(WorkerError):
    """A worker ended unasked."""

    exit_status = 3


class Interrupted(BaseException):
    """An exception that Snakepit raises in the app's code from another thread, at any place.

    Not an Exception, for the same reason as CancelledError: handlers for an app's own errors must not catch it.
    """


class RequestTimeout(Interrupted):
    """The request has taken longer than --timeout-request, and its client has got 504."""

    def __str__(self) -> str:
        return "no response within --timeout-request"


class WorkerStopping(Interrupted):
    """The worker must end now; its work is cut off."""

    def __str__(self) -> str:
        return "the worker must end"


class InternalError(SnakepitError):
    """A bug in Snakepit."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: this is a bug in snakepit; please report it")


def fault(error: BaseException) -> str:
    """Flatten an exception to the text that may cross an interpreter: its traceback, without a trailing newline.

    Never raises: formatting calls methods of the app, such as `__str__`, and an exception from them would end the
    thread. Parts that can't be formatted are left out, and the text says so.
    """
    for attempt in (_whole, _without_causes, _without_text, _without_traceback):
        try:
            return shortened(attempt(error))
        except BaseException:  # KeyboardInterrupt and MemoryError included: the next attempt asks for less
            continue
    return "an exception that can't be formatted"


def shortened(text: str) -> str:
    """Return a text that any log accepts: no longer than FAULT_LIMIT, and without lone surrogates."""
    text = text.encode("utf-8", "backslashreplace").decode()
    left_out = len(text) - FAULT_LIMIT
    if left_out <= 0:
        return text
    half = FAULT_LIMIT // 2
    return f"{text[:half]}\n[{left_out} characters left out]\n{text[-half:]}"


def _whole(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip("\n")


def _without_causes(error: BaseException) -> str:
    return f"{_traceback(error)}{_name(error)}: {error}\n(it can't be formatted as a whole)"


def _without_text(error: BaseException) -> str:
    return f"{_traceback(error)}{_name(error)} (its text can't be formatted)"


def _without_traceback(error: BaseException) -> str:
    return f"{_name(error)} (it can't be formatted)"


def _traceback(error: BaseException) -> str:
    # by the base class's descriptor: a subclass may have put a property over it, or a __getattribute__
    frames = BaseException.__dict__["__traceback__"].__get__(error)
    return "".join(["Traceback (most recent call last):\n", *traceback.format_tb(frames)])


def _name(error: BaseException) -> str:
    return str(type.__dict__["__name__"].__get__(type(error)))  # a metaclass may have one of its own
