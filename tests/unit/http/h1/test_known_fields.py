"""Blocks and lines of header fields that are remembered: what is read of them is what parsers read of a whole head."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.h1.fast_path import CleanHeadParser
from snakepit.http.h1.h11_parser import H11Parser
from snakepit.http.h1.httptools_parser import HttptoolsParser
from snakepit.http.h1.known_fields import HeaderLines, KnownFields, NotOrdinary

LIMITS = Limits(head=2000, fields=6, body=50)
NO_LIMITS = Limits(head=10**6, fields=10**3)
START = b"POST /path?query HTTP/1.1\r\n"
BODY = b"0123456789"
HOST = b"Host: a"


def meaning(event):
    """All of a head, with what does not count when heads are compared; None for none."""
    if event is None:
        return None
    head = event.method, event.target, event.http_version, event.headers, event.expects_continue
    return *head, event.keep_alive, event.upgrade, event.body, event.more


def read_by(parser, data):
    """What a parser makes of a request: its meaning, or the status of its refusal."""
    try:
        return meaning(parser.feed(data))
    except RemoteProtocolError as error:
        return error.status


def parsed_by(kind, limits, data):
    """The same, but the whole head is read by the library behind the parser, whatever is known."""
    end = data.find(b"\r\n\r\n") + 4
    if end > limits.head:
        return read_by(H11Parser(limits), data)
    try:
        head, length = kind(limits, KnownFields())._parse(data[:end])
    except NotOrdinary:
        return read_by(H11Parser(limits), data)
    head.body, head.more = data[end:][:length], len(data) - end < length
    return meaning(head)


def check(kind, limits, known, block):
    """Compare what is read of a block, some lines of which may be known, with what is parsed."""
    data = START + block + b"\r\n" + BODY
    expected = read_by(H11Parser(limits), data)
    assert read_by(kind(limits, known), data) == expected, block
    if b"\r\n\r\n" in data:
        assert parsed_by(kind, limits, data) == expected, block


NAMES = [
    *(b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect", b"Cookie"),
    *(b"X-A", b"x_a", b"!#$%&'*+.^`|~", b"", b"n" * HeaderLines.LARGEST),
]
VALUES = [
    *(b"a", b"", b" ", b"\t", b" \t a b\tc\t ", b"a:b", b":", b"close", b"keep-alive", b"Close, x", b"x,\tclose"),
    *(b"upgrade", b"chunked", b"100-continue", b"h2c", b"0", b"5", b"05", b"+5", b"-5", b"5 5", b"5,5", b"5, 5", b"60"),
    *(b"5_0", b"1" * 17, b"1" * 18, b"1" * 19, b"1" * 20, b"1" * 21, b"1" * 5000, b"\xb2", b"\xe9\xff\x80\xa0\x85"),
    *(b"a\r\n b", b"a\r\n\tb", b"a\r\n", b"x" * (HeaderLines.LARGEST - 7), b"x" * HeaderLines.LARGEST),
]
BYTES = [bytes([byte]) for byte in range(256)]
LINES = [
    *(name + b": " + value for name in NAMES for value in VALUES),
    *(line for byte in BYTES for line in (b"X%bX: 1" % byte, b"%bX: 1" % byte, b"X%b: 1" % byte)),
    *(line for byte in BYTES for line in (b"X: 1%b1" % byte, b"X: %b1" % byte, b"X: 1%b" % byte)),
    *(name + colon + b"1" for name in NAMES for colon in (b"", b":", b" :", b"\t:", b"::", b":\t", b"=", b"\r\n:")),
    *(b"Cookie: " + b"x" * 1000 + byte for byte in BYTES),
]


@pytest.mark.parametrize("kind", [HttptoolsParser, CleanHeadParser], ids=["httptools", "h11"])
@pytest.mark.parametrize("limits", [LIMITS, NO_LIMITS], ids=["limits", "no limits"])
def test_a_line_is_read_as_parsers_read_it(kind, limits):
    known = KnownFields()
    for line in LINES:
        for block in (HOST + b"\r\n" + line + b"\r\n", line + b"\r\n" + HOST + b"\r\n"):
            for _ in range(4):  # the line is new; known; part of a known block
                check(kind, limits, known, block)


GOOD = st.sampled_from(
    [
        *(b"Accept: */*", b"accept:text/html", b"Connection: keep-alive", b"Connection: close", b"Content-Length: 3"),
        *(b"Cookie: a=1", b"Cookie: a=" + b"1" * 1000, b"X:", b"X: \xe9", HOST),
    ]
)
BLOCKS = st.lists(
    st.tuples(
        st.sampled_from([GOOD] * 8 + [st.sampled_from(LINES), st.binary(max_size=8)]).flatmap(lambda lines: lines),
        st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\n\r\n"]),
    ).map(b"".join),
    max_size=7,
).map(b"".join)


@pytest.mark.parametrize("kind", [HttptoolsParser, CleanHeadParser], ids=["httptools", "h11"])
@given(
    blocks=st.lists(BLOCKS.map(lambda block: HOST + b"\r\n" + block) | BLOCKS, min_size=1, max_size=3),
    limits=st.sampled_from([LIMITS, NO_LIMITS]),
)
@example([b"Host: a\r\n", b"Host: a\r\nHost: a\r\n", b"X: 1\r\nHost: a\r\nX: 1\r\n"], LIMITS)
@example([b"Host: a\r\n" + b"X: 1\r\n" * 5, b"Host: a\r\n" + b"X: 1\r\n" * 6], LIMITS)
@example([b"Content-Length: 3\r\nHost: a\r\n", b"Content-Length: 3\r\nHost: a\r\nContent-Length: 3\r\n"], LIMITS)
@example([b"Host: a\r\nConnection: close\r\nConnection: keep-alive\r\n", b"Host: a\r\nConnection: x\r\n"], LIMITS)
def test_a_block_of_any_lines_is_read_as_parsers_read_it(kind, blocks, limits):
    known = KnownFields()
    for _ in range(4):  # nothing of it is known; then its lines; then the whole
        for block in blocks:
            check(kind, limits, known, block)


# -- what is kept ----------------------------------------------------------------------------------------------------


def read(known, *lines):
    return known.read(b"".join(line + b"\r\n" for line in (HOST, *lines)) + b"\r\n", NO_LIMITS)


def test_only_lines_that_are_new_are_read():
    lines = HeaderLines()
    read(lines, b"Accept: */*", b"Connection: keep-alive", b"Cookie: 1")
    assert list(lines.new) == [b"Accept: */*", b"Cookie: 1", b"Connection: keep-alive"]
    headers, keep_alive, length = read(lines, b"Accept: */*", b"Connection: keep-alive", b"Cookie: 2")
    assert headers == [(b"host", b"a"), (b"accept", b"*/*"), (b"connection", b"keep-alive"), (b"cookie", b"2")]
    assert (keep_alive, length) == (True, 0)
    assert list(lines.new) == [b"Cookie: 2"]


def test_a_list_of_fields_is_a_new_one_until_its_block_is_kept():
    known = KnownFields()
    block = b"Host: a\r\nCookie: 1\r\n\r\n"
    lists = []
    while (kept := known.get(block)) is None:
        lists.append(known.read(block, NO_LIMITS)[0])
    assert len(lists) == len({id(headers) for headers in lists}) == 3
    assert kept[0] is lists[-1]


@pytest.mark.parametrize("size", [10, HeaderLines.LARGEST + 10], ids=["short", "long"])
def test_blocks_that_come_once_do_not_evict_others(size):
    known = KnownFields()
    for _ in range(3):
        read(known, b"Cookie: mine")
    for number in range(KnownFields.KEPT + KnownFields.SEEN + 1):
        read(known, b"Cookie: %0*d" % (size, number))
    assert known.get(HOST + b"\r\nCookie: mine\r\n\r\n") is not None
    assert len(known._seen) <= KnownFields.SEEN


def test_lines_are_bounded_in_number_and_length():
    lines = HeaderLines()
    for number in range(0, 3 * HeaderLines.KEPT, 50):
        read(lines, *(b"X: %d" % further for further in range(number, number + 50)))
        assert len(lines) <= HeaderLines.KEPT
    lines.clear()
    read(lines, b"Cookie: " + b"x" * HeaderLines.LARGEST, b"Connection:" + b" " * HeaderLines.LARGEST)
    assert not lines
    for number in range(3 * HeaderLines.HOSTS_KEPT):
        lines.read(b"Host: %d\r\n\r\n" % number, NO_LIMITS)
        assert len(lines._hosts) <= HeaderLines.HOSTS_KEPT
    assert not lines


def test_a_host_that_is_known_does_not_forget_others():
    lines = HeaderLines()
    for number in range(HeaderLines.HOSTS_KEPT):
        lines.read(b"Host: %d\r\n\r\n" % number, NO_LIMITS)
    lines.read(b"Host: 0\r\nContent-Length: 1\r\n\r\n", NO_LIMITS)
    assert len(lines._hosts) == HeaderLines.HOSTS_KEPT
    lines.read(b"Host: %s\r\n\r\n" % (b"x" * HeaderLines.LARGEST), NO_LIMITS)
    assert len(lines._hosts) == HeaderLines.HOSTS_KEPT


def test_lines_of_a_refused_block_are_not_kept():
    lines = HeaderLines()
    for further in (b"Expect: 100-continue", b"X y: 1", b"Host: a", b"Content-Length: x"):
        with pytest.raises(NotOrdinary):
            read(lines, b"Accept: */*", further)
    assert not lines


def test_blocks_are_forgotten_when_there_are_many():
    known = KnownFields()
    blocks = [b"Host: %d\r\n\r\n" % number for number in range(KnownFields.KEPT + 1)]
    for block in blocks * 2:
        known.read(block, NO_LIMITS)
    assert known.get(blocks[0]) is None
    assert known.get(blocks[1]) is not None
    large = b"Host: a\r\n" + b"X: 1\r\n" * 800 + b"\r\n"
    assert len(large) > KnownFields.LARGEST
    for _ in range(4):
        known.read(large, NO_LIMITS)
    assert known.get(large) is None
