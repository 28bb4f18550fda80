"""snakepit.system.log_files: which files are reopened, and that nothing is lost."""

import logging
import logging.handlers
import os
import subprocess
import sys

import pytest

from snakepit.system.log_files import reopen_log_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a file that is open can't be moved there")


@pytest.fixture
def log(tmp_path):
    """Make a logger with a file; closes them at the end."""
    made = []

    def make(name="test.log", kind=logging.FileHandler, **options):
        handler = kind(tmp_path / name, **options)
        logger = logging.getLogger(f"snakepit.test_log_files.{name}")
        logger.propagate = False
        logger.addHandler(handler)
        made.append((logger, handler))
        return logger

    yield make
    for logger, handler in made:
        logger.removeHandler(handler)
        handler.close()


KINDS = [
    (logging.FileHandler, {}),
    (logging.FileHandler, {"mode": "w"}),
    (logging.FileHandler, {"delay": True}),
    (logging.handlers.RotatingFileHandler, {"maxBytes": 10**6}),
    (logging.handlers.TimedRotatingFileHandler, {}),
    (logging.handlers.WatchedFileHandler, {}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_that_was_moved(log, tmp_path, kind, options):
    logger = log(kind=kind, **options)
    logger.warning("one")
    os.rename(tmp_path / "test.log", tmp_path / "test.log.1")
    assert reopen_log_files() == ([str(tmp_path / "test.log")], [])
    logger.warning("two")
    assert (tmp_path / "test.log.1").read_text() == "one\n"
    assert (tmp_path / "test.log").read_text() == "two\n"


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_that_is_where_it_was(log, tmp_path, kind, options):
    logger = log(kind=kind, **options)
    logger.warning("one")
    assert reopen_log_files() == ([], [])
    logger.warning("two")
    assert (tmp_path / "test.log").read_text() == "one\ntwo\n"


def test_a_new_file_is_there_already(log, tmp_path):
    """As logrotate makes it, with `create`."""
    logger = log()
    logger.warning("one")
    os.rename(tmp_path / "test.log", tmp_path / "test.log.1")
    (tmp_path / "test.log").write_text("")
    assert reopen_log_files() == ([str(tmp_path / "test.log")], [])
    logger.warning("two")
    assert (tmp_path / "test.log").read_text() == "two\n"


def test_a_handler_of_two_loggers_is_opened_once(log, tmp_path):
    logger = log()
    logger.warning("one")
    other = logging.getLogger("snakepit.test_log_files.other")
    other.addHandler(logger.handlers[0])
    try:
        os.remove(tmp_path / "test.log")
        assert reopen_log_files() == ([str(tmp_path / "test.log")], [])
    finally:
        other.removeHandler(logger.handlers[0])


def test_one_that_has_not_been_opened_yet(log, tmp_path):
    log(delay=True)
    assert reopen_log_files() == ([], [])
    assert not (tmp_path / "test.log").exists()


def test_one_that_can_not_be_opened_goes_on_and_so_do_the_others(log, tmp_path):
    (tmp_path / "gone").mkdir()
    first, second = log("gone/first.log"), log("second.log")
    for logger in (first, second):
        logger.warning("one")
    os.rename(tmp_path / "gone", tmp_path / "moved")
    os.rename(tmp_path / "second.log", tmp_path / "second.log.1")
    opened, (trouble,) = reopen_log_files()
    assert opened == [str(tmp_path / "second.log")]
    assert trouble.startswith(f"{tmp_path}/gone/first.log can't be opened anew: ")
    first.warning("two")
    assert (tmp_path / "moved" / "first.log").read_text() == "one\ntwo\n"


def test_one_that_is_closed(log):
    logger = log()
    logger.handlers[0].close()
    assert reopen_log_files() == ([], [])


def test_where_nobody_logs_nothing_is_imported():
    code = (
        "import sys; from snakepit.system import log_files as f; print(f.reopen_log_files(), 'logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "([], []) False\n"
