"""snakepit.config.access_format: which formats there are, and what is said of the others."""

import pytest

from snakepit.config.access_format import ATOMS, check_file, check_format, field_of, parse_format
from snakepit.config.options import Config
from snakepit.errors import ConfigError

GUNICORN = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
GRANIAN = '[%(time)s] %(addr)s - "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).3f'
HYPERCORN = "%(h)s %(l)s %(l)s %(t)s %(r)s %(s)s %(b)s %(f)s %(a)s"


@pytest.mark.parametrize("text", ["", "plain", "100%%", GUNICORN, GRANIAN, HYPERCORN, "%({X-Request-ID}i)-36s|%(D)8d"])
def test_formats_that_work(text):
    check_format(text)
    assert Config("app:app", access_log_format=text).access_log_format == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%s", "must have atoms such as"),
        ("100%", "must have atoms such as"),
        ("%(h)", "must have atoms such as"),
        ("%(h)*d", "must have atoms such as"),
        ("%(nope)s", r"there is no %\(nope\)s"),
        ("%({x}e)s", r"there is no %\(\{x\}e\)s"),
        ("%({a b}i)s", "there is no"),
        ("%(h)d", "can't be used"),
        ("%({x}i)d", "can't be used"),
    ],
)
def test_formats_that_do_not(text, said):
    with pytest.raises(ConfigError, match=said):
        check_format(text)
    with pytest.raises(ConfigError, match=said):
        Config("app:app", access_log_format=text)


def test_parsing():
    assert parse_format("%(h)s %% %({X-A}i)5s %(dt_ms).3f") == ("%s %% %5s %.3f", ["h", "{X-A}i", "dt_ms"])


@pytest.mark.parametrize(
    ("name", "field"),
    [("{X-Request-ID}i", (b"x-request-id", "i")), ("{Server}o", (b"server", "o")), ("h", None), ("{}i", None)],
)
def test_fields(name, field):
    assert field_of(name) == field


def test_no_atom_looks_like_a_field():
    assert not any(map(field_of, ATOMS))


def test_a_file_that_is_stdout():
    check_file("access.log")
    with pytest.raises(ConfigError, match="leave it out"):
        check_file("-")
