"""A request as an error page shows it, read from what the app was given: the app may have changed all of that."""

from collections.abc import Iterable, Mapping
from typing import Any

from snakepit.worker.error_page.values import MASK, is_secret, masked_query

type Described = tuple[str, list[tuple[str, str]], bytes]
"""A line on a request, more of it as names and values, and what its Accept fields say."""

LONGEST = 500
"""Characters of a header field that are shown."""


def of_scope(scope: Mapping[str, Any]) -> Described:
    """Describe the request of ASGI's scope. Raises anything if that is not as it was."""
    target = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    line = _line(scope["method"], f"{target}?{query}" if query else target, scope["http_version"])
    client = scope["client"]
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return line, _rows(f"{client[0]}, port {client[1]}" if client else "", scope["scheme"], fields), accept


def of_environ(environ: Mapping[str, Any]) -> Described:
    """Describe the request of WSGI's environ. Raises anything if that is not as it was."""
    version = environ["SERVER_PROTOCOL"].removeprefix("HTTP/")
    line = _line(environ["REQUEST_METHOD"], environ["REQUEST_URI"], version)
    address, port = environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")
    names = {key: key.removeprefix("HTTP_") for key in environ if key.startswith(("HTTP_", "CONTENT_"))}
    fields = [(name.lower().replace("_", "-"), environ[key]) for key, name in names.items()]
    accept = environ.get("HTTP_ACCEPT", "").encode("latin-1")
    return line, _rows(f"{address}, port {port}" if address else "", environ["wsgi.url_scheme"], fields), accept


def _line(method: str, target: str, version: str) -> str:
    return f"{method} {masked_query(target)[: 4 * LONGEST]} HTTP/{version}"


def _rows(client: str, scheme: str, fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    rows = [("client", client or "a Unix socket"), ("scheme", scheme)]
    return rows + [(name, MASK if is_secret(name) else _short(value)) for name, value in fields]


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else value[:LONGEST] + "…"
