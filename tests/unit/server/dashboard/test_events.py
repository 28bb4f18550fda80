"""server.dashboard.events: the latest lines of the log."""

import logging

import pytest

from snakepit.server.dashboard.events import KEPT, LONGEST, Events


@pytest.fixture
def logger():
    logger = logging.Logger("test", logging.DEBUG)
    logger.propagate = False
    return logger


@pytest.fixture
def events(logger):
    events = Events(logger)
    yield events
    events.close()


def test_the_latest_comes_first(events, logger):
    logger.info("Worker %d ready", 1)
    logger.debug("nothing")
    logger.warning("Worker 1 is replaced: it hangs\nTraceback\nmore")
    assert [(event.key, event.level, event.text) for event in events.latest] == [
        (2, "warning", "Worker 1 is replaced: it hangs …"),
        (1, "info", "Worker 1 ready"),
    ]
    assert events.count == 2


def test_what_clients_do_and_errors_of_apps_are_left_out(events, logger):
    logger.info("Bad request from %s: %s (%d)", "10.0.0.1", "no", 400)
    logger.error("%s from %s %s in %s\n%s", "GET /", "10.0.0.1", "failed", "worker 1", "Traceback")
    logger.error("WebSocket %s from %s failed in %s\n%s", "/", "10.0.0.1", "worker 1", "Traceback")
    assert events.latest == []


def test_only_so_many_and_so_much_is_kept(events, logger):
    for number in range(KEPT + 3):
        logger.info("x" * LONGEST + str(number))
    assert len(events.latest) == KEPT
    assert {len(event.text) for event in events.latest} == {LONGEST + 1}


def test_a_message_that_does_not_fit_is_not_its_business(events, logger):
    record = logging.LogRecord("test", logging.INFO, "", 0, "%d workers", ("many",), None)
    logger.handle(record)
    assert events.latest == []


def test_after_the_end_nothing_is_heard(events, logger):
    events.close()
    logger.info("Stopped")
    assert logger.handlers == []
    assert events.latest == []
