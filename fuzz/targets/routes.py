"""Routes and placeholders: a second reader finds the same app, and no file is looked at for a name that may be none."""

import asyncio
import atexit
import os
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from fuzz.target import Fault, expect
from snakepit.config.options import Config, RoutedApp
from snakepit.errors import ConfigError
from snakepit.http.events import RequestHead
from snakepit.http.target import authority_of
from snakepit.server.apps.tenants import Tenants
from snakepit.server.events.events import Events
from snakepit.server.responders.refusal import Refusal
from snakepit.server.routing.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = [
    *("/", "/api", "/api/v1", "/shop/{t}", "/shop/fixed", "/{a}/x/{b}", "a.example", "a.example/api", "a.example:8443"),
    *("*.example/w", "{t}.example", "{t}.example/deep/{p}", "b.example/shop/{q}", "[::1]/six", "/\xfc"),
]
"""As `--mount` has them."""

NAME = re.compile(rb"[A-Za-z0-9_-]{1,63}")


class _App:
    """Stands for an app: what answers is what it is called, and what stood in the place of its placeholders."""

    responders = ()

    def __init__(self, *destination: object) -> None:
        self.destination = destination


_CONFIG = Config.resolve(None, {"mount": [f"{route}=main:app" for route in ROUTES], "app_dir": os.getcwd()})
_TEMPLATES = {str(app.route): app for app in _CONFIG.apps}
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)


def _make(routed: RoutedApp) -> Any:
    """Make no app: what counts is that it is to be made."""
    raise ConfigError(f"an app that is not made: {routed.name}")


def check(data: bytes) -> None:
    """Find who answers a request: its host is up to the first line end, its target is the rest."""
    host, _, target = data.partition(b"\n")
    if not target.startswith(b"/") and target != b"*" and authority_of(target) is None:
        target = b"/" + target  # the parsers let no others through
    head = RequestHead("GET", target, "1.1", [(b"host", host)], False)
    _LOOKED.clear()
    with _Watched(_LOOKED):
        found = _ROUTER.find(head)
        again = _ROUTER.find(head)
    expected = _expected(host, target)
    found = None if isinstance(found, Refusal) else found
    again = None if isinstance(again, Refusal) else again
    expect(found == expected, "another app", found, expected)
    expect(found == again, "another app, the second time", found, again)


_LOOKED: list[str] = []
"""The paths that were looked at for this input."""


def _routes() -> Routes:
    """Make the router of a server with all routes; what is in the place of placeholders is looked for on the disk."""
    tenants, routes = Tenants(3, _make, 1.0, _LOOP, Events()), Routes()
    for template in _TEMPLATES.values():
        if template.route.placeholders:
            routes.add_pattern(template.route, partial(_find, tenants, _on_disk(template)))
        else:
            routes.add(template.route, _App(str(template.route)))  # type: ignore[arg-type]
    return routes


def _find(tenants: Tenants, template: RoutedApp, captured: Any) -> Any:
    values, before = list(captured), len(_LOOKED)
    bad = [value for value in values if not NAME.fullmatch(value)]
    found = tenants.find(template, values)
    expect(not bad or (found is None and len(_LOOKED) == before), "a bad name leads to something", values, found)
    return None if found is None else _App(str(template.route), values)


def _on_disk(template: RoutedApp) -> RoutedApp:
    """Return a template whose folder has a placeholder, so that making its app looks at the disk."""
    folder = os.path.join(os.getcwd(), *(f"{{{name}}}" for name in template.route.placeholders[:1]))
    return RoutedApp(template.name, template.route, replace(template.config, app_dir=folder))


class _Watched:
    """Takes note of the paths that placeholders look at, which exist if they have no odd characters."""

    def __init__(self, looked: list[str]) -> None:
        self._looked = looked
        self._kept: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> None:
        def note(path: Any, answer: Any) -> Any:
            self._looked.append(str(path))
            return answer

        for name, answer in (
            ("realpath", lambda path: note(path, os.path.normpath(path))),
            ("exists", lambda path: note(path, True)),
        ):
            self._kept[name] = getattr(os.path, name)
            setattr(os.path, name, answer)
        self._kept["isdir"] = os.path.isdir
        os.path.isdir = lambda path: note(path, True)  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        for name, kept in self._kept.items():
            setattr(os.path, name, kept)


