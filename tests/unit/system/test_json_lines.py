"""snakepit.system.json_lines: each record is one line of JSON, whatever is in it."""

import json
import logging
import sys

import pytest

from snakepit.system.json_lines import JsonFormatter
from snakepit.system.moments import timestamp


def record(message="started", *arguments, level=logging.INFO, **more):
    made = logging.LogRecord("some.logger", level, __file__, 1, message, arguments, None)
    vars(made).update(more)
    return made


def test_members():
    made = record("%d of %s", 5, "seven", level=logging.WARNING, created=1767225600.0625)
    assert json.loads(JsonFormatter(worker=3).format(made)) == {
        "time": "2026-01-01T00:00:00.062Z",
        "level": "WARNING",
        "logger": "some.logger",
        "message": "5 of seven",
        "worker": 3,
    }


@pytest.mark.parametrize(("seconds", "text"), [(0, "1970-01-01T00:00:00.000Z"), (0.9999, "1970-01-01T00:00:00.999Z")])
def test_times_are_in_utc(seconds, text):
    assert timestamp(seconds) == text


def test_a_traceback_is_in_the_same_line():
    try:
        raise ValueError("no\nway")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info(), stack_info="Stack:\n  here"))
    assert "\n" not in line
    found = json.loads(line)
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ValueError: no\nway")
    assert found["stack"] == "Stack:\n  here"


def test_extra():
    found = json.loads(JsonFormatter(worker=3).format(record(user=5, path=sys, worker="other")))
    assert found["user"] == 5
    assert found["path"] == str(sys)
    assert found["worker"] == 3
    assert "args" not in found


def test_what_has_no_form_in_json():
    endless = []
    endless.append(endless)
    found = json.loads(JsonFormatter().format(record(one=endless, other={(1, 2): 3})))
    assert found["message"] == "started"
    assert found["one"] == "[[...]]"
    assert found["other"] == "{(1, 2): 3}"
