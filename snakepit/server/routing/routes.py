"""Finds the app of a request by its host and its path, where a server has several."""

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from snakepit.config.placeholders import PLACEHOLDER
from snakepit.http.hosts import KEPT_HOSTS, names_of_host
from snakepit.http.target import host_of, split_target
from snakepit.server.responders.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snakepit.config.route import Route
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.responder import Responder


class Routed(Protocol):
    """An app that has a route."""

    @property
    def destination(self) -> "Destination":
        """Who answers its requests now."""

    @property
    def responders(self) -> "Sequence[Responder]":
        """The responders that answer some of its requests without a worker."""


type Find = "Callable[[Sequence[bytes]], Routed | None]"
"""Finds the app for what stands in the place of a route's placeholders."""


class Routes:
    """The router of a server with several apps.

    The most specific host that has a path for the request wins: with a port, without, `*` or a placeholder in place of
    its first label, none. For a host, paths are compared segment by segment, as they are without escapes; the longest
    wins, and of two that are as long, the one with fewer placeholders.

    Args:
        strict_host: whether a host that no app is for gets 421 (RFC 9110 section 15.5.20) and not 404.
    """

    def __init__(self, strict_host: bool = False) -> None:
        self._by_host: dict[bytes, _Paths] = {}
        self._known: dict[bytes, tuple[bytes, tuple[_Paths, ...]]] = {}
        self._any_host: tuple[_Paths, ...] = ()
        self._looks_at_host = False
        self._no_path = Refusal(404, "Nothing is served at this address")
        self._no_host = Refusal(421, "This host is not served here") if strict_host else self._no_path

    def clear(self) -> None:
        """Have no routes."""
        self._by_host.clear()
        self._known.clear()
        self._any_host, self._looks_at_host = (), False

    def add(self, route: "Route", app: Routed) -> None:
        """Add an app; no other route may have the same shape."""
        self._paths(route).add(route.path, app)

    def add_pattern(self, route: "Route", find: Find) -> None:
        """Add a route with placeholders."""
        self._paths(route).add_pattern(route.path, find, captures_label=route.host.startswith("{"))

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request."""
        label, found = b"", self._any_host
        if self._looks_at_host:
            host = host_of(head.target, head.headers)
            label, found = self._known.get(host) or self._paths_of(host)
        target = head.target
        if not target.startswith(b"/"):
            target = split_target(target)[0].removeprefix(b"*")  # OPTIONS * is about the server, so about its root
        path = target.partition(b"?")[0]
        if b"%" in path:
            path = unquote_to_bytes(path)
        for paths in found:
            app = paths.find(path, label)
            if app is not None:
                for responder in app.responders:
                    if responder.takes(head):
                        return responder
                return app.destination
        return self._no_path if found else self._no_host

    def _paths(self, route: "Route") -> "_Paths":
        host = PLACEHOLDER.sub("*", route.host).encode()
        paths = self._by_host.setdefault(host, _Paths())
        if host:
            self._looks_at_host = True
        else:
            self._any_host = (paths,)
        self._known.clear()
        return paths

    def _paths_of(self, host: bytes) -> "tuple[bytes, tuple[_Paths, ...]]":
        """Return the first label of a value of the Host field, and the paths of the routes that are for this host.

        Those of the most specific host come first.
        """
        label, names = names_of_host(host)
        found = tuple(self._by_host[each] for each in names if each in self._by_host)
        if len(self._known) >= KEPT_HOSTS:
            self._known.clear()
        self._known[host] = label, found
        return label, found


class _Paths:
    """The routes of one host, by their paths."""

    def __init__(self) -> None:
        self._apps: dict[bytes, Routed] = {}
        self._patterns: dict[int, list[_Pattern]] = {}  # by the number of their segments
        self._most = 0  # segments of any

    def add(self, path: str, app: Routed) -> None:
        """Add a path."""
        self._apps[path.encode()] = app
        self._most = max(self._most, path.count("/"))

    def add_pattern(self, path: str, find: Find, captures_label: bool) -> None:
        """Add a path that may have placeholders; with `captures_label`, the host has one."""
        pattern = _Pattern(path, find, captures_label)
        patterns = self._patterns.setdefault(pattern.size, [])
        patterns.append(pattern)
        patterns.sort(key=_Pattern.placeholders)
        self._most = max(self._most, pattern.size)

    def find(self, path: bytes, label: bytes) -> Routed | None:
        """Return the app with the longest path that this one begins with; None if there is none."""
        apps, patterns, most = self._apps, self._patterns, self._most
        segments = path.split(b"/", most + 1)[: most + 1]
        while segments:
            app = apps.get(b"/".join(segments))
            if app is not None:
                return app
            if patterns:
                for pattern in patterns.get(len(segments) - 1, ()):
                    app = pattern.find(segments, label)
                    if app is not None:
                        return app
            segments.pop()
        return None


class _Pattern:
    """A path that may have placeholders, and what finds the app for what stands in their place."""

    def __init__(self, path: str, find: Find, captures_label: bool) -> None:
        segments = path.encode().split(b"/")
        self.size = len(segments) - 1
        self._literal = [(at, segment) for at, segment in enumerate(segments) if not segment.startswith(b"{")]
        self._captured = [at for at, segment in enumerate(segments) if segment.startswith(b"{")]
        self._captures_label = captures_label
        self._find = find

    def placeholders(self) -> int:
        """Return the number of its segments that may be anything."""
        return len(self._captured)

    def find(self, segments: "Sequence[bytes]", label: bytes) -> Routed | None:
        """Return the app, if these segments fit and there is one."""
        for at, segment in self._literal:
            if segments[at] != segment:
                return None
        captured = [segments[at] for at in self._captured]
        return self._find([label, *captured] if self._captures_label else captured)
