"""The fields of a request that say in which form, and whether at all, a file is wanted."""

from typing import NamedTuple

from snakepit.http.types import Headers
from snakepit.server.responders.static_files.codings import LONGEST, accepted


class Asked(NamedTuple):
    """The fields that concern a file; None: there is no such field."""

    codings: tuple[str, ...] = ()
    """Those that are accepted, the best first."""
    page: bool = False
    """Whether a page is wanted, as by a browser for its address bar."""
    plain: bool = True
    """Whether none of the fields below is there."""
    match: bytes | None = None
    none_match: bytes | None = None
    modified_since: bytes | None = None
    unmodified_since: bytes | None = None
    range: bytes | None = None
    if_range: bytes | None = None


_NAMES = {
    b"if-match": "match",
    b"if-none-match": "none_match",
    b"if-modified-since": "modified_since",
    b"if-unmodified-since": "unmodified_since",
    b"range": "range",
    b"if-range": "if_range",
}
_OTHERS = (b"accept-encoding", b"accept")


def read_fields(headers: Headers) -> Asked:
    """Read the fields of a request. One that comes in several lines is their values with commas between them."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _NAMES or name in _OTHERS:
            found[name] = found[name] + b", " + value if name in found else value
    accept_encoding = found.pop(b"accept-encoding", b"")
    accept = found.pop(b"accept", b"")
    return Asked(
        codings=accepted(accept_encoding) if 0 < len(accept_encoding) <= LONGEST else (),
        page=b"text/html" in accept.lower(),
        plain=not found,
        **{_NAMES[name]: value for name, value in found.items()},
    )
