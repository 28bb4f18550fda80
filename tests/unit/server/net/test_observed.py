"""snakepit.server.net.observed: what is found out of each request, and where it is written."""

import io
import json
import logging

import pytest
from clients import request
from connections import Peer, play
from waiting import turn

from snakepit import logs
from snakepit.config.options import Config
from snakepit.server.net.http1 import Connection
from snakepit.server.net.observed import ObservedConnection, http_connections
from snakepit.server.net.request_lines import AnsweredRequest, request_as_json


@pytest.fixture
def access():
    """The logger of the access log, with one handler of the server's, and none of pytest's."""
    logger = logging.getLogger("snakepit.access")
    before = logger.handlers[:], logger.level, logger.propagate
    handler = logs.AccessHandler(io.StringIO())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


def observed(logger, scenario, **options):
    """Play with an access log; returns its lines. Handlers that pytest adds when a test begins are taken away."""
    [handler] = logger.handlers[:] = [one for one in logger.handlers if isinstance(one, logs.AccessHandler)]
    play(scenario, access_log=True, **options)
    return handler.stream.getvalue().splitlines()


def objects(logger, scenario):
    return [json.loads(line) for line in observed(logger, scenario, log_format="json")]


def test_requests_as_json(access):
    async def scenario(world):
        client = world.connect()
        client.send(request("/a?b=1"))
        world.app.answer(404, body=b"none")
        client.send(request("/c"))
        world.app.respond(more=True, body=b"begun")
        assert access.handlers[0].stream.getvalue() == ""
        await turn()

    first, second = objects(access, scenario)
    assert first.pop("time").endswith("Z")
    assert 0 <= first.pop("total_ms") < 60_000
    assert first == {
        "level": "INFO",
        "logger": "snakepit.access",
        "message": "GET /a?b=1 404",
        "client": "10.0.0.1:5000",
        "method": "GET",
        "path": "/a",
        "query": "b=1",
        "http_version": "1.1",
        "status": 404,
        "bytes": 4,
        "worker": 1,
    }
    assert second["path"] == "/c"
    assert "query" not in second
    assert "bytes" not in second  # it goes on, and nobody knows how long


def test_lengths(access):
    async def scenario(world):
        client = world.connect()
        client.send(request("/head", method="HEAD"))
        world.app.answer(200, [(b"content-length", b"7")], b"")
        client.send(request("/none"))
        world.app.answer(204, body=b"")
        client.send(request("/announced"))
        world.app.respond(200, [(b"content-length", b"70")], b"begun", more=True)
        await turn()

    lengths = [(each["path"], each["bytes"]) for each in objects(access, scenario)]
    assert lengths == [("/head", 0), ("/none", 0), ("/announced", 70)]


def test_websockets(access):
    async def scenario(world):
        Peer(world)
        await turn()

    [line] = objects(access, scenario)
    assert (line["path"], line["status"]) == ("/ws", 101)


def test_an_answer_that_fails_is_logged_as_it_is_sent(access):
    async def scenario(world):
        client = world.connect()
        client.send(request("/"))
        world.app.answer(200, [(b"content-length", b"7")], b"short")
        await turn()
        assert client.received.startswith(b"HTTP/1.1 500 ")

    assert [each["status"] for each in objects(access, scenario)] == [500]


def test_handlers_of_the_operators_own_get_records(access, caplog):
    async def scenario(world):
        world.connect().send(request("/"))
        world.app.answer()

    access.addHandler(caplog.handler)
    play(scenario, access_log=True, log_format="json")
    [record] = [record for record in caplog.records if record.name == "snakepit.access"]
    assert json.loads(record.getMessage())["status"] == 200


def test_workers_of_several_apps():
    def line(served_by):
        head = type("Head", (), {"method": "GET", "target": b"/", "http_version": "1.1"})
        return json.loads(request_as_json(AnsweredRequest(None, "http", head, 200, 0, b"", 0.0, 0.1, served_by)))

    assert (line("worker 7 of shop")["worker"], line("worker 7 of shop")["app"]) == (7, "shop")
    assert "worker" not in line("no worker")
    assert line("no worker")["client"] == "local"
    assert line("no worker")["total_ms"] == 100


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, Connection),
        ({"log_format": "json"}, ObservedConnection),
        ({"log_format": "json", "access_log": False}, Connection),
        ({"log_format": "json", "log_config": "file"}, Connection),
        ({"access_log_format": "%(h)s", "log_config": "file"}, ObservedConnection),
        ({"access_log_format": "%(h)s", "access_log": False}, Connection),
    ],
)
def test_kinds(options, kind):
    async def scenario(world):
        config = Config("app:app", **options)
        first = http_connections(config, world.http, world.loop)
        second = http_connections(config, world.http, world.loop, beside=first)
        assert type(first.new_connection()) is type(second.new_connection()) is kind
        if kind is ObservedConnection:
            assert first.request_log is second.request_log
        first.close()
        second.close()

    play(scenario)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_format_goes_first(access, log_format):
    async def scenario(world):
        world.connect().send(request("/a"))
        world.app.answer(404)
        await turn()

    options = {"access_log_format": "%(h)s %(U)s %(s)s %(worker)s", "log_format": log_format}
    assert observed(access, scenario, **options) == ["10.0.0.1 /a 404 1"]
