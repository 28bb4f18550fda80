"""snakepit.server.net.common_fields: the Date and Server fields, made once a second."""

from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest

from snakepit.http.fields import CLOSE, HAS_DATE, HAS_HSTS, HAS_SERVER
from snakepit.server.net import common_fields as clock
from snakepit.server.net.common_fields import CommonFields


@pytest.fixture
def time(monkeypatch):
    """A clock that stands still until it is set."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: now.seconds))
    return now


def date(common):
    name, _, value = common.lines(HAS_SERVER).removesuffix(b"\r\n").partition(b": ")
    assert name == b"date"
    return value


def test_format(time):
    time.seconds = 784111777.9  # the example of RFC 9110 section 5.6.7
    assert date(CommonFields(date=True, server=True)) == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_moves_on_with_the_second(time):
    common = CommonFields(date=True, server=True)
    time.seconds = 1000.0
    lines, first = common.lines(0), date(common)
    time.seconds = 1000.999
    assert common.lines(0) is lines
    time.seconds = 1001.0
    later = date(common)
    assert (parsedate_to_datetime(later.decode()) - parsedate_to_datetime(first.decode())).total_seconds() == 1


def test_clock_that_is_set_back(time):
    common = CommonFields(date=True, server=True)
    time.seconds = 784111777
    common.lines(0)
    time.seconds = 784111776
    assert date(common) == b"Sun, 06 Nov 1994 08:49:36 GMT"


def test_at_the_epoch(time):
    assert date(CommonFields(date=True, server=True)) == b"Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize("date", [True, False])
@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("has_date", [True, False])
@pytest.mark.parametrize("has_server", [True, False])
def test_only_what_is_wanted_and_lacking(time, date, server, has_date, has_server):
    lines = CommonFields(date=date, server=server).lines(HAS_DATE * has_date | HAS_SERVER * has_server)
    assert (b"date: " in lines) == (date and not has_date)
    assert (b"server: " in lines) == (server and not has_server)


EXTRA = [(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"")]


@pytest.mark.parametrize("flags", [0, HAS_DATE, HAS_SERVER, HAS_DATE | HAS_SERVER])
def test_fields_for_all_responses(time, flags):
    common = CommonFields(date=True, server=True, extra=EXTRA)
    own = CommonFields(date=True, server=True).lines(flags)
    assert common.lines(flags) == own + b"x-a: 1\r\nx-a: 2\r\nx-b: \r\n"


def test_a_response_tells_browsers_once_to_use_https(time):
    common = CommonFields(date=False, server=False, extra=[*EXTRA[:1], (b"strict-transport-security", b"max-age=1")])
    assert common.lines(0) == b"strict-transport-security: max-age=1\r\nx-a: 1\r\n"
    assert common.lines(HAS_DATE | HAS_HSTS | CLOSE) == b"x-a: 1\r\n"


@pytest.mark.parametrize("usual", [True, False])
def test_a_response_has_one_date_and_one_server(time, usual):
    common = CommonFields(date=usual, server=usual, extra=[*EXTRA[:1], (b"server", b"mine"), (b"date", b"never")])
    assert common.lines(0) == b"date: never\r\nserver: mine\r\nx-a: 1\r\n"
    assert common.lines(HAS_DATE) == b"server: mine\r\nx-a: 1\r\n"
    assert common.lines(HAS_SERVER) == b"date: never\r\nx-a: 1\r\n"
    assert common.lines(HAS_DATE | HAS_SERVER) == b"x-a: 1\r\n"
