"""A chunked body: what is read of it does not depend on how it comes, and nothing is read in two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.h1.chunked import ChunkedBody

LIMITS = Limits(head=1000, fields=5, body=100)
LATER = b"GET / HTTP/1.1\r\n"


def fed(pieces, limits=LIMITS):
    body = ChunkedBody(limits)
    return b"".join(map(body.feed, pieces)), body


def in_pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


GOOD = {
    "nothing": (b"0\r\n\r\n", b""),
    "chunks": (b"5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n", b"hello, world"),
    "line ends in chunks": (b"4\r\n\r\n\n\r\r\n0\r\n\r\n", b"\r\n\n\r"),
    "capitals and zeros": (b"0A\r\n0123456789\r\n000\r\n\r\n", b"0123456789"),
    "extensions": (b'1;a;b=c;d="e;\\"\xe9"\r\nx\r\n0;z\r\n\r\n', b"x"),
    "extension with spaces": (b"1 ;\ta = b\r\nx\r\n0\r\n\r\n", b"x"),
    "trailers": (b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", b"x"),
}


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=list(GOOD))
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_body(data, expected, size):
    got, body = fed(in_pieces(data + LATER, size))
    assert (got, body.ended) == (expected, True)
    assert LATER.startswith(body.rest)  # what follows in later pieces is not for it


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=list(GOOD))
def test_it_ends_with_its_last_byte(data, expected):
    for at in range(len(data)):
        body = ChunkedBody(LIMITS)
        body.feed(data[:at])
        assert not body.ended
        body.feed(data[at:])
        assert (body.ended, body.rest) == (True, b"")


BAD = [
    *(b"\r\n", b"x\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1_0\r\n", b" 1\r\n", b"1 \r\n", b"1\t\r\n", b"1\x00\r\n"),
    *(b"1\n", b"\n", b"1\r\r\n", b"1;\r\n", b"1;=a\r\n", b"1;a=\r\n", b"1;a b\r\n", b"1;a\rb\r\n", b'1;a="b\r\n'),
    *(b'1;a="\x00"\r\n', b"1;a=\x7f\r\n", b"1,a\r\n", b"1" * 17 + b"\r\n", b"\xb2\r\n"),
    *(b"1\r\nab\r\n", b"1\r\na\n", b"1\r\na\rb", b"1\r\na0\r\n", b"3\r\na\r\nb"),
    *(b"0\r\n\n", b"0\n", b"0\r\nA\r\n", b"0\r\n: b\r\n", b"0\r\nA : b\r\n", b"0\r\n A: b\r\n", b"0\r\nA: \x00\r\n"),
    *(b"0\r\nA: b\r\n c\r\n", b"0\r\nA: b\n\r\n", b"0\r\nA: \rb\r\n"),
]


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_what_has_another_form_is_refused(data, size):
    with pytest.raises(RemoteProtocolError) as caught:
        fed(in_pieces(data + b"\r\n", size))
    assert caught.value.status == 400


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.integers(1, 40))
def test_what_a_client_writes_comes_out(pieces, size):
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    got, body = fed(in_pieces(data, size))
    assert (got, body.ended, body.rest) == (b"".join(pieces), True, b"")


@given(st.lists(st.sampled_from([b"1", b"2", b"0", b"\r\n", b"\n", b"\r", b"ab", b";a", b"A: b", b" "]), max_size=12))
def test_no_bytes_are_read_in_two_ways(parts):
    data = b"".join(parts)
    seen = set()
    for size in (1, 2, 5, 1000):
        body = ChunkedBody(LIMITS)
        got, rest = b"", b""
        try:
            for piece in in_pieces(data, size):
                if body.ended:
                    rest += piece
                else:
                    got += body.feed(piece)
            seen.add((got, body.ended, body.rest + rest))
        except RemoteProtocolError:
            seen.add("refused")
    assert len(seen) == 1


def refusal(pieces, **limits):
    with pytest.raises(RemoteProtocolError) as caught:
        fed(pieces, Limits(**limits))
    return caught.value.status


def test_a_body_over_the_limit_is_refused_before_it_comes():
    assert refusal([b"5\r\nhello\r\n6\r\n"], body=10) == 413
    assert fed([b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"], Limits(body=10))[1].ended
    assert refusal([b"f" * 16 + b"\r\n"], body=10) == 413


def test_a_line_without_end_is_refused():
    assert refusal([b"1;" + b"a" * 100] * 20, head=1000) == 400
    assert refusal([b"0\r\nA: " + b"a" * 100, *[b"a" * 100] * 20], head=1000) == 431


def test_extensions_may_be_as_long_as_the_body_and_the_head():
    chunk = b"64;" + b"a" * 99 + b"\r\n" + b"x" * 100 + b"\r\n"
    assert fed([chunk] * 100, Limits(head=1000))[0] == b"x" * 10_000
    assert refusal([b"1;" + b"a" * 99 + b"\r\nx\r\n"] * 20, head=1000) == 400


def test_trailers_have_the_limits_of_a_head():
    assert fed([b"0\r\n" + b"A: b\r\n" * 5 + b"\r\n"])[1].ended
    assert refusal([b"0\r\n" + b"A: b\r\n" * 6], fields=5) == 431
    as_long_as_a_head = b"0\r\nA: " + b"b" * 95 + b"\r\n\r\n"
    for size in (1, 1000):
        assert fed(in_pieces(as_long_as_a_head, size), Limits(head=100))[1].ended
        assert refusal(in_pieces(as_long_as_a_head, size), head=99) == 431
    assert refusal([b"0\r\n", *[b"A: " + b"b" * 100 + b"\r\n"] * 10], head=1000, fields=100) == 431
