"""snakepit.logs: what happens goes to stderr, requests to stdout, and a bad file is the operator's fault."""

import io
import json
import logging
import os
import sys
import threading

import pytest
from waiting import PATIENCE

from snakepit import logs
from snakepit.config.choices import LOG_LEVELS, TRACE
from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.system.log_files import reopen_log_files

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


@pytest.mark.parametrize("text", ["[loggers]\nkeys=root\n", "version: 1\n"])
def test_a_file_of_another_format(log_config, text):
    with pytest.raises(ConfigError, match="can't be used: it must be a JSON file: "):
        logs.configure(log_config(text))


@pytest.mark.parametrize("options", [{}, {"use_colors": True}])
def test_requests_in_a_file(tmp_path, capsys, options):
    file = tmp_path / "access.log"
    file.write_text("before\n", encoding="utf-8")
    logs.configure(Config("main:app", access_log_file=str(file), **options))
    logging.getLogger("snakepit.access").info("a request")
    [handler] = [one for one in logging.getLogger("snakepit.access").handlers if isinstance(one, logs.ReadyLines)]
    handler.write("ready\n")
    handler.close()
    before, line, ready = file.read_text(encoding="utf-8").splitlines()
    assert (before, ready) == ("before", "ready")
    assert line.endswith(" INFO     a request")
    assert capsys.readouterr().out == ""


def test_a_file_for_requests_that_cannot_be_made(tmp_path):
    with pytest.raises(ConfigError, match=r"access_log_file can't be used: .*No such file") as caught:
        logs.configure(Config("main:app", access_log_file=str(tmp_path / "none" / "access.log")))
    assert caught.value.options == ("access_log_file",)


def test_a_file_for_requests_beside_a_configuration(log_config, tmp_path):
    config = Config("main:app", access_log_file=str(tmp_path / "log"), log_config=log_config("{}").log_config)
    with pytest.raises(ConfigError, match="can't be used with log_config"):
        logs.configure(config)


def test_json(capsys):
    logs.configure(Config("main:app", log_format="json"))
    logging.getLogger("snakepit.server").info("started")
    logging.getLogger("snakepit.access").info("a request")
    out, err = capsys.readouterr()
    assert json.loads(err)["message"] == "started"
    assert json.loads(out)["logger"] == "snakepit.access"


