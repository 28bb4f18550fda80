"""snakepit.control.events_text: lines for people, and the moments that they may name."""

import time
from datetime import datetime

import pytest

from snakepit.control.events_text import line, moment, short_line
from snakepit.errors import ConfigError


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    if hasattr(time, "tzset"):
        monkeypatch.setenv("TZ", "XYZ-02")  # two hours before UTC
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()
    else:
        pytest.skip("the zone can't be set")


def event(**more):
    return {
        "time": "2026-03-04T10:30:00.500Z",
        "since": "2026-03-04T10:29:50.000Z",
        "kind": "refused",
        "count": 1,
        "text": "Not\x1b[2J nice",
        **more,
    }


def test_a_line():
    assert line(event()) == r"2026-03-04 12:30:00  refused             Not\x1b[2J nice"
    assert line(event(count=2)).endswith("nice (since 12:29:50)")


def test_a_short_line():
    now = datetime.fromisoformat("2026-03-04T11:00:00Z").timestamp()
    assert short_line(event(), now) == r"12:30:00  Not\x1b[2J nice"
    assert short_line(event(), now + 86_400) == r"2026-03-04 12:30  Not\x1b[2J nice"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10m", "2026-03-04T10:20:15.000Z"),
        ("10 min", "2026-03-04T10:20:15.000Z"),
        ("90s", "2026-03-04T10:28:45.000Z"),
        ("2h", "2026-03-04T08:30:15.000Z"),
        ("1d", "2026-03-03T10:30:15.000Z"),
        ("12:30", "2026-03-04T10:30:00.000Z"),
        ("12:30:10", "2026-03-04T10:30:10.000Z"),
        ("13:00", "2026-03-03T11:00:00.000Z"),  # yesterday
        ("2026-03-01", "2026-02-28T22:00:00.000Z"),
        ("2026-03-01T12:00", "2026-03-01T10:00:00.000Z"),
        ("2026-03-01 12:00:00Z", "2026-03-01T12:00:00.000Z"),
        ("2026-03-01T12:00:00.250+01:00", "2026-03-01T11:00:00.250Z"),
    ],
)
def test_moments(text, found):
    now = datetime.fromisoformat("2026-03-04T10:30:15Z").timestamp()
    assert moment(text, now) == found


@pytest.mark.parametrize(
    "text", ["", "yesterday", "10", "10x", "25:00", "2026-13-01", "9" * 12 + "m", "999999999d", "-5m"]
)
def test_no_moments(text):
    with pytest.raises(ConfigError, match="is no moment; write 10m, 2h or 1d, 12:30, or 2026-01-31T12:30"):
        moment(text)
