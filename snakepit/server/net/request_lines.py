"""Lines of the access log in other forms than the default one: what is known of a request, and the texts made of it."""

import base64
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from snakepit.config.access_format import field_of, parse_format
from snakepit.http.events import RequestHead
from snakepit.http.types import Address
from snakepit.system.json_lines import json_line
from snakepit.system.moments import timestamp

_SERVED_BY = re.compile(r"worker (\d+)(?: of (.*))?", re.DOTALL)


@dataclass(slots=True)
class AnsweredRequest:
    """A request whose response has begun.

    Args:
        peer: the client's address, or None on a Unix socket.
        length: of the response's body in bytes; None: it is not known when the response begins.
        fields: the lines of the response's header fields, as far as the app made them.
        moment: when the response began, in seconds since 1970.
        seconds: from the end of the request's head until the response began.
        served_by: as `Exchange.served_by`.
        request_id: empty if requests have none.
    """

    peer: Address
    scheme: str
    head: RequestHead
    status: int
    length: int | None
    fields: bytes
    moment: float
    seconds: float
    served_by: str
    request_id: str = ""

    @property
    def client(self) -> str:
        """The client's name, as in the default line."""
        return f"{self.peer[0]}:{self.peer[1]}" if self.peer is not None else "local"

    @property
    def target(self) -> str:
        """What the client asked for."""
        return self.head.target.decode("latin-1")

    @property
    def worker(self) -> tuple[int | None, str]:
        """The number of the worker, if one answered, and the name of its app, if the server has several."""
        return _worker(self.served_by)


@lru_cache(1024)
def _worker(served_by: str) -> tuple[int | None, str]:
    found = _SERVED_BY.fullmatch(served_by)
    return (int(found[1]), found[2] or "") if found is not None else (None, "")


type MakeLine = Callable[[AnsweredRequest], str]
"""Makes the line of a request, without its end."""


def request_as_json(request: AnsweredRequest) -> str:
    """Return a request as a JSON object; members that are not known are left out."""
    worker, app = request.worker
    path, asked, query = request.target.partition("?")
    fields: dict[str, Any] = {
        "time": timestamp(request.moment),
        "level": "INFO",
        "logger": "snakepit.access",
        "message": f"{request.head.method} {request.target} {request.status}",
        "client": request.client,
        "method": request.head.method,
        "path": path,
        **({"query": query} if asked else {}),
        "http_version": request.head.http_version,
        "status": request.status,
        "total_ms": round(request.seconds * 1000, 3),
    }
    if request.length is not None:
        fields["bytes"] = request.length
    if request.request_id:
        fields["request_id"] = request.request_id
    if worker is not None:
        fields["worker"] = worker
    if app:
        fields["app"] = app
    return json_line(fields)


def lines_by_format(text: str) -> MakeLine:
    """Return what makes lines by a format of `--access-log-format`. Raises ConfigError."""
    template, names = parse_format(text)
    getters = [_getter(name) for name in names]

    def make_line(request: AnsweredRequest) -> str:
        return template % tuple([get(request) for get in getters])

    return make_line


type _Get = Callable[[AnsweredRequest], str | int | float]


def _getter(name: str) -> _Get:
    field = field_of(name)
    if field is None:
        return _GETTERS[name]
    wanted, side = field
    if side == "i":
        return lambda request: _received(request, wanted)
    return lambda request: _sent(request, wanted)


_UNSAFE = {letter: f"\\x{letter:02x}" for letter in (*range(32), *range(127, 160))}
_UNSAFE |= {ord('"'): '\\"', ord("\\"): "\\\\"}
"""What a client could use to forge lines or their parts, and what stands for it."""


def _safe(text: str) -> str:
    return text.translate(_UNSAFE)


def _received(request: AnsweredRequest, name: bytes) -> str:
    values = [value for key, value in request.head.headers if key == name]
    return _safe(b", ".join(values).decode("latin-1")) if values else "-"


def _sent(request: AnsweredRequest, name: bytes) -> str:
    values = []
    for line in request.fields.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            values.append(value.strip())
    return _safe(b", ".join(values).decode("latin-1")) if values else "-"


def _user(request: AnsweredRequest) -> str:
    """Return the name that came as Basic authentication (RFC 7617)."""
    scheme, _, token = _received(request, b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return "-"
    try:
        name, colon, _ = base64.b64decode(token, validate=True).decode().partition(":")
    except ValueError:
        return "-"
    return _safe(name) if colon and name else "-"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(4)
def _log_time(second: int) -> str:
    """Return a moment as the Common Log Format has it."""
    at = time.localtime(second)  # not %b, which depends on the language that an app may have set
    return time.strftime(f"[%d/{_MONTHS[at.tm_mon - 1]}/%Y:%H:%M:%S %z]", at)


@lru_cache(4)
def _plain_time(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(second))


def _path(request: AnsweredRequest) -> str:
    return _safe(request.target.partition("?")[0])


def _query(request: AnsweredRequest) -> str:
    return _safe(request.target.partition("?")[2])


def _protocol(request: AnsweredRequest) -> str:
    return f"HTTP/{request.head.http_version}"


def _address(request: AnsweredRequest) -> str:
    return request.peer[0] if request.peer is not None else "-"


def _phrase(request: AnsweredRequest) -> str:
    try:
        return HTTPStatus(request.status).phrase
    except ValueError:
        return ""


_GETTERS: dict[str, _Get] = {
    "h": _address,
    "l": lambda request: "-",
    "u": _user,
    "t": lambda request: _log_time(int(request.moment)),
    "r": lambda request: f"{request.head.method} {_safe(request.target)} {_protocol(request)}",
    "R": lambda request: f"{request.head.method} {_path(request)} {_protocol(request)}",
    "m": lambda request: request.head.method,
    "U": _path,
    "Uq": lambda request: _safe(request.target),
    "q": _query,
    "H": _protocol,
    "S": lambda request: request.scheme,
    "s": lambda request: str(request.status),
    "st": _phrase,
    "b": lambda request: str(request.length) if request.length else "-",
    "B": lambda request: request.length or 0,
    "f": lambda request: _received(request, b"referer"),
    "a": lambda request: _received(request, b"user-agent"),
    "T": lambda request: int(request.seconds),
    "M": lambda request: int(request.seconds * 1000),
    "D": lambda request: int(request.seconds * 1_000_000),
    "L": lambda request: f"{request.seconds:.6f}",
    "p": lambda request: f"<{os.getpid()}>",
    "addr": _address,
    "time": lambda request: _plain_time(int(request.moment)),
    "method": lambda request: request.head.method,
    "scheme": lambda request: request.scheme,
    "path": _path,
    "query_string": _query,
    "protocol": _protocol,
    "status": lambda request: request.status,
    "dt_ms": lambda request: request.seconds * 1000,
    "request_id": lambda request: request.request_id or "-",
    "worker": lambda request: str(request.worker[0] or "-"),
    "app": lambda request: request.worker[1] or "-",
}
