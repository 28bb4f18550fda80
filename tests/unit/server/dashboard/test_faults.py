"""server.dashboard.faults: the latest errors of apps."""

import pytest
from clients import FakeClient

from snakepit.http.events import RequestHead
from snakepit.server.dashboard.faults import KEPT, LONGEST, LONGEST_LINE, Faults
from snakepit.server.exchanges.exchange import Exchange


@pytest.fixture
def faults():
    return Faults()


def exchange(target=b"/a?key=secret"):
    return Exchange(1, FakeClient(), None, RequestHead("GET", target, "1.1", [], False))


def test_the_latest_comes_first_without_its_query(faults):
    faults.add(exchange(), "Traceback\n  ...\nValueError: one\n\n")
    faults.add(exchange(b"/b"), "ValueError: two")
    two, one = faults.latest
    assert (one.number, one.path, one.last_line) == (1, "/a", "ValueError: one")
    assert one.text.startswith("Traceback")
    assert faults.numbered(2) == two
    assert faults.numbered(3) is None


def test_the_same_error_of_the_same_request_is_one(faults):
    for _ in range(3):
        faults.add(exchange(), "Traceback 1\nValueError: one")
        faults.add(exchange(b"/b"), "Traceback 1\nValueError: one")
    assert [(fault.path, fault.times, fault.number, fault.key) for fault in faults.latest] == [
        ("/b", 3, 6, 2),
        ("/a", 3, 5, 1),
    ]
    assert faults.count == 6
    assert faults.numbered(1) is None


def test_only_so_many_are_kept(faults):
    for number in range(KEPT + 5):
        faults.add(exchange(b"/%d" % number), "it failed")
    assert [fault.path for fault in faults.latest][-1] == "/5"
    assert len(faults.latest) == KEPT
    assert faults.count == KEPT + 5


def test_what_is_long_is_cut(faults):
    faults.add(exchange(b"/" + b"x" * 9000), "begin " + "y" * LONGEST)
    [fault] = faults.latest
    assert len(fault.path) == LONGEST_LINE + 1
    assert len(fault.last_line) == LONGEST_LINE
    assert len(fault.text) == LONGEST + 1
    assert "begin" not in fault.text


def test_an_error_without_words(faults):
    faults.add(exchange(), "\n")
    assert faults.latest[0].last_line == ""
