"""snakepit.config.access_fields: which members there are, and what is said of the others."""

import pytest

from snakepit.config.access_fields import FIELDS, check_access_fields, fields_of
from snakepit.config.options import Config
from snakepit.errors import ConfigError


def test_lists():
    assert fields_of("") == ()
    assert fields_of(" time, status ,,{User-Agent}i") == ("time", "status", "{User-Agent}i")
    check_access_fields(",".join((*FIELDS, "{x-a}i", "{x-b}o")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("statsu", "no 'statsu'; did you mean status?"),
        ("zzz", "there are time, level"),
        ("{x}e", "no '{x}e'"),
        ("time,time", "has 'time' twice"),
        ("{X}i,{x}o", "has 'x' twice"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(ConfigError, match=said.replace("{", r"\{").replace("?", r"\?")):
        Config("app:app", log_format="json", access_log_fields=text)


@pytest.mark.parametrize("options", [{}, {"log_format": "json", "access_log_format": "%(h)s"}])
def test_they_are_of_json(options):
    with pytest.raises(ConfigError, match="access_log_fields needs log_format json"):
        Config("app:app", access_log_fields="time", **options)
