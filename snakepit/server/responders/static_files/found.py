"""What a look at the disk finds."""

from dataclasses import dataclass
from email.utils import formatdate

from snakepit.http.fields import Fields, render
from snakepit.server.responders.static_files.files import Identity, OpenFile

RACY_NS = 2 * 10**9
"""Nanoseconds; what was changed less long before it was read may have changed after that, and show the same time: some
file systems know only every other second."""


@dataclass(slots=True, eq=False)
class FoundFile:
    """A file's contents, or the open file, and the header fields of answers with it."""

    size: int
    tag: bytes
    modified: int
    """In seconds since 1970; 0: it has no date, and no tag, since it was made here."""
    content_type: bytes
    whole: Fields
    """Of the answer with all of it."""
    shared: bytes
    """The lines that answers with parts of it have, too: all but Content-Type."""
    unchanged: Fields
    """Of the answer that it has not changed (304)."""
    content: bytes | None
    file: OpenFile | None
    """If `content` is None."""
    identity: tuple[Identity, ...] = ()
    """What it was made of; empty: it has to be made anew each time."""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such file. `prefix`: the names up to the first that does not exist; empty: that is not known."""

    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """A folder with a page was asked for without the slash at its end."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that can't be opened: the status and the reason of the answer."""

    status: int
    reason: str


type Found = FoundFile | Missing | Moved | Refused


def make_found(
    content_type: bytes,
    size: int,
    tag: bytes,
    modified: int,
    coding: str,
    cache_control: str,
    varies: bool,
    content: bytes | None,
    file: OpenFile | None,
    identity: tuple[Identity, ...],
) -> FoundFile:
    """Make the header fields of a file. `tag`: empty if it has neither tag nor date."""
    kept = []
    if cache_control:
        kept.append((b"cache-control", cache_control.encode("latin-1")))
    if tag:
        kept += [(b"etag", tag), (b"last-modified", formatdate(modified, usegmt=True).encode())]
    if varies:
        kept.append((b"vary", b"accept-encoding"))
    others = [(b"content-encoding", coding.encode())] if coding else []
    if tag:
        others.append((b"accept-ranges", b"bytes"))
    shared = render([*kept, *others])[0]
    length = (b"content-length", str(size).encode())
    whole = render([(b"content-type", content_type), *kept, *others, length])
    return FoundFile(size, tag, modified, content_type, whole, shared, render(kept), content, file, identity)
