"""snakepit.worker.json_log: what an app logs, prints and warns of is JSON, whole and in order."""

import io
import json
import logging
import sys
import threading
import warnings

import pytest

from snakepit.worker import json_log


@pytest.fixture
def install(monkeypatch):
    """Make stdout and stderr those of a worker that has JSON; returns functions that return the objects in them.

    A test calls it, since pytest sets the streams and handlers of its own when the test begins.
    """
    kept = []

    def now():
        buffers = io.BytesIO(), io.BytesIO()
        for name, buffer in zip(("stdout", "stderr"), buffers, strict=True):
            stream = io.TextIOWrapper(buffer, "utf-8", line_buffering=True)
            kept.append(stream)  # its end would close the buffer
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(logging, "lastResort", logging.lastResort)
        monkeypatch.setattr(logging, "basicConfig", logging.basicConfig)
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setattr(logging.root, "handlers", [])
        monkeypatch.setattr(logging.root, "level", logging.WARNING)
        json_log.install(3, "shop")
        return lambda: objects(buffers[0]), lambda: objects(buffers[1])

    return now


def objects(buffer):
    found = [json.loads(line) for line in buffer.getvalue().decode().splitlines()]
    assert all((each.pop("worker"), each.pop("app")) == (3, "shop") for each in found)
    return [(each["level"], each["logger"], each["message"]) for each in found]


def test_what_is_printed(install):
    out, err = install()
    print("one", 2)
    print("two\nlines")
    print()
    print("err", file=sys.stderr)
    sys.stdout.writelines(["be", "gun"])
    assert out() == [("INFO", "stdout", "one 2"), ("INFO", "stdout", "two\nlines")]
    json_log.end()
    assert out()[2:] == [("INFO", "stdout", "begun")]
    assert err() == [("INFO", "stderr", "err")]


def test_threads_do_not_mix(install):
    out, _ = install()
    print("first", end=" ")
    thread = threading.Thread(target=print, args=["second"])
    thread.start()
    thread.join()
    print("third")
    assert [message for _, _, message in out()] == ["second", "first third"]


def test_a_text_without_end_is_not_kept(install):
    out, _ = install()
    print("x" * (json_log.LONGEST + 1), end="")
    assert len(out()) == 1


def test_the_streams_are_still_streams(install):
    install()
    assert sys.stdout.encoding == "utf-8"
    assert not sys.stdout.isatty()
    sys.stdout.buffer.write(b"{}\n")
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == b"{}\n"


def test_logging_without_configuration(install):
    _, err = install()
    log = logging.getLogger("app")
    log.info("not shown")
    log.warning("%d %s", 5, "shown")
    assert err() == [("WARNING", "app", "5 shown")]


def test_basic_config(install):
    _, err = install()
    logging.basicConfig(level=logging.INFO, format="[%(message)s]")
    logging.getLogger("app").info("shown")
    assert err() == [("INFO", "app", "shown")]


def test_a_handler_of_the_apps_own(install):
    _, err = install()
    logger = logging.getLogger("app.own")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        logger.warning("two\nlines")
    finally:
        logger.removeHandler(handler)
    assert err() == [("INFO", "stderr", "two\nlines")]


def test_warnings(install):
    _, err = install()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("careful", UserWarning, "app.py", 5)
    [(level, logger, message)] = err()
    assert (level, logger) == ("WARNING", "py.warnings")
    assert message.startswith("app.py:5: UserWarning: careful")
    file = io.StringIO()
    warnings.showwarning("careful", UserWarning, "app.py", 5, file)
    assert file.getvalue().startswith("app.py:5: UserWarning: careful")


def test_closed_streams(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    last = logging.lastResort
    json_log.install(1, "")
    json_log.end()
    assert sys.stdout is sys.stderr is None
    assert logging.lastResort is last
