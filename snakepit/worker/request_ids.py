"""Gives the app the ID of each request (`--request-id`), which the server has put into the field X-Request-ID."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.worker.asgi.lifespan import AsgiApp, Message
    from snakepit.worker.detect import Interface
    from snakepit.worker.wsgi.environ import Environ, WsgiApp

KEY = "snakepit.request_id"
"""The key in the WSGI environ, and among the extensions of an ASGI scope."""

current: ContextVar[str] = ContextVar("request_id", default="")
"""The ID of the request that is being served here; empty: none is, or it has none."""


def with_request_ids(app: object, interface: "Interface") -> object:
    """Wrap the app so that it gets the ID of each request."""
    return _asgi(cast("AsgiApp", app)) if interface == "asgi" else _wsgi(cast("WsgiApp", app))


def _asgi(app: "AsgiApp") -> "AsgiApp":
    async def wrapper(scope: "Message", receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            for name, value in reversed(scope["headers"]):
                if name == b"x-request-id":
                    request_id = value.decode("ascii")
                    scope["extensions"] = {**scope.get("extensions", {}), KEY: {"id": request_id}}
                    current.set(request_id)
                    break
        await app(scope, receive, send)

    return wrapper


def _wsgi(app: "WsgiApp") -> "WsgiApp":
    def wrapper(environ: "Environ", start_response: Any) -> "Iterable[bytes]":
        request_id = environ[KEY] = environ["HTTP_X_REQUEST_ID"]
        current.set(request_id)  # stays until the thread gets its next request, since the body is made after this
        return app(environ, start_response)

    return wrapper
