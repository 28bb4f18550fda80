"""Adds the script that reloads a page (`--reload-browser`) to HTML pages, between the app and the server.

Only pages that a browser requests in order to show them get the script, not what a script of the page fetches, as far
as the browser tells (Sec-Fetch-Dest, which it sends to localhost and over TLS). The app does not see that the browser
accepts compressed bodies, nor which page it has in its cache: a script can't be appended to a compressed body, and a
cached page has no script, or one of another version. For the same reason, no cache may keep the page.
"""

import re
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from typing import TYPE_CHECKING, Any, cast
from wsgiref.util import FileWrapper

from snakepit.wire.page_script import tag

if TYPE_CHECKING:
    from snakepit.http.types import Headers
    from snakepit.worker.asgi.lifespan import AsgiApp, Message
    from snakepit.worker.detect import Interface
    from snakepit.worker.wsgi.environ import Environ, ExcInfo, WsgiApp

_SHOWN = frozenset({"", "document", "iframe", "frame"})  # values of Sec-Fetch-Dest; empty: not told
_KEPT_FROM_APP = ("accept-encoding", "if-none-match", "if-modified-since")
_KEPT_FROM_BROWSER = frozenset({"etag", "last-modified", "cache-control", "expires"})
_WITHOUT_BODY_OR_PARTIAL = frozenset({204, 205, 206, 304})
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'")


def with_script(app: object, interface: "Interface", address: str) -> object:
    """Wrap the app so that its pages load the script at this address."""
    return _asgi(cast("AsgiApp", app), address) if interface == "asgi" else _wsgi(cast("WsgiApp", app), address)


def _asgi(app: "AsgiApp", address: str) -> "AsgiApp":

    async def wrapper(scope: "Message", receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not _shows(scope["method"], _value(scope["headers"], b"sec-fetch-dest")):
            await app(scope, receive, send)
            return
        kept = [name.encode() for name in _KEPT_FROM_APP]
        scope["headers"] = [header for header in scope["headers"] if header[0] not in kept]
        scope["extensions"] = {}  # a file that the server sends would have no script
        end = b""

        async def send_page(message: "Message") -> None:
            nonlocal end
            if message["type"] == "http.response.start":
                message, end = _begin_page(message, address)
            elif end and message["type"] == "http.response.body" and not message.get("more_body", False):
                message = {**message, "body": bytes(message.get("body", b"")) + end}
            await send(message)

        await app(scope, receive, send_page)

    return wrapper


def _begin_page(message: "Message", address: str) -> "tuple[Message, bytes]":
    """Return the response's start, and the text to append to its body."""
    try:
        message = {**message, "headers": list(message["headers"])}  # it may be an iterator, and have to be read again
        headers = [
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in message["headers"]
        ]
        status = int(message["status"])
    except (KeyError, TypeError, ValueError):
        return message, b""  # the code that sends it reports what is wrong
    changed, end = _change(status, headers, address)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in changed]
    return {**message, "headers": encoded}, end


def _wsgi(app: "WsgiApp", address: str) -> "WsgiApp":

    def wrapper(environ: "Environ", start_response: Callable[..., Callable[[bytes], None]]) -> Iterable[bytes]:
        if not _shows(environ["REQUEST_METHOD"], environ.get("HTTP_SEC_FETCH_DEST", "")):
            return app(environ, start_response)
        for name in _KEPT_FROM_APP:
            environ.pop(f"HTTP_{name.upper().replace('-', '_')}", None)
        end = b""
        length: str | None = None  # that the app announces

        def start(
            status: str, headers: MutableSequence[tuple[str, str]], exc_info: "ExcInfo | None" = None
        ) -> Callable[[bytes], None]:
            nonlocal end, length
            length = next((value for name, value in headers if name.lower() == "content-length"), None)
            code = int(status[:3]) if status[:3].isdecimal() else 0
            changed, end = _change(code, list(headers), address)
            return start_response(status, changed, exc_info)

        result = app(environ, start)
        if type(result) is list:  # the usual case, which can leave in one piece
            return [b"".join([*result, end])] if end else result
        if not isinstance(result, FileWrapper):
            return _Ended(result, lambda: end)
        if not end:
            return result
        return _Ended(result, lambda: end, int(length) if length and length.isdecimal() else None)

    return wrapper


class _Ended:
    """An app's iterable, limited to so many bytes, followed by more text."""

    def __init__(self, result: Iterable[bytes], end: Callable[[], bytes], length: int | None = None) -> None:
        self._result = result
        self._end = end
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        if self._length is None:
            yield from self._result
        else:
            left = self._length
            for data in self._result:
                yield data[:left]
                left -= len(data)
                if left <= 0:
                    break
        yield self._end()  # only now is it certain that the app has called start_response

    def close(self) -> None:
        """Close the app's iterable (PEP 3333)."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()


def _shows(method: str, destination: str) -> bool:
    return method != "HEAD" and destination in _SHOWN


def _value(headers: "Headers", name: bytes) -> str:
    return next((value.decode("latin-1") for found, value in headers if found == name), "")


def _change(status: int, headers: list[tuple[str, str]], address: str) -> tuple[list[tuple[str, str]], bytes]:
    """Return a response's header fields, and the text to append to its body: empty unless it is a page."""
    fields = {name.lower(): value for name, value in headers}
    if (
        not fields.get("content-type", "").lower().startswith("text/html")
        or fields.get("content-encoding", "identity").lower() != "identity"
        or status in _WITHOUT_BODY_OR_PARTIAL
    ):
        return headers, b""
    policies = " ".join(value for name, value in headers if name.lower() == "content-security-policy")
    nonce = _NONCE.search(policies)
    end = tag(address, nonce[1] if nonce else "")
    changed = [("cache-control", "no-store")]
    for name, value in headers:
        if name.lower() == "content-length" and value.isdecimal():
            value = str(int(value) + len(end))
        if name.lower() not in _KEPT_FROM_BROWSER:
            changed.append((name, value))
    return changed, end
