"""snakepit.server.net.access_log: in batches with the default configuration, as records with any other."""

import asyncio
import io
import logging
import re

import pytest

from snakepit import logs
from snakepit.config.options import Config
from snakepit.http.events import RequestHead
from snakepit.server.net.access_log import BatchLog, RecordLog, access_log

HEAD = RequestHead("GET", b"/a%20b?c=\xe9", "1.1", [], False)
LINE = r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO     1\.2\.3\.4:5 - "GET /a%20b\?c=é HTTP/1\.1" 200\n'


class CountingStream(io.StringIO):
    writes = 0

    def write(self, text):
        self.writes += 1
        return super().write(text)


@pytest.fixture
def stream():
    logs.configure(Config("main:app"))
    logger = logging.getLogger("snakepit.access")
    handler = logger.handlers[0]
    handler.setStream(CountingStream())
    yield handler.stream
    for name in ("snakepit", "snakepit.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


def test_colours(stream):
    async def scenario():
        log = batch_log()
        log.add("1.2.3.4:5", HEAD, 200)
        log.add("1.2.3.4:5", HEAD, 503)
        await asyncio.sleep(0)

    logging.getLogger("snakepit.access").handlers[0].setFormatter(logs.ColorFormatter())
    asyncio.run(scenario())
    first, second = stream.getvalue().splitlines()
    assert first.endswith(' \x1b[32mINFO    \x1b[0m 1.2.3.4:5 - "GET /a%20b?c=é HTTP/1.1" \x1b[32m200\x1b[0m')
    assert second.endswith(' HTTP/1.1" \x1b[91m503\x1b[0m')


def batch_log():
    """The log as it is outside pytest, which hangs handlers of its own on loggers that do not propagate."""
    logger = logging.getLogger("snakepit.access")
    logger.handlers[:] = [handler for handler in logger.handlers if isinstance(handler, logs.AccessHandler)]
    log = access_log(True, asyncio.get_running_loop())
    assert isinstance(log, BatchLog)
    return log


def test_one_iteration_is_one_write(stream):
    async def scenario():
        log = batch_log()
        for _ in range(3):
            log.add("1.2.3.4:5", HEAD, 200)
        assert stream.getvalue() == ""
        await asyncio.sleep(0)
        assert re.fullmatch(LINE * 3, stream.getvalue())
        assert stream.writes == 1
        log.add("1.2.3.4:5", HEAD, 200)
        await asyncio.sleep(0)
        assert re.fullmatch(LINE * 4, stream.getvalue())

    asyncio.run(scenario())


def test_a_line_looks_like_that_of_a_record(stream):
    async def scenario():
        batch_log().add("1.2.3.4:5", HEAD, 200)
        await asyncio.sleep(0)

    asyncio.run(scenario())
    RecordLog(logging.getLogger("snakepit.access")).add("1.2.3.4:5", HEAD, 200)
    assert re.fullmatch(LINE * 2, stream.getvalue())


def test_filters_of_the_handler_are_heard(stream):
    heard = []
    logging.getLogger("snakepit.access").handlers[0].addFilter(lambda record: heard.append(record) or True)

    async def scenario():
        batch_log().add("1.2.3.4:5", HEAD, 200)
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert len(heard) == 1


def test_a_stream_that_fails_does_no_harm(stream, capsys, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream.close()

    async def scenario():
        batch_log().add("1.2.3.4:5", HEAD, 200)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_an_operators_own_configuration_gets_records(stream, caplog):
    logger = logging.getLogger("snakepit.access")
    logger.addHandler(caplog.handler)
    log = access_log(True, None)
    assert isinstance(log, RecordLog)
    log.add("1.2.3.4:5", HEAD, 404)
    assert caplog.messages == ['1.2.3.4:5 - "GET /a%20b?c=é HTTP/1.1" 404']


def test_nothing_where_nobody_reads(stream):
    assert access_log(False, None) is None
    logging.getLogger("snakepit.access").setLevel(logging.WARNING)
    assert access_log(True, None) is None
