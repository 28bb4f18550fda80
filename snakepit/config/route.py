"""Routes: the host and the path of the requests that an app gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from snakepit.config import placeholders
from snakepit.config.placeholders import PLACEHOLDER
from snakepit.errors import ConfigError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SEGMENT = re.compile(r"[^\s/?#%\\{}\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Args:
        host: in lower case, with a port if only that is meant; `*` or a placeholder may be its first label. Empty:
            every host.
        path: without escapes and without a slash at its end; what is below it belongs to it. Segments may be
            placeholders. Empty: every path.
    """

    host: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.host}{self.path}" or "/"

    @property
    def placeholders(self) -> list[str]:
        """The names of its placeholders, in their order."""
        return placeholders.names(f"{self.host}{self.path}")

    @property
    def shape(self) -> str:
        """What it has in common with every route that gets the same requests."""
        return PLACEHOLDER.sub("*", str(self))

    def ties_with(self, other: "Route") -> bool:
        """Tell whether some requests fit both, and neither is the more specific: /{a}/x and /y/{b}, for /y/x."""
        if PLACEHOLDER.sub("*", self.host) != PLACEHOLDER.sub("*", other.host):
            return False
        ours, theirs = self.path.split("/"), other.path.split("/")
        if len(ours) != len(theirs):
            return False
        more_specific = [False, False]
        for one, two in zip(ours, theirs, strict=True):
            free = PLACEHOLDER.fullmatch(one), PLACEHOLDER.fullmatch(two)
            if not any(free) and one != two:
                return False
            more_specific[0] |= bool(free[1] and not free[0])
            more_specific[1] |= bool(free[0] and not free[1])
        return all(more_specific) or not any(more_specific)

    def filled(self, values: Mapping[str, str]) -> "Route":
        """Return the route with these values in the place of placeholders."""
        return Route(placeholders.fill(self.host, values), placeholders.fill(self.path, values))


def read(text: str) -> Route:
    """Read a route as the command line has it: a host, a path, or both. Raises ConfigError."""
    host, slash, path = text.partition("/")
    return checked(Route(read_host(host) if host else "", read_path(slash + path) if slash else ""))


def checked(route: Route) -> Route:
    """Return a route, unless it has one placeholder twice. Raises ConfigError."""
    names = route.placeholders
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{{{twice}}} stands twice in {route}")
    return route


def read_host(text: str) -> str:
    """Read a host as a route has it, and return it in its usual form. Raises ConfigError."""
    found = _HOST.fullmatch(text.lower())
    if found is None:
        raise _not_a_host(text)
    name, port = found["name"].removesuffix("."), found["port"]
    if not name.isascii():
        raise ConfigError(f"host {text!r} must be as browsers send it{_in_ascii(name)}")
    labels = name.split(".")
    rest = labels[1:] if labels[0] == "*" or PLACEHOLDER.fullmatch(labels[0]) else labels
    named = rest and len(name) <= 253 and all(map(_LABEL.fullmatch, rest))
    if not (named or name.startswith("[")) or (port is not None and not 0 < int(port) < 65_536):
        raise _not_a_host(text)
    return name if port is None else f"{name}:{int(port)}"


def read_path(text: str) -> str:
    """Read a path as a route has it, and return it in its usual form. Raises ConfigError."""
    if not text.startswith("/"):
        raise ConfigError(f"path must start with a slash, not be {text!r}")
    path = text.rstrip("/")
    for segment in path.split("/")[1:]:
        if PLACEHOLDER.fullmatch(segment):
            continue
        if "%" in segment:
            raise ConfigError(f"path must be without escapes, not {text!r}: write the letters that they mean")
        if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
            raise ConfigError(
                f"path must be like /api, /shop/admin or /{{tenant}}, not {text!r}: {segment!r} can't stand there"
            )
    return path


def _not_a_host(text: str) -> ConfigError:
    return ConfigError(
        f"host must be like example.com, *.example.com, {{tenant}}.example.com, example.com:8000 or [::1], not {text!r}"
    )


def _in_ascii(name: str) -> str:
    try:
        return f": {name.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ", in letters of ASCII"


def check_root_path(path: str) -> None:
    """Raise ConfigError unless the path may come before those of routes."""
    if path and not path.startswith("/"):
        raise ConfigError(f"root_path must start with a slash, not be {path!r}")
