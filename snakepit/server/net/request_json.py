"""Lines of the access log as JSON (`--log-format json`), with the members that `--access-log-fields` names.

Each member is made by itself, and not put into a dictionary first: that takes half as long.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from json.encoder import encode_basestring as quoted

from snakepit.config.access_fields import DEFAULT_FIELDS
from snakepit.config.access_format import field_of
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
from snakepit.server.net.transport import name_of_client
from snakepit.system.json_lines import timestamp

type _Member = Callable[[WatchedExchange, float], str]
"""Makes a member with a comma and a space behind it; empty if there is nothing to say."""


def lines_as_json(names: Iterable[str] = (), identified: bool = False, share: float = 1.0) -> MakeLine:
    """Return what makes JSON objects.

    Args:
        names: of the members; none: DEFAULT_FIELDS.
        identified: whether requests have IDs.
        share: of the requests, that are logged. If it is not 1, each object says it.
    """
    chosen = [name for name in names or DEFAULT_FIELDS if identified or name != "request_id"]
    members = [_member(name) for name in chosen]
    if share != 1.0:
        last = f'"sampled": {share}, '
        members.append(lambda exchange, moment: last)

    def make_line(exchange: WatchedExchange, moment: float) -> str:
        return "{" + "".join([make(exchange, moment) for make in members])[:-2] + "}"

    return make_line


def _member(name: str) -> _Member:
    field = field_of(name)
    if field is None:
        return _MEMBERS[name]
    wanted, side = field
    find = received if side == "i" else sent
    return _text(wanted.decode(), lambda exchange: find(exchange, wanted))


def _text(name: str, find: Callable[[WatchedExchange], str | None]) -> _Member:
    """Make a member that is left out if there is nothing."""
    start = f"{quoted(name)}: "

    def make(exchange: WatchedExchange, moment: float) -> str:
        text = find(exchange)
        return f"{start}{quoted(text)}, " if text else ""

    return make


def _message(exchange: WatchedExchange, moment: float) -> str:
    head = exchange.head
    return f'"message": {quoted(f"{head.method} {head.target.decode('latin-1')} {status_of(exchange)}")}, '


def _path(exchange: WatchedExchange, moment: float) -> str:
    return f'"path": {quoted(target_of(exchange).partition("?")[0])}, '


def _query(exchange: WatchedExchange) -> str | None:
    _, asked, query = target_of(exchange).partition("?")
    return query if asked else None


def _queue(exchange: WatchedExchange, moment: float) -> str:
    seconds = exchange.queue_seconds
    return "" if seconds is None else f'"queue_ms": {seconds * 1000:.3f}, '


def _app(exchange: WatchedExchange, moment: float) -> str:
    seconds = exchange.app_seconds
    return "" if seconds is None else f'"app_ms": {seconds * 1000:.3f}, '


def _trace_id(exchange: WatchedExchange) -> str | None:
    trace = exchange.trace
    return trace.trace_id if trace is not None else None


def _client_left(exchange: WatchedExchange, moment: float) -> str:
    return '"client_left": true, ' if exchange.client_left else ""


@lru_cache(1024)
def _worker(served_by: str) -> str:
    number, _ = worker_of(served_by)
    return "" if number is None else f'"worker": {number}, '


_MEMBERS: dict[str, _Member] = {
    "time": lambda exchange, moment: f'"time": "{timestamp(moment)}", ',
    "level": lambda exchange, moment: '"level": "INFO", ',
    "logger": lambda exchange, moment: '"logger": "snakepit.access", ',
    "message": _message,
    "client": lambda exchange, moment: f'"client": {quoted(name_of_client(exchange.endpoints))}, ',
    "method": lambda exchange, moment: f'"method": {quoted(exchange.head.method)}, ',
    "scheme": lambda exchange, moment: f'"scheme": "{exchange.endpoints[2]}", ',
    "path": _path,
    "query": _text("query", _query),
    "http_version": lambda exchange, moment: f'"http_version": "{exchange.head.http_version}", ',
    "status": lambda exchange, moment: f'"status": {status_of(exchange)}, ',
    "bytes": lambda exchange, moment: f'"bytes": {exchange.body_sent}, ',
    "queue_ms": _queue,
    "app_ms": _app,
    "total_ms": lambda exchange, moment: f'"total_ms": {exchange.total_seconds * 1000:.3f}, ',
    "client_left": _client_left,
    "request_id": _text("request_id", request_id_of),
    "trace_id": _text("trace_id", _trace_id),
    "worker": lambda exchange, moment: _worker(exchange.served_by),
    "app": _text("app", lambda exchange: worker_of(exchange.served_by)[1]),
    "host": _text("host", lambda exchange: received(exchange, b"host")),
    "user_agent": _text("user_agent", lambda exchange: received(exchange, b"user-agent")),
    "referer": _text("referer", lambda exchange: received(exchange, b"referer")),
}
