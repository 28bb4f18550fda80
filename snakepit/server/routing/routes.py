"""Finds the app of a request by its host and its path, where a server has several."""

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from snakepit.http.fields import render
from snakepit.http.target import split_target
from snakepit.server.responders.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakepit.config.route import Route
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination, Exchange

KEPT_HOSTS = 1024
"""The most values of the Host field whose routes are remembered; a client could send any number of them."""

_PLAIN_TEXT = render([(b"content-type", b"text/plain; charset=utf-8")])


class Routed(Protocol):
    """An app that has a route."""

    @property
    def destination(self) -> "Destination":
        """Who answers its requests now."""

    @property
    def responders(self) -> "Sequence[Responder]":
        """The responders that answer some of its requests without a worker."""


class NoRoute(Responder):
    """The responder for requests that no app is for."""

    def __init__(self, status: int, reason: str) -> None:
        self._status = status
        self._body = f"{reason}\n".encode()

    def takes(self, head: "RequestHead") -> bool:
        return True

    def submit(self, exchange: "Exchange") -> None:
        exchange.reply(self._status, _PLAIN_TEXT, self._body)

    def withdraw(self, exchange: "Exchange") -> None:
        pass


class Routes:
    """The router of a server with several apps.

    The most specific host that has a path for the request wins: with a port, without, `*.` in place of its first label,
    none. For a host, paths are compared segment by segment, as they are without escapes, and the longest wins.

    Args:
        routes: every route with its app; no two have the same host and path.
        strict_host: whether a host that no app is for gets 421 (RFC 9110 section 15.5.20) and not 404.
    """

    def __init__(self, routes: "Iterable[tuple[Route, Routed]]", strict_host: bool = False) -> None:
        self._by_host: dict[bytes, _Paths] = {}
        for route, app in routes:
            self._by_host.setdefault(route.host.encode(), _Paths()).add(route.path, app)
        self._hosts = any(self._by_host)
        self._any_host: tuple[_Paths, ...] = (self._by_host[b""],) if b"" in self._by_host else ()
        self._known: dict[bytes, tuple[_Paths, ...]] = {}
        self._no_path = NoRoute(404, "Nothing is served at this address")
        self._no_host = NoRoute(421, "This host is not served here") if strict_host else self._no_path

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request."""
        found = self._any_host
        if self._hosts:
            for name, value in head.headers:
                if name == b"host":
                    known = self._known.get(value)
                    found = self._paths_of(value) if known is None else known
                    break
        target = head.target
        path = target.partition(b"?")[0] if target.startswith(b"/") else split_target(target)[0]
        if b"%" in path:
            path = unquote_to_bytes(path)
        for paths in found:
            app = paths.find(path)
            if app is not None:
                for responder in app.responders:
                    if responder.takes(head):
                        return responder
                return app.destination
        return self._no_path if found else self._no_host

    def _paths_of(self, host: bytes) -> "tuple[_Paths, ...]":
        """Return the paths of the routes that a value of the Host field may mean, those of the most specific first."""
        with_port = host.lower()
        name, colon, port = with_port.rpartition(b":") if not with_port.endswith(b"]") else (with_port, b"", b"")
        name = (name if colon else with_port).removesuffix(b".")
        wildcard = b"*" + name[name.find(b".") :] if b"." in name else b""
        candidates = dict.fromkeys((name + colon + port, name, wildcard and wildcard + colon + port, wildcard, b""))
        found = tuple(self._by_host[each] for each in candidates if each in self._by_host)
        if len(self._known) >= KEPT_HOSTS:
            self._known.clear()
        self._known[host] = found
        return found


class _Paths:
    """The routes of one host, by their paths."""

    def __init__(self) -> None:
        self._apps: dict[bytes, Routed] = {}
        self._most = 0  # segments of any

    def add(self, path: str, app: Routed) -> None:
        """Add a route."""
        self._apps[path.encode()] = app
        self._most = max(self._most, path.count("/"))

    def find(self, path: bytes) -> Routed | None:
        """Return the app with the longest path that this one begins with; None if there is none."""
        apps, most = self._apps, self._most
        segments = path.split(b"/", most + 1)[: most + 1]
        while len(segments) > 1:
            app = apps.get(b"/".join(segments))
            if app is not None:
                return app
            segments.pop()
        return apps.get(b"")
