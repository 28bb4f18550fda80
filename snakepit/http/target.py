"""A request's target (RFC 9112 section 3.2), which a proxy may send in absolute form."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.http.types import Headers


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query string, as they came."""
    if not target.startswith(b"/"):
        target = origin_form(target)
    raw_path, _, query = target.partition(b"?")
    return raw_path, query


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
