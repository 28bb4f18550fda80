"""The apps of a server that has several: their routes, and the values of their options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snakepit.config import app_reference
from snakepit.config.route import Route, read
from snakepit.config.sources import GIVEN, Found, Source
from snakepit.errors import ConfigError

PER_APP = frozenset(
    (
        *(
            "idle_timeout",
            "app_dir",
            "factory",
            "interface",
            "lifespan",
            "root_path",
            "reset_contextvars",
            "log_config",
            "debug",
        ),
        *("interpreters", "runtime", "threads", "extensions", "lazy_imports"),
        *("max_interpreters", "idle_timeout"),
        *("venv", "env", "env_file", "on_chdir"),
        *("timeout_waiting", "timeout_startup", "timeout_request", "timeout_worker_healthcheck"),
        *("limit_concurrency", "limit_worker_concurrency", "limit_waiting", "limit_request_body"),
        *("buffer_request_body", "buffer_request_body_on_disk", "buffer_response", "buffer_response_on_disk"),
        *("limit_max_requests", "limit_max_requests_jitter", "workers_lifetime", "workers_max_rss"),
    )
)
"""The options of which each of several apps may have its own."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An app that some source names.

    Args:
        values: of the options that are its own.
        source: what names it.
    """

    name: str
    route: Route
    app: Any
    source: Source
    values: Mapping[str, Any] = field(default_factory=dict)


def check_mounts(texts: Sequence[str]) -> None:
    """Raise ConfigError for a wrong value of `mount`."""
    for text in texts:
        _mount(text)


def find(found: Found) -> tuple[list[Wanted], list[str]]:
    """Return the apps that all sources name, if some of them have routes, and what is wrong with them."""
    mounted = found.values.get("mount", ())
    if not found.apps and not mounted:
        return [], []
    wanted = [*_of_files(found), *_mounted(mounted, found)]
    if found.app is not None:
        wanted.insert(0, Wanted("/", Route(), found.app, found.sources["app"]))
    return wanted, list(_clashes(wanted))


def _of_files(found: Found) -> Iterable[Wanted]:
    for table in found.apps:
        own = {name: each.value for name, each in table.settings.items() if not found.outranks_files(name)}
        source = Source("file", path=found.path, line=table.line)
        yield Wanted(table.name or str(table.route), table.route, table.app.value, source, own)


def _mounted(texts: Iterable[str], found: Found) -> Iterable[Wanted]:
    for text in texts:
        route, app = _mount(text)
        yield Wanted(str(route), route, app, found.sources.get("mount", GIVEN))


def _mount(text: str) -> tuple[Route, str]:
    """Read a value of `mount`: a route and an app's reference. Raises ConfigError."""
    route, _, app = text.partition("=")
    if not route or not app:
        raise ConfigError(f"mount must be like /api=api.main:app or api.example.com=api.main:app, not {text!r}")
    try:
        app_reference.check(app)
        return read(route), app
    except ConfigError as error:
        raise ConfigError(f"mount {text!r}: {error}") from None


def _clashes(wanted: Iterable[Wanted]) -> Iterable[str]:
    names: set[str] = set()
    routes: dict[str, str] = {}
    with_placeholders: list[Wanted] = []
    for each in wanted:
        shape = each.route.shape
        if shape in routes:
            yield f"{each.name} ({each.source}) would get the same requests as {routes[shape]}: change host or path"
        elif each.name in names:
            yield f"two apps are called {each.name} ({each.source}): give one of them another name"
        elif each.route.placeholders:
            tied = next((one for one in with_placeholders if one.route.ties_with(each.route)), None)
            if tied is not None:
                yield (
                    f"{each.name} ({each.source}) would get some of the requests of {tied.name}, and neither is the "
                    "more specific: change host or path"
                )
            with_placeholders.append(each)
        names.add(each.name)
        routes[shape] = each.name
