"""snakepit.worker.wsgi.input: a body is read as it comes, and pays for itself."""

import io

import pytest
from fakes import fake_of
from hypothesis import given
from hypothesis import strategies as st

from snakepit.wire.envelopes import CHUNK_COST, WINDOW, cost
from snakepit.worker.wsgi.input import BodySource, Input


@fake_of(BodySource)
class Body:
    """The chunks that are still to come; keeps in its order what is asked of the client."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)
        self.credit = 0
        self.asked = []

    def wait_for_body(self):
        self.asked.append("body")
        return self.chunks.pop(0), bool(self.chunks)

    def give_credit(self, amount):
        self.credit += amount

    def send_continue(self):
        self.asked.append("continue")


@given(st.binary(max_size=20), st.lists(st.binary(max_size=20), min_size=1), st.integers(1, 30))
def test_what_is_read_is_what_came(first, rest, size):
    body = Body(*rest)
    stream = io.BufferedReader(Input(body, first, False), size)
    pieces = list(iter(lambda: stream.read(size), b""))
    assert b"".join(pieces) == first + b"".join(rest)
    assert body.asked == ["body"] * len(rest)
    assert stream.read() == b"", "it does not wait for data that does not come"


def test_it_does_not_wait_while_there_is_something():
    body = Body(b"c")
    stream = Input(body, b"ab", False)
    assert stream.read(1) == b"a"
    assert stream.read(5) == b"b"
    assert body.asked == []
    assert stream.read(5) == b"c"


@pytest.mark.parametrize(("first", "asked"), [(b"", ["continue", "body"]), (b"a", ["body"])])
def test_who_waits_for_100_is_told_before_it_is_waited_for(first, asked):
    """RFC 9110, section 10.1.1: not where some of the body has come, since the client does not wait."""
    body = Body(b"b")
    assert Input(body, first, True).readall() == first + b"b"
    assert body.asked == asked


def test_100_is_sent_once():
    body = Body(b"b", b"c")
    assert Input(body, b"", True).readall() == b"bc"
    assert body.asked == ["continue", "body", "body"]


def test_half_a_window_is_given_back_at_a_time():
    small, large = b"x", b"y" * (WINDOW // 2)
    body = Body(small, large, small, small)
    stream = Input(body, small, False)
    assert stream.read(1) == stream.read(1) == small
    assert body.credit == 0
    assert stream.read(1) == b"y"
    assert body.credit == 2 * cost(small) + cost(large), "all that came, though little of it is read"
    stream.readall()
    assert body.credit == 2 * cost(small) + cost(large), "a body that is complete needs no more"


def test_empty_chunks_cost_something_and_are_no_end():
    body = Body(b"", b"", b"a")
    assert cost(b"") == CHUNK_COST
    assert Input(body, b"", False).read(5) == b"a"
