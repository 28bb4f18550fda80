"""snakepit.server.clock: the Date header, made once a second."""

from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest

from snakepit.server import clock
from snakepit.server.clock import HttpDate


@pytest.fixture
def time(monkeypatch):
    """A clock that stands still until it is set."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: now.seconds))
    return now


def test_format(time):
    time.seconds = 784111777.9  # the example of RFC 9110 section 5.6.7
    assert HttpDate().now() == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_moves_on_with_the_second(time):
    date = HttpDate()
    time.seconds = 1000.0
    first = date.now()
    time.seconds = 1000.999
    assert date.now() is first
    time.seconds = 1001.0
    later = date.now()
    assert (parsedate_to_datetime(later.decode()) - parsedate_to_datetime(first.decode())).total_seconds() == 1


def test_clock_that_is_set_back(time):
    date = HttpDate()
    time.seconds = 784111777
    date.now()
    time.seconds = 784111776
    assert date.now() == b"Sun, 06 Nov 1994 08:49:36 GMT"