# -- colours ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def environment(monkeypatch):
    """The environment of a terminal that shows colours."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "wanted", "stream", "colored"),
    [
        ({}, None, Terminal(), True),
        ({}, None, io.StringIO(), False),
        ({}, None, None, False),
        ({"NO_COLOR": "1"}, None, Terminal(), False),
        ({"NO_COLOR": ""}, None, Terminal(), True),
        ({"TERM": "dumb"}, None, Terminal(), False),
        ({"NO_COLOR": "1"}, True, io.StringIO(), True),
        ({}, False, Terminal(), False),
    ],
)
def test_where_colours_are_shown(environment, variables, wanted, stream, colored):
    for name, value in variables.items():
        environment.setenv(name, value)
    assert logs.shows_colors(wanted, stream) is colored


def test_colours_on_windows(environment):
    environment.setattr("sys.platform", "win32")
    assert logs.shows_colors(None, Terminal())
    environment.delenv("TERM")
    environment.delenv("WT_SESSION", raising=False)
    assert not logs.shows_colors(None, Terminal())
    environment.setenv("WT_SESSION", "1")
    assert logs.shows_colors(None, Terminal())


@pytest.mark.parametrize("colored", [True, False])
def test_the_level_is_coloured(capsys, colored):
    logs.configure(Config("main:app", use_colors=colored))
    logging.getLogger("snakepit.server").warning("slow")
    logging.getLogger("snakepit.access").info("a request")
    captured = capsys.readouterr()
    warning, info = ("\x1b[33mWARNING \x1b[0m", "\x1b[32mINFO    \x1b[0m") if colored else ("WARNING ", "INFO    ")
    assert captured.err.endswith(f" {warning} slow\n")
    assert captured.out.endswith(f" {info} a request\n")


def test_each_stream_by_itself(environment, monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("sys.stdout", io.StringIO())
    logs.configure(Config("main:app"))
    logging.getLogger("snakepit.server").info("started")
    logging.getLogger("snakepit.access").info("a request")
    assert "\x1b[" in sys.stderr.getvalue()
    assert "\x1b[" not in sys.stdout.getvalue()


def test_other_handlers_get_records_without_colours(caplog):
    logs.configure(Config("main:app", use_colors=True))
    logger = logging.getLogger("snakepit.server")
    logger.addHandler(caplog.handler)
    try:
        logger.info("started")
    finally:
        logger.removeHandler(caplog.handler)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_level_without_a_colour():
    assert logs.colored_level("Level 7", 7) == "Level 7 "


@pytest.mark.parametrize(("status", "text"), [(200, "\x1b[32m200\x1b[0m"), (404, "\x1b[31m404\x1b[0m"), (999, "999")])
def test_statuses(status, text):
    assert logs.colored_status(status) == text


# -- streams that may stand still ------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="its line ends")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_one_pipe_for_both_streams(monkeypatch, log_format):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as out, os.fdopen(os.dup(writer), "w", encoding="utf-8") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        logs.configure(Config("main:app", log_format=log_format))
        servers, requests = (logging.getLogger(name).handlers[0] for name in ("snakepit", "snakepit.access"))
        assert servers.stream is requests.stream
        for number in range(20_000):
            requests.write(f"{number}\n")
            servers.stream.write(f"{'x' * 90}\n")
        found = []

        def read():
            with os.fdopen(reader, encoding="utf-8") as file:
                found.extend(file)

        thread = threading.Thread(target=read)
        thread.start()
        logs.finish()
        assert (requests.stream, servers.stream) == (out, err)
    thread.join(PATIENCE)
    notice = found[-1].rstrip("\n")
    dropped = 40_000 - len(found) + 1
    text = f"{dropped} lines of the log were dropped here: they were not read as fast as they came"
    assert json.loads(notice)["message"] == text if log_format == "json" else notice.endswith(f" WARNING  {text}")
    assert found[0:-1:2] == [f"{number}\n" for number in range(len(found) // 2)]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such pipes")
def test_a_file_for_requests_that_is_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        logs.configure(Config("main:app", access_log_file=str(path)))
        [handler] = [one for one in logging.getLogger("snakepit.access").handlers if isinstance(one, logs.ReadyLines)]
        for number in range(20_000):
            handler.write(f"{number:0100}\n")
        assert os.read(reader, 202) == b"".join(b"%0100d\n" % number for number in range(2))
        assert reopen_log_files() == ([], [])
        path.rename(tmp_path / "moved")
        assert reopen_log_files() == ([str(path)], [])
        handler.write("to a file now\n")
        handler.close()
    finally:
        os.close(reader)
        logs.finish()
    assert path.read_text(encoding="utf-8") == "to a file now\n"


# -- disks that are full ---------------------------------------------------------------------------------------------


class Full(io.StringIO):
    name = "<full>"

    def write(self, text):
        raise OSError(28, "No space left on device")


def test_lines_that_a_full_disk_takes_are_told_of_once(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    logs.configure(Config("main:app"))
    access = logging.getLogger("snakepit.access").handlers[0]
    access.setStream(Full())
    for _ in range(3):
        access.write("a request\n")
        logging.getLogger("snakepit.access").info("a request")
    told = "ERROR    Log lines are lost: <full> can't be written: [Errno 28] No space left on device\n"
    assert capsys.readouterr().err.partition(" ERROR ")[1:] == (" ERROR ", told.removeprefix("ERROR "))
    now[0] += logs.TELL_AGAIN
    access.write("a request\n")
    access.write("a request\n")
    assert capsys.readouterr().err.count(told) == 1


def test_standard_error_that_is_full_is_no_trouble(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Full())
    logs.configure(Config("main:app"))
    logging.getLogger("snakepit.server").error("nobody reads this")


def test_other_mistakes_of_log_lines_are_told_as_ever(capsys):
    logs.configure(Config("main:app"))
    logging.getLogger("snakepit.server").error("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err