def _expected(host: bytes, target: bytes) -> tuple[object, ...] | None:
    """Find an app by looking at all of them."""
    if not target.startswith(b"/"):
        _, absolute, rest = target.partition(b"://")
        if absolute:
            host = re.split(rb"[/?]", rest, maxsplit=1)[0]
            target = rest[len(host) :]
            target = target if target.startswith(b"/") else b"/" + target
            if not _SCHEME.fullmatch(_):
                target = b"://".join([_, rest])
        elif target.startswith(b"*"):
            target = target[1:]
    path = unquote_to_bytes(target.partition(b"?")[0])
    host = host.lower()
    name, port = host, b""
    if b":" in host and not host.endswith(b"]"):
        name, _, port = host.rpartition(b":")
        port = b":" + port
    name = name.removesuffix(b".")
    label, _, rest = name.partition(b".")
    best: tuple[tuple[int, int, int], tuple[object, ...]] | None = None
    for text, template in _TEMPLATES.items():
        route = template.route
        wanted, captured = route.host.encode(), []
        if not wanted:
            rank = 0
        elif wanted in (name + port, name):
            rank = 4 if wanted == name + port else 3
        elif wanted[:1] in b"*{" and b"." in name and wanted.partition(b".")[2] in (rest + port, rest):
            rank = 2 if wanted.partition(b".")[2] == rest + port and port else 1
            captured = [label] if wanted.startswith(b"{") else []
        else:
            continue
        segments, own = path.split(b"/"), route.path.encode().split(b"/")
        fits = len(own) <= len(segments)
        for one, other in zip(own, segments, strict=False):
            if one.startswith(b"{"):
                captured.append(other)
            elif one != other:
                fits = False
        if not fits or not all(map(NAME.fullmatch, captured)):
            continue
        key = rank, len(own), -len(captured)
        if best is None or key > best[0]:
            best = key, ((text, captured) if route.placeholders else (text,))
    return None if best is None else best[1]


_SCHEME = re.compile(rb"[A-Za-z]+")
_ROUTER = _routes()

SEEDS = [
    b"a.example\n/", b"a.example:8443\n/api/x?y", b"t.example\n/deep/p1", b"b.example\n/shop/a", b"x\n/shop/t-1/more",
    b"[::1]:80\n/six", b"x\n/%C3%BC", b"y.example\n/w/..", b"x\nhttp://a.example/api", b"x\n*", b"x\n/one/x/two",
    b"x\n/shop/..%2f", b"..example\n/", b"x\n/shop/%2e%2e/x", b"A.EXAMPLE.\n/API", b"\n/shop/fixed",
]  # fmt: skip
WORDS = [
    *(
        b"a.example",
        b".example",
        b":8443",
        b"\n",
        b"/",
        b"/api",
        b"/v1",
        b"/shop/",
        b"/x/",
        b"/deep/",
        b"%2f",
        b"%2e",
        b"..",
    ),
    *(b"%00", b"%5c", b"http://", b"?", b"*", b"[::1]", b".", b"a" * 64, b"fixed", b"%41"),
]
FAULTS = [
    Fault(
        "config/placeholders.py",
        '_VALUE = re.compile(rb"[A-Za-z0-9_-]{1,63}")',
        '_VALUE = re.compile(rb"[A-Za-z0-9._-]{1,63}")',
    ),
    Fault(
        "server/routing/routes.py",
        '        segments = path.split(b"/", most + 1)[: most + 1]\n',
        '        segments = path.split(b"/", most)[:most]\n',
    ),
    Fault(
        "server/routing/routes.py",
        "            if segments[at] != segment:\n",
        "            if not segments[at].startswith(segment):\n",
    ),
    Fault(
        "server/apps/tenants.py",
        "            if value is None:\n                return None\n",
        "            if value is None:\n                value = text.decode('latin-1')\n",
    ),
]
LONGEST = 400
