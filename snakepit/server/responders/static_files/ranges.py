"""Range requests (RFC 9110 section 14): some bytes of a file, in one piece or in several parts."""

import re
import secrets
from itertools import pairwise
from typing import NamedTuple

MOST_RANGES = 16
"""The most ranges of one request; one that asks for more gets the whole file. A reader of PDF files asks for a few, and
each costs a part's head, so that many small ones would be more than the file."""

_RANGE = re.compile(rb"bytes[ \t]*=[ \t]*([0-9,\- \t]+)", re.IGNORECASE)
_ONE = re.compile(rb"([0-9]{0,19})-([0-9]{0,19})")

type Range = tuple[int, int]
"""The first byte, and the byte after the last."""


def read_ranges(value: bytes, size: int) -> list[Range] | None:
    """Return the ranges of a Range field that a file of this size has, in the order in which they are wanted.

    Empty: it has none of them (416). None: the field is to be ignored, since it is not valid, or wants too much.
    """
    found = _RANGE.fullmatch(value)
    if found is None or not size:
        return None
    items = [item.strip() for item in found[1].split(b",")]
    if len(items) > MOST_RANGES:
        return None
    ranges: list[Range] = []
    for item in filter(None, items):
        match = _ONE.fullmatch(item)
        if match is None or item == b"-":
            return None
        first, last = match.groups()
        if not first:
            start, end = max(0, size - int(last)), size
        else:
            start, end = int(first), min(size, int(last) + 1) if last else size
            if last and int(last) < start:
                return None
        if start < end:
            ranges.append((start, end))
    in_order = sorted(ranges)
    if any(later[0] < earlier[1] for earlier, later in pairwise(in_order)):
        return None  # they overlap, so that one byte would be sent several times
    return ranges


def content_range(piece: Range, size: int) -> bytes:
    """Return the value of Content-Range."""
    return b"bytes %d-%d/%d" % (piece[0], piece[1] - 1, size)


class Parts(NamedTuple):
    """A body of type multipart/byteranges."""

    content_type: bytes
    pieces: list[bytes | Range]
    """What it consists of: bytes of its own, and bytes of the file."""
    length: int


def multipart(ranges: list[Range], size: int, content_type: bytes) -> Parts:
    """Make a body of several parts (RFC 9110 section 14.6)."""
    boundary = secrets.token_hex(12).encode()
    pieces: list[bytes | Range] = []
    for number, piece in enumerate(ranges):
        pieces.append(
            b"%b--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
            % (b"\r\n" if number else b"", boundary, content_type, content_range(piece, size))
        )
        pieces.append(piece)
    pieces.append(b"\r\n--%b--\r\n" % boundary)
    length = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
    return Parts(b"multipart/byteranges; boundary=" + boundary, pieces, length)
