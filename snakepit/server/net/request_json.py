"""Lines of the access log as JSON (`--log-format json`), with the members that `--access-log-fields` names.

Each member is made by itself, and not put into a dictionary first: that takes half as long.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from time import monotonic

from snakepit.config.access_format import field_of
from snakepit.http.types import Address
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.net.request_facts import (
    LEFT,
    MakeLine,
    received,
    request_id_of,
    sent,
    status_of,
    target_of,
    worker_of,
)
from snakepit.server.net.transport import name_of_client
from snakepit.system.moments import timestamp, timestamp_of

type _Member = Callable[[WatchedExchange, float], str]
"""Makes a member with a comma and a space behind it; empty if there is nothing to say."""


def lines_as_json(names: Iterable[str] = (), identified: bool = False, share: float = 1.0) -> MakeLine:
    """Return what makes JSON objects.

    Args:
        names: of the members; none: DEFAULT_FIELDS.
        identified: whether requests have IDs.
        share: of the requests, that are logged. If it is not 1, each object says it.
    """
    last = f'"sampled": {share}, ' if share != 1.0 else ""
    if not names:
        return _usual_lines(identified, last)
    members = [_member(name) for name in names if identified or name != "request_id"]
    if last:
        members.append(lambda exchange, moment: last)

    def make_line(exchange: WatchedExchange, moment: float) -> str:
        return "{" + "".join([make(exchange, moment) for make in members])[:-2] + "}"

    return make_line


def _usual_lines(identified: bool, last: str) -> MakeLine:
    """Return what makes objects with DEFAULT_FIELDS: as with a member each, in a third of the time.

    Args:
        last: a further member.
    """
    find_id = request_id_of if identified else _nothing
    start = '", "level": "INFO", "logger": "snakepit.access", '

    def make_line(exchange: WatchedExchange, moment: float) -> str:
        head, status = exchange.head, exchange.status or LEFT
        make = _asked if len(head.target) <= _LONGEST else _asked.__wrapped__
        asked = make(head.method, head.target, head.http_version, status)
        began, assigned_at, ended_at = exchange.began, exchange.assigned_at, exchange.ended_at or monotonic()
        times = f'"total_ms": {(ended_at - began) * 1000:.3f}, '
        if assigned_at is not None:
            if exchange.status:
                answered_at = exchange.responded_at or ended_at
                times = f'"app_ms": {(answered_at - assigned_at) * 1000:.3f}, {times}'
            times = f'"queue_ms": {(assigned_at - began) * 1000:.3f}, {times}'
        client, served_by, trace = _client(exchange.endpoints[0]), exchange.served_by, exchange.trace
        left = '"client_left": true, ' if exchange.client_left else ""
        identity = f'"request_id": {quoted(request_id)}, ' if (request_id := find_id(exchange)) else ""
        traced = f'"trace_id": "{trace.trace_id}", ' if trace is not None else ""
        return (
            f'{{"time": "{timestamp_of(int(moment * 1000))}{start}{client}{asked}"bytes": {exchange.body_sent}, '
            f"{times}{left}{identity}{traced}{_worker(served_by)}{_name_of_app(served_by)}{last}"
        )[:-2] + "}"

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


_LONGEST = 256
"""Bytes; what was made of a longer target is not kept."""


@lru_cache(1024)
def _asked(method: str, target: bytes, http_version: str, status: int) -> str:
    """Return the members from the message to the status: many requests ask for the same."""
    text = quoted(target.decode("latin-1"))
    path, asked, query = text.partition("?")
    if asked:
        path = f'{path}"' if query == '"' else f'{path}", "query": "{query}'
    return (
        f'"message": "{method} {text[1:-1]} {status}", "method": "{method}", "path": {path}, '
        f'"http_version": "{http_version}", "status": {status}, '
    )


def _nothing(exchange: WatchedExchange) -> str:
    return ""


def _message(exchange: WatchedExchange, moment: float) -> str:
    head = exchange.head
    return f'"message": {quoted(f"{head.method} {head.target.decode('latin-1')} {status_of(exchange)}")}, '


def _path(exchange: WatchedExchange, moment: float) -> str:
    return f'"path": {quoted(exchange.head.path)}, '


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
def _client(client: Address) -> str:
    return f'"client": {quoted(name_of_client((client, None, "", None, None)))}, '


@lru_cache(1024)
def _name_of_app(served_by: str) -> str:
    _, name = worker_of(served_by)
    return f'"app": {quoted(name)}, ' if name else ""


@lru_cache(1024)
def _worker(served_by: str) -> str:
    number, _ = worker_of(served_by)
    return "" if number is None else f'"worker": {number}, '


_MEMBERS: dict[str, _Member] = {
    "time": lambda exchange, moment: f'"time": "{timestamp(moment)}", ',
    "level": lambda exchange, moment: '"level": "INFO", ',
    "logger": lambda exchange, moment: '"logger": "snakepit.access", ',
    "message": _message,
    "client": lambda exchange, moment: _client(exchange.endpoints[0]),
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
    "app": lambda exchange, moment: _name_of_app(exchange.served_by),
    "host": _text("host", lambda exchange: received(exchange, b"host")),
    "user_agent": _text("user_agent", lambda exchange: received(exchange, b"user-agent")),
    "referer": _text("referer", lambda exchange: received(exchange, b"referer")),
}
