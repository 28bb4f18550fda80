"""Routes with static files: `--static-path` and `--static-route`, and the tables `[[static]]` of a file."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from snakepit.config.option import Option, describe, option
from snakepit.config.placeholders import PLACEHOLDER
from snakepit.config.route import read_host
from snakepit.errors import ConfigError
from snakepit.system.working_directory import absolute

NAME = "static"
"""The key of the tables, and the field of `Config`."""

ROUTE = "/static"
"""The route of the only folder that `--static-path` names without a route, as granian has it."""

_ROUTE = re.compile(r"/[!-~]*")
_NOT_IN_ROUTES = re.compile(r"[?#%\\]|//|/\.{1,2}(/|$)")
_FIELD_VALUE = re.compile(r"[ -~]*")


def _check_route(route: str) -> None:
    if not _ROUTE.fullmatch(route) or _NOT_IN_ROUTES.search(route):
        raise ConfigError(
            f"route must be a path as it stands in URLs, such as {ROUTE}, without %, ? and #, not {route!r}"
        )


def _check_host(host: str) -> None:
    if PLACEHOLDER.search(host):
        raise ConfigError(f"host can't have placeholders here, as {host!r} has: write *. for any first label")
    if host:
        read_host(host)


def _check_file_name(name: str) -> None:
    if "/" in name or "\\" in name or name.startswith("."):
        raise ConfigError(f"index must be the name of a file, such as index.html, not {name!r}")


def _check_fallback(path: str) -> None:
    if path.startswith("/") or "\\" in path or any(name in ("", ".", "..") for name in path.split("/") if path):
        raise ConfigError(f"fallback must be a file below dir, such as index.html, not {path!r}")


def _check_cache_control(value: str) -> None:
    if not _FIELD_VALUE.fullmatch(value):
        raise ConfigError(f"cache_control must be in ASCII, without line breaks, not {value!r}")


def _check_dir(path: str) -> None:
    if not path:
        raise ConfigError("dir must be a folder, not empty")


def _check_folder(path: str) -> None:
    if not os.path.isdir(path):
        what = "is not a folder" if os.path.exists(path) else "does not exist"
        raise ConfigError(f"dir: the folder {path} {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFiles:
    """A route, and the folder whose files are under it. Raises ConfigError for a wrong value."""

    route: str = option(ROUTE, "The path under which the files are; / is for all paths.", form=_check_route)
    dir: str = option("", "The folder with the files.", path=True, form=_check_dir)
    host: str = option(
        "", "Only for requests to this host, which may be like *.example.com; without it, for all.", form=_check_host
    )
    index: str = option(
        "index.html", "The file that stands for its folder. Empty: folders have no page.", form=_check_file_name
    )
    cache_control: str = option("", "The value of Cache-Control; without it, none is sent.", form=_check_cache_control)
    precompressed: bool = option(True, "Send FILE.br, FILE.zst or FILE.gz in place of FILE to clients that accept it.")
    fallback: str = option(
        "", "The file, below dir, for pages that do not exist: index.html for single-page apps.", form=_check_fallback
    )
    symlinks: bool = option(False, "Follow symbolic links below dir, wherever they lead.")
    listing: bool = option(False, "Folders without index are lists of their files.")

    def __post_init__(self) -> None:
        for each in KEYS:
            each.check(getattr(self, each.name))
        _check_folder(self.dir)
        object.__setattr__(self, "dir", absolute(self.dir))  # the app may change the working directory
        object.__setattr__(self, "route", self.route.rstrip("/") or "/")
        object.__setattr__(self, "host", read_host(self.host) if self.host else "")

    @property
    def place(self) -> tuple[str, str]:
        """What two of them may not have in common."""
        return self.host, self.route

    def __str__(self) -> str:
        others = (
            f"{each.name} = {value!r}"
            for each in KEYS
            if each.name not in ("route", "dir", "host") and (value := getattr(self, each.name)) != each.default
        )
        return ", ".join([f"{self.host}{self.route}: {self.dir}", *others])


KEYS = describe(StaticFiles)
"""The keys of a table `[[static]]`, as options."""


def as_dict(site: StaticFiles) -> dict[str, Any]:
    """Return the values by their keys."""
    return {each.name: getattr(site, each.name) for each in fields(site)}


def joined(given: object, paths: Sequence[str], routes: Sequence[str]) -> tuple[StaticFiles, ...]:
    """Return the routes of `--static-path` and `--static-route`, and those of `given` that they do not replace.

    Raises ConfigError.
    """
    if not isinstance(given, tuple | list) or not all(isinstance(each, StaticFiles) for each in given):
        raise ConfigError(f"{NAME} must be StaticFiles, several of them in a tuple, not {given!r}")
    pairs = _pairs(paths, routes)
    replaced = {site.place for site in pairs}
    sites = (*pairs, *(site for site in given if site.place not in replaced))
    _check_places(sites)
    return sites


def _pairs(paths: Sequence[str], routes: Sequence[str]) -> list[StaticFiles]:
    names = ("static_path", "static_route")
    if len(paths) == 1 and not routes:
        routes = (ROUTE,)
    if len(paths) != len(routes):
        raise ConfigError(
            f"each static_path needs its static_route, in the same order: there are {len(paths)} and {len(routes)}",
            names,
        )
    sites = []
    for path, route in zip(paths, routes, strict=True):
        try:
            sites.append(StaticFiles(route=route, dir=path))
        except ConfigError as error:
            text = str(error).replace("dir", "static_path", 1).replace("route must", "static_route must", 1)
            raise ConfigError(text, names) from None
    return sites


def _check_places(sites: Iterable[StaticFiles]) -> None:
    seen: set[tuple[str, str]] = set()
    for site in sites:
        if site.place in seen:
            raise ConfigError(f"{NAME}: the route {site.host}{site.route} is there twice")
        seen.add(site.place)


class ArrayReader(Protocol):
    """The reader of a file with arrays of tables, which collects what is wrong (`tables.Reader`)."""

    def mistake(self, line: int, text: str) -> None:
        """Note what is wrong in a line."""

    def line_of(self, *path: str | int) -> int:
        """Return the line of a key, or of a table's header."""

    def values_of(
        self, array: str, number: int, table: Mapping[str, Any], options: Sequence[Option]
    ) -> tuple[dict[str, Any], bool]:
        """Return the valid values of one table of an array of tables, whose keys are these options.

        Also returns whether all is valid.
        """


EXAMPLE = "route = ... and dir = ..."
"""What a table needs."""


def read_tables(reader: ArrayReader, tables: Sequence[Mapping[str, Any]]) -> tuple[StaticFiles, ...]:
    """Read the tables `[[static]]` of a file; what is wrong goes to the reader's mistakes."""
    sites: list[StaticFiles] = []
    for number, table in enumerate(tables):
        values, valid = reader.values_of(NAME, number, table, KEYS)
        header = reader.line_of(NAME, number)
        missing = [key for key in ("route", "dir") if key not in {name.replace("-", "_") for name in table}]
        for key in missing:
            reader.mistake(header, f"[[{NAME}]] needs {key} = ...")
        if "dir" in values:
            try:
                _check_folder(values["dir"])
            except ConfigError as error:
                reader.mistake(reader.line_of(NAME, number, "dir"), f"{NAME}.{error}")
                continue
        if missing or not valid:
            continue
        site = StaticFiles(**values)
        if site.place in {each.place for each in sites}:
            reader.mistake(header, f"[[{NAME}]]: the route {site.host}{site.route} is there twice")
        sites.append(site)
    return tuple(sites)
