"""A request's target (RFC 9112 section 3.2), which a proxy may send in absolute form."""


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
