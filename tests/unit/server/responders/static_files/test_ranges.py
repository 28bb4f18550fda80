"""server.responders.static_files.ranges: RFC 9110 section 14."""

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.responders.static_files.ranges import MOST_RANGES, content_range, multipart, read_ranges

CASES = [
    (b"bytes=0-0", [(0, 1)]),
    (b"bytes=0-99", [(0, 100)]),
    (b"bytes=0-1000", [(0, 100)]),
    (b"bytes=10-", [(10, 100)]),
    (b"bytes=-10", [(90, 100)]),
    (b"bytes=-1000", [(0, 100)]),
    (b"BYTES = 0-1 , 5-6", [(0, 2), (5, 7)]),
    (b"bytes=5-6,0-1", [(5, 7), (0, 2)]),
    (b"bytes=0-1,,5-6,", [(0, 2), (5, 7)]),
    (b"bytes=0-1,200-300", [(0, 2)]),
    (b"bytes=0-1,2-3", [(0, 2), (2, 4)]),
    (b"bytes=100-", []),
    (b"bytes=100-200", []),
    (b"bytes=-0", []),
    (b"bytes=0-5,3-9", None),
    (b"bytes=0-,-1", None),
    (b"bytes=5-3", None),
    (b"bytes=a-b", None),
    (b"bytes=1", None),
    (b"bytes=-", None),
    (b"bytes=1--2", None),
    (b"bytes=", None),
    (b"lines=0-1", None),
    (b"bytes=99999999999999999999999-", None),
    (b"", None),
    (b"bytes=" + b",".join(b"%d-%d" % (at * 2, at * 2) for at in range(MOST_RANGES + 1)), None),
]


@pytest.mark.parametrize(("value", "ranges"), CASES)
def test_ranges(value, ranges):
    assert read_ranges(value, 100) == ranges


def test_as_many_as_are_allowed():
    value = b"bytes=" + b",".join(b"%d-%d" % (at * 2, at * 2) for at in range(MOST_RANGES))
    assert len(read_ranges(value, 100)) == MOST_RANGES


def test_an_empty_file_has_no_ranges():
    assert read_ranges(b"bytes=0-", 0) is None


def test_content_range():
    assert content_range((90, 100), 100) == b"bytes 90-99/100"


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), min_size=2, max_size=16),
    st.binary(min_size=100, max_size=100),
)
def test_parts(pairs, content):
    ranges = [(start, min(100, start + size)) for start, size in pairs]
    parts = multipart(ranges, 100, b"text/css")
    body = b"".join(piece if isinstance(piece, bytes) else content[slice(*piece)] for piece in parts.pieces)
    assert len(body) == parts.length
    boundary = parts.content_type.partition(b"boundary=")[2]
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    sections = (
        body.removesuffix(b"\r\n--" + boundary + b"--\r\n")
        .removeprefix(b"--" + boundary + b"\r\n")
        .split(b"\r\n--" + boundary + b"\r\n")
    )
    heads = [section.partition(b"\r\n\r\n") for section in sections]
    assert [rest for _, _, rest in heads] == [content[start:end] for start, end in ranges]
    assert [message_from_bytes(head)["Content-Range"] for head, _, _ in heads] == [
        f"bytes {start}-{end - 1}/100" for start, end in ranges
    ]
