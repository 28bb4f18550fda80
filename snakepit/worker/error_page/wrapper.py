"""Answers with the error page where the app raises an exception before it has begun to answer (`--debug`).

The exception goes on, so it is logged and counted as without the page. Starlette, and FastAPI with it, answers 500 by
itself and then raises: so a 500 that is complete waits for what the app does next, but not past its turn of the loop.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from wsgiref.util import FileWrapper

from snakepit.errors import ClientDisconnected, Interrupted, fault
from snakepit.system.version import __version__
from snakepit.worker.error_page.page import POLICY, Facts, page
from snakepit.worker.error_page.values import MASK, is_secret

if TYPE_CHECKING:
    from snakepit.wire.settings import WorkerSettings
    from snakepit.worker.asgi.lifespan import AsgiApp, Message, Receive, Send
    from snakepit.worker.detect import Interface
    from snakepit.worker.wsgi.environ import Environ, WsgiApp

_START, _BODY = "http.response.start", "http.response.body"

_SHORT = 64 * 1024
"""Bytes; a longer body of a 500 does not wait."""

_failed: list[BaseException] = []


def with_error_page(app: object, interface: "Interface", settings: "WorkerSettings") -> object:
    """Wrap the app so that its exceptions are shown to whoever asked."""
    where = [("Worker", str(settings["number"])), ("App", f"{settings['module']}:{settings['attribute']}")]
    where.append(("Python", platform.python_version()))
    where.append(("Snakepit", __version__))
    if interface == "asgi":
        return _asgi(cast("AsgiApp", app), where)
    return _wsgi(cast("WsgiApp", app), where)


def page_of_failure(error: BaseException | None, settings: "WorkerSettings") -> str:
    """Return the page for an app that can't be started; empty if there is nothing to show.

    Args:
        error: what was raised; None: what the lifespan raised.
    """
    if error is None and _failed:
        error = _failed[-1]
    if error is None:
        return ""
    where = [("Worker", str(settings["number"])), ("App", f"{settings['module']}:{settings['attribute']}")]
    try:
        return page(error, [("Where", where)], "The app can't be started").decode()
    except Exception:  # methods of the app's are called
        return ""


def _rendered(error: BaseException, accept: str, facts: Facts) -> tuple[str, bytes] | None:
    """Return the content type and the body for who accepts this; None: not even the traceback could be made."""
    try:
        error = error.with_traceback(_of_app(error.__traceback__))
        if "text/html" in accept.lower():
            return "text/html; charset=utf-8", page(error, facts)
        told = "".join(f"\n{title}\n{''.join(f'  {name}: {text}\n' for name, text in rows)}" for title, rows in facts)
        return "text/plain; charset=utf-8", f"{fault(error)}\n{told}".encode("utf-8", "backslashreplace")
    except Exception:  # methods of the app's are called
        return None


def _of_app(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from where the app was called."""
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename == __file__:
        at = at.tb_next
    return at or trace


def _fields(kind: str, body: bytes) -> list[tuple[str, str]]:
    return [
        ("content-type", kind),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ]


def _shown(error: BaseException) -> bool:
    """Tell whether an exception is a fault of the app's: what ends a request or a worker from outside is none."""
    return not issubclass(type(error), ClientDisconnected | Interrupted | asyncio.CancelledError | GeneratorExit)


