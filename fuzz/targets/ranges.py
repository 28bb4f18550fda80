"""Ranges and conditions of static files, against what the standard says of each."""

from itertools import pairwise
from typing import TYPE_CHECKING

from fuzz.target import Choices, Fault, expect
from snakepit.server.responders.static_files.codings import ENDS
from snakepit.server.responders.static_files.conditions import failed_condition, range_counts, read_date
from snakepit.server.responders.static_files.ranges import MOST_RANGES, content_range, multipart, read_ranges
from snakepit.server.responders.static_files.request_fields import read_fields

if TYPE_CHECKING:
    from snakepit.http.types import Headers

TAG, MODIFIED, NOW = b'"abc-1f"', 1_700_000_000, 1_800_000_000.0
NAMES = (
    *(b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"),
    *(b"accept-encoding", b"accept"),
)


def check(data: bytes) -> None:
    """Read the fields of a request for a file, whose size is in the first two bytes."""
    choices = Choices(data)
    size = choices.number(256) * (1, 7, 1_000_000)[choices.number(3)]
    headers: Headers = [
        (NAMES[line[0] % len(NAMES)], line[1:].strip(b" \t\r")) for line in choices.rest().split(b"\n") if line
    ]
    asked = read_fields(headers)
    expect(set(asked.codings) <= set(ENDS), "codings", asked.codings)
    status = failed_condition(asked, TAG, MODIFIED)
    expect(status in (0, 304, 412), "a status", status)
    if asked.none_match is not None and TAG in asked.none_match and asked.match is asked.unmodified_since is None:
        inside = asked.none_match.count(b'"') == 2
        expect(status == 304 or not inside, "it is the one that the client has", asked)
    for name, value in headers:
        if name.endswith(b"since"):
            date = read_date(value)
            expect(date is None or type(date) is int, "a date", date)
    counts = range_counts(asked, TAG, MODIFIED, NOW)
    expect(asked.range is not None or not counts, "a range that is not there")
    expect(
        not counts or asked.if_range in (None, TAG) or read_date(asked.if_range or b"") == MODIFIED, "If-Range", asked
    )
    if asked.range is not None:
        _check_ranges(asked.range, size)


def _check_ranges(value: bytes, size: int) -> None:
    ranges = read_ranges(value, size)
    expected = _wanted(value, size)
    if ranges is None:
        overlap = expected is not None and any(one[1] > other[0] for one, other in pairwise(sorted(expected)))
        expect(expected is None or overlap or len(value.split(b",")) > MOST_RANGES, "ignored", value, size, expected)
        return
    expect(ranges == expected, "other ranges", ranges, expected)
    expect(all(0 <= start < end <= size for start, end in ranges), "outside of the file", ranges, size)
    expect(all(one[1] <= other[0] for one, other in pairwise(sorted(ranges))), "they overlap", ranges)
    expect(len(ranges) <= MOST_RANGES, "too many", ranges)
    if len(ranges) > 1:
        parts = multipart(ranges, size, b"text/plain")
        body = b"".join(
            piece if isinstance(piece, bytes) else bytes(min(piece[1] - piece[0], 1 << 20)) for piece in parts.pieces
        )
        if size <= 1 << 20:
            expect(len(body) == parts.length, "the length of all parts", parts.length, len(body))
        said = [content_range(piece, size) for piece in ranges]
        expect(all(b"Content-Range: " + each + b"\r\n" in body for each in said), "a part's range", said)


def _wanted(value: bytes, size: int) -> list[tuple[int, int]] | None:
    """Read a Range field by the words of RFC 9110 section 14.1.2, with space wherever anybody puts it."""
    unit, equals, text = value.partition(b"=")
    if (
        unit.strip(b" \t").lower() != b"bytes"
        or not equals
        or not text
        or not size
        or set(text) - set(b"0123456789-, \t")
    ):
        return None
    found = []
    for item in text.split(b","):
        item = item.strip(b" \t")
        first, dash, last = item.partition(b"-")
        if not item:
            continue
        if not dash or not (first or last) or set(first + last) - set(b"0123456789") or max(len(first), len(last)) > 19:
            return None
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start < end:
            found.append((start, end))
    return found


SEEDS = [
    b"\x64\x00\x00bytes=0-9",
    b'\x64\x01\x00bytes=0-0, 5-7,-3\n\x01"abc-1f"',
    b"\x64\x02\x00bytes=90000000-\n\x01Tue, 14 Nov 2023 22:13:20 GMT",
    b'\x0a\x00\x00bytes=5-2,1-\n\x03W/"abc-1f", "x"\n\x04Tue, 14 Nov 2023 22:13:20 GMT',
    b"\x0a\x00\x02*\n\x03*\n\x05Tuesday, 14-Nov-23 22:13:20 GMT\n\x05Tue Nov 14 22:13:20 2023",
    b"\x0a\x00\x06br;q=0.5, gzip, *;q=0\n\x06zstd;q=1.0\n\x07text/html",
]
WORDS = [
    *(
        b"\n\x00bytes=",
        b"\n\x01",
        b"\n\x02",
        b"\n\x03",
        b"\n\x04",
        b"\n\x05",
        b"-",
        b",",
        b"W/",
        TAG,
        b"*",
        b"99999999999999999999",
    ),
    *(
        b"Tue, 14 Nov 2023 22:13:20 GMT",
        b" GMT",
        b" -9999",
        b"Feb 31",
        b"9999",
        b";q=0",
        b";q=1e9",
        b"identity",
        b"0-0",
    ),
]
FAULTS = [
    Fault(
        "server/responders/static_files/ranges.py",
        "if any(later[0] < earlier[1] for",
        "if any(later[0] < earlier[0] for",
    ),
    Fault(
        "server/responders/static_files/ranges.py",
        "min(size, int(last) + 1) if last else size",
        "int(last) + 1 if last else size",
    ),
    Fault(
        "server/responders/static_files/conditions.py",
        "    except (ValueError, TypeError, IndexError, OverflowError):\n",
        "    except (ValueError, IndexError):\n",
    ),
    Fault("server/responders/static_files/conditions.py", 'weak and b"W/" + tag in listed', "weak and False"),
]
