"""snakepit.logs: what happens goes to stderr, requests to stdout, and a bad file is the operator's fault."""

import json
import logging

import pytest

from snakepit import logs
from snakepit.config import LOG_LEVELS, TRACE, Config
from snakepit.errors import ConfigError

NAMES = ("snakepit", "snakepit.server", "snakepit.access")


@pytest.fixture(autouse=True)
def loggers():
    """Snakepit's loggers, as they were afterwards."""
    found = [logging.getLogger(name) for name in NAMES]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in found]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


@pytest.fixture
def log_config(tmp_path):
    def write(text):
        path = tmp_path / "logs.json"
        path.write_text(text, encoding="utf-8")
        return Config("main:app", log_config=str(path))

    return write


def test_server_messages_go_to_stderr_and_requests_to_stdout(capsys):
    logs.configure(Config("main:app"))
    logging.getLogger("snakepit.server").info("started")
    logging.getLogger("snakepit.access").info("a request")
    out, err = capsys.readouterr()
    assert out.endswith(" INFO     a request\n")
    assert err.endswith(" INFO     started\n")
    assert out.count("\n") == err.count("\n") == 1


@pytest.mark.parametrize("name", LOG_LEVELS)
def test_level(name, capsys):
    logs.configure(Config("main:app", log_level=name))
    server = logging.getLogger("snakepit.server")
    for level in sorted(LOG_LEVELS.values()):
        server.log(level, "message of level %d", level)
    shown = capsys.readouterr().err
    for level in LOG_LEVELS.values():
        assert (f"message of level {level}\n" in shown) == (level >= LOG_LEVELS[name])


def test_trace_has_a_name(capsys):
    logs.configure(Config("main:app", log_level="trace"))
    logging.getLogger("snakepit.server").log(TRACE, "fine")
    assert " TRACE " in capsys.readouterr().err


def test_other_loggers_are_left_alone():
    other = logging.getLogger("some.library")
    logs.configure(Config("main:app"))
    assert not other.disabled


def test_file(log_config, capsys):
    settings = logs.default_config(logging.INFO)
    settings["formatters"]["server"]["format"] = "[%(message)s]"
    logs.configure(log_config(json.dumps(settings)))
    logging.getLogger("snakepit.server").info("started")
    assert capsys.readouterr().err == "[started]\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        "{}",
        '{"version": 2}',
        '{"version": 1, "handlers": 5}',
        '{"version": 1, "handlers": {"x": {}}}',
        '{"version": 1, "handlers": {"x": {"class": "no.such.Class"}}}',
        '{"version": 1, "loggers": ["x"]}',
        '{"version": 1, "loggers": {"x": {"handlers": ["missing"]}}}',
    ],
)
def test_file_that_cannot_be_used(log_config, text):
    config = log_config(text)
    with pytest.raises(ConfigError) as caught:
        logs.configure(config)
    assert str(caught.value).startswith(f"log config {config.log_config!r} can't be used: ")


def test_file_that_is_not_there():
    with pytest.raises(ConfigError, match=r"log config '/does/not/exist' can't be used: .*No such file"):
        logs.configure(Config("main:app", log_config="/does/not/exist"))