def _asgi(app: "AsgiApp", where: Sequence[tuple[str, str]]) -> "AsgiApp":
    async def wrapper(scope: "Message", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            await _AsgiRequest(scope, send, where).run(app, receive)
            return
        try:
            await app(scope, receive, send)
        except BaseException as error:
            if scope["type"] == "lifespan":
                _failed.append(error)
            raise

    return wrapper


class _AsgiRequest:
    """A request of an ASGI app: whether it has been answered, and a 500 that waits."""

    def __init__(self, scope: "Message", send: "Send", where: Sequence[tuple[str, str]]) -> None:
        self._scope = scope
        self._send = send
        self._where = where
        self._begun = False
        self._held: list[Message] = []
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, app: "AsgiApp", receive: "Receive") -> None:
        try:
            await app(self._scope, receive, self.send)
        except BaseException as error:
            if self._begun or not _shown(error) or not await self._show(error):
                await self._flush()
            raise
        await self._flush()

    async def send(self, message: "Message") -> None:
        """ASGI's `send`."""
        kind = message["type"]
        if kind == _START and message.get("status") == 500 and not self._begun and not self._held:
            self._held.append(message)
        elif kind == _BODY and len(self._held) == 1 and self._is_short(message):
            self._held.append(message)
            self._flushing = asyncio.get_running_loop().create_task(self._flush())
        else:
            await self._flush()
            self._begun = True
            await self._send(message)

    def _is_short(self, message: "Message") -> bool:
        return not message.get("more_body", False) and len(message.get("body", b"")) <= _SHORT

    async def _flush(self) -> None:
        held, self._held = self._held, []
        if held:
            self._begun = True
        for message in held:
            await self._send(message)

    async def _show(self, error: BaseException) -> bool:
        """Answer with the page in place of what waits; returns whether that could be done."""
        scope = self._scope
        headers = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in scope["headers"]]
        query = scope["query_string"].decode("latin-1")
        request = [("Request", f"{scope['method']} {scope['path']}{f'?{query}' if query else ''}")]
        client = scope["client"]
        request.append(("Client", "unknown" if client is None else str(client[0])))
        accept = ",".join(value for name, value in headers if name == "accept")
        made = _rendered(error, accept, [("Request", [*request, *_masked(headers)]), ("Where", self._where)])
        if made is None:
            return False
        kind, body = made
        self._held, self._begun = [], True
        fields = [(name.encode(), value.encode()) for name, value in _fields(kind, body)]
        await self._send({"type": _START, "status": 500, "headers": fields})
        await self._send({"type": _BODY, "body": body})
        return True


def _masked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, MASK if is_secret(name) else value) for name, value in headers]


type _StartResponse = Callable[..., Callable[[bytes], None]]


def _wsgi(app: "WsgiApp", where: Sequence[tuple[str, str]]) -> "WsgiApp":
    def wrapper(environ: "Environ", start_response: _StartResponse) -> Iterable[bytes]:
        request = _WsgiRequest(environ, start_response, where)
        try:
            result = app(environ, request.start_response)
        except BaseException as error:
            request.show(error)
            raise
        if isinstance(result, list | tuple | FileWrapper):
            return result  # which the server sends in one go
        return _Body(result, request)

    return wrapper


class _WsgiRequest:
    """A request of a WSGI app, and whether any of its answer has been sent."""

    def __init__(self, environ: "Environ", start_response: _StartResponse, where: Sequence[tuple[str, str]]) -> None:
        self._environ = environ
        self._start_response = start_response
        self._where = where
        self._started = False
        self.begun = False

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's `start_response`."""
        write = self._start_response(status, headers, exc_info)
        self._started = True

        def noted(data: bytes) -> None:
            self.begun = True
            write(data)

        return noted

    def show(self, error: BaseException) -> None:
        """Answer with the page, if that can be done."""
        if self.begun or not _shown(error):
            return
        environ = self._environ
        names = [name for name in environ if name.startswith("HTTP_")]
        headers = [(name[5:].replace("_", "-").lower(), str(environ[name])) for name in names]
        query = environ.get("QUERY_STRING", "")
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        request = [("Request", f"{environ['REQUEST_METHOD']} {path}{f'?{query}' if query else ''}")]
        request.append(("Client", str(environ.get("REMOTE_ADDR", ""))))
        facts = [("Request", [*request, *_masked(headers)]), ("Where", self._where)]
        made = _rendered(error, str(environ.get("HTTP_ACCEPT", "")), facts)
        if made is None:
            return
        kind, body = made
        exc_info = (type(error), error, error.__traceback__) if self._started else None
        try:
            write = self._start_response("500 Internal Server Error", _fields(kind, body), exc_info)
            self.begun = True
            write(body)
        finally:
            exc_info = None  # breaks the reference cycle through the traceback's frames


class _Body:
    """What an app has returned: an exception at its first piece is shown, too."""

    def __init__(self, result: Iterable[bytes], request: _WsgiRequest) -> None:
        self._result = result
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._result:
                self._request.begun = self._request.begun or bool(piece)
                yield piece
        except BaseException as error:
            self._request.show(error)
            raise

    def close(self) -> None:
        """PEP 3333's `close`."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
