"""Lines of the access log by a format (`--access-log-format`)."""

import base64
import os
import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus

from snakepit.config.access_format import field_of, parse_format
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.net.request_facts import (
    MakeLine,
    received,
    request_id_of,
    sent,
    status_of,
    target_of,
    worker_of,
)


def lines_by_format(text: str, identified: bool = False) -> MakeLine:
    """Return what makes lines by a format; `identified`: requests have IDs. Raises ConfigError."""
    template, names = parse_format(text)
    getters = [_getter(name) if identified or name != "request_id" else _nothing for name in names]

    def make_line(exchange: WatchedExchange, moment: float) -> str:
        return template % tuple([get(exchange, moment) for get in getters])

    return make_line


type _Get = Callable[[WatchedExchange, float], str | int | float]


def _getter(name: str) -> _Get:
    field = field_of(name)
    if field is None:
        return _GETTERS[name]
    wanted, side = field
    if side == "i":
        return lambda exchange, moment: _safe(received(exchange, wanted))
    return lambda exchange, moment: _safe(sent(exchange, wanted))


_UNSAFE = {letter: f"\\x{letter:02x}" for letter in (*range(32), *range(127, 160))}
_UNSAFE |= {ord('"'): '\\"', ord("\\"): "\\\\"}
"""What a client could use to forge lines or their parts, and what stands for it."""


def _safe(text: str | None) -> str:
    return text.translate(_UNSAFE) if text is not None else "-"


def _nothing(exchange: WatchedExchange, moment: float) -> str:
    return "-"


def _user(exchange: WatchedExchange, moment: float) -> str:
    """Return the name that came as Basic authentication (RFC 7617)."""
    scheme, _, token = (received(exchange, b"authorization") or "").partition(" ")
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


def _path(exchange: WatchedExchange, moment: float) -> str:
    return _safe(exchange.head.path)


def _query(exchange: WatchedExchange, moment: float) -> str:
    return _safe(target_of(exchange).partition("?")[2])


def _protocol(exchange: WatchedExchange, moment: float) -> str:
    return f"HTTP/{exchange.head.http_version}"


def _method(exchange: WatchedExchange, moment: float) -> str:
    return exchange.head.method


def _scheme(exchange: WatchedExchange, moment: float) -> str:
    return exchange.endpoints[2]


def _address(exchange: WatchedExchange, moment: float) -> str:
    client = exchange.endpoints[0]
    return client[0] if client is not None else "-"


def _phrase(exchange: WatchedExchange, moment: float) -> str:
    try:
        return HTTPStatus(exchange.status).phrase
    except ValueError:
        return ""


def _trace_id(exchange: WatchedExchange, moment: float) -> str:
    trace = exchange.trace
    return trace.trace_id if trace is not None else "-"


def _milliseconds(seconds: float | None) -> float:
    return 0.0 if seconds is None else seconds * 1000


_GETTERS: dict[str, _Get] = {
    "h": _address,
    "l": _nothing,
    "u": _user,
    "t": lambda exchange, moment: _log_time(int(moment)),
    "r": lambda exchange, moment: f"{exchange.head.method} {_safe(target_of(exchange))} {_protocol(exchange, moment)}",
    "R": lambda exchange, moment: f"{exchange.head.method} {_path(exchange, moment)} {_protocol(exchange, moment)}",
    "m": _method,
    "U": _path,
    "Uq": lambda exchange, moment: _safe(target_of(exchange)),
    "q": _query,
    "H": _protocol,
    "S": _scheme,
    "s": lambda exchange, moment: str(status_of(exchange)),
    "st": _phrase,
    "b": lambda exchange, moment: str(exchange.body_sent or "-"),
    "B": lambda exchange, moment: exchange.body_sent,
    "f": lambda exchange, moment: _safe(received(exchange, b"referer")),
    "a": lambda exchange, moment: _safe(received(exchange, b"user-agent")),
    "T": lambda exchange, moment: int(exchange.total_seconds),
    "M": lambda exchange, moment: int(exchange.total_seconds * 1000),
    "D": lambda exchange, moment: int(exchange.total_seconds * 1_000_000),
    "L": lambda exchange, moment: f"{exchange.total_seconds:.6f}",
    "p": lambda exchange, moment: f"<{os.getpid()}>",
    "addr": _address,
    "time": lambda exchange, moment: _plain_time(int(moment)),
    "method": _method,
    "scheme": _scheme,
    "path": _path,
    "query_string": _query,
    "protocol": _protocol,
    "status": lambda exchange, moment: status_of(exchange),
    "dt_ms": lambda exchange, moment: exchange.total_seconds * 1000,
    "queue_ms": lambda exchange, moment: _milliseconds(exchange.queue_seconds),
    "app_ms": lambda exchange, moment: _milliseconds(exchange.app_seconds),
    "request_id": lambda exchange, moment: request_id_of(exchange) or "-",
    "trace_id": _trace_id,
    "worker": lambda exchange, moment: str(worker_of(exchange.served_by)[0] or "-"),
    "app": lambda exchange, moment: worker_of(exchange.served_by)[1] or "-",
}
