"""A request's target (RFC 9112 section 3.2), which a proxy may send in absolute form."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.http.types import Headers

_HOST = re.compile(
    rb"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\])(?::[0-9]{0,5})?"
)
"""A host and its port, or nothing (RFC 3986 section 3.2). A comma, which may be a part of a name there, is what a proxy
makes of two Host fields; and a zone of an IPv6 address may be behind a percent sign, as some clients send it."""


def is_host(text: bytes) -> bool:
    """Tell whether a Host field can have this value (RFC 9110 section 7.2). It may be empty."""
    found = _HOST.fullmatch(text)
    return found is not None and (not text.startswith(b":")) and _port_of(text) <= 65_535


def _port_of(host: bytes) -> int:
    _, colon, port = host.rpartition(b":")
    return int(port) if colon and port.isdigit() else 0


def authority_of(target: bytes) -> bytes | None:
    """Return what an absolute target ("http://host/path") has for a host; None if the target is none of HTTP's."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return None
    return rest.partition(b"/")[0].partition(b"?")[0]


def with_host_of(target: bytes, headers: "Headers") -> "Headers":
    """Return header fields whose Host is that of an absolute target, whatever the client has put there.

    RFC 9112 section 3.2.2: the field is ignored then. Apps do not look at the target for the host.
    """
    authority = authority_of(target)
    if authority is None:
        return headers
    return [(b"host", authority), *(field for field in headers if field[0] != b"host")]


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query string, as they came."""
    if not target.startswith(b"/"):
        target = origin_form(target)
    raw_path, _, query = target.partition(b"?")
    return raw_path, query


def is_among(target: bytes, paths: Collection[bytes]) -> bool:
    """Tell whether a target's path is one of these; quick for most targets, of each of which it is asked."""
    if target in paths:
        return True
    return (b"?" in target or not target.startswith(b"/")) and split_target(target)[0] in paths


def origin_form(target: bytes) -> bytes:
    """Return path and query of an absolute target ("http://host/path"), as proxies send it; "*" stays "*"."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or not scheme.isalpha():
        return target
    cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    origin = rest[cut:]
    return origin if origin.startswith(b"/") else b"/" + origin


def host_of(target: bytes, headers: "Headers") -> bytes:
    """Return the host that a request is for, with its port if it names one; empty: it names no host.

    An absolute target takes precedence over the Host field (RFC 9112 section 3.2.2).
    """
    if not target.startswith(b"/"):
        _, separator, rest = target.partition(b"://")
        if separator:
            return rest.partition(b"/")[0].partition(b"?")[0]
    return next((value for name, value in headers if name == b"host"), b"")
