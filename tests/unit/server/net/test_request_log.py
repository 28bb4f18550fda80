"""snakepit.server.net.request_log: which requests are logged, when, and where."""

import io
import json
import logging

import pytest
from clients import request
from connections import Peer, play
from sinks import FakeDestination
from waiting import turn

from snakepit import logs
from snakepit.config.options import Config
from snakepit.http.fields import NONE
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.net.access_log import Sample
from snakepit.server.net.annotated import connections_for
from snakepit.server.routing.router import Router


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
        assert access.handlers[0].stream.getvalue().count("\n") == 1, "the second is not over"
        world.app.exchange.respond_body(b" and ended", False)
        await turn()

    first, second = objects(access, scenario)
    assert first.pop("time").endswith("Z")
    assert 0 <= first.pop("queue_ms") + first.pop("app_ms") <= first.pop("total_ms") + 0.002 < 60_000
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
    assert (second["path"], second["bytes"]) == ("/c", 15)


def test_lengths(access):
    async def scenario(world):
        client = world.connect()
        client.send(request("/head", method="HEAD"))
        world.app.answer(200, [(b"content-length", b"7")], b"")
        client.send(request("/none"))
        world.app.answer(204, body=b"")
        client.send(request("/error"))
        world.app.exchange.done("it failed")
        client.send(request("/announced"))
        world.app.respond(200, [(b"content-length", b"70")], b"begun", more=True)
        client.client_closes()
        await turn()

    lengths = [(each["path"], each["bytes"], each.get("client_left")) for each in objects(access, scenario)]
    error = len("Internal Server Error\n")
    assert lengths == [("/head", 0, None), ("/none", 0, None), ("/error", error, None), ("/announced", 5, True)]


def test_a_client_that_leaves_before_its_answer(access):
    async def scenario(world):
        client = world.connect()
        client.send(request("/"))
        client.client_closes()
        await turn()

    [line] = objects(access, scenario)
    assert (line["status"], line["client_left"]) == (499, True)


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


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, None),
        ({"log_format": "json"}, WatchedExchange),
        ({"log_format": "json", "access_log": False}, None),
        ({"log_format": "json", "log_config": "file"}, None),
        ({"access_log_format": "%(h)s", "log_config": "file"}, WatchedExchange),
        ({"access_log_format": "%(h)s", "access_log": False}, None),
    ],
)
def test_requests_are_watched_where_the_options_need_it(access, options, kind):
    async def scenario(world):
        config = Config("app:app", **options)
        first = connections_for(config)(config, Router(world.pool), world.loop)
        second = first.beside(Router(world.pool))
        assert first.http_exchange is second.http_exchange
        assert (first.http_exchange is Exchange) == (kind is None)
        assert kind is None or issubclass(first.http_exchange, kind)
        first.close()
        second.close()

    play(scenario)


def test_nothing_is_watched_where_nobody_would_write_it(access):
    access.setLevel(logging.WARNING)

    async def scenario(world):
        assert world.http.http_exchange is Exchange
        assert world.http.access_log is None

    play(scenario, access_log=True, log_format="json")


class Quiet(FakeDestination):
    """Answers what is not to be logged."""

    def takes(self, head):
        return head.target == b"/quiet"

    def submit(self, exchange):
        exchange.is_logged = False
        exchange.reply(200, NONE, b"")


@pytest.mark.parametrize("options", [{}, {"log_format": "json"}, {"access_log_format": "%(m)s %(U)s %(s)s"}])
def test_what_is_not_to_be_logged(access, options):
    async def scenario(world):
        world.respond(Quiet())
        client = world.connect()
        for path in ("/quiet", "/loud"):
            client.send(request(path))
        world.app.answer(404)
        await turn()

    [line] = observed(access, scenario, **options)
    assert "/loud" in line


@pytest.mark.parametrize("options", [{}, {"log_format": "json"}, {"access_log_format": "%(m)s %(U)s %(s)s"}])
def test_of_a_sample_all_that_went_wrong_is_there(access, options):
    async def scenario(world):
        client = world.connect()
        for status in (200, 301, 404, 200, 500):
            client.send(request(f"/{status}"))
            world.app.answer(status)
        await turn()

    lines = observed(access, scenario, access_log_sample=0.0, **options)
    assert len(lines) == 2
    assert "/404" in lines[0]
    assert "/500" in lines[1]
    if "log_format" in options:
        assert json.loads(lines[0])["sampled"] == 0.0


def test_a_sample():
    taken = [Sample(0.25).takes(200) for _ in range(2000)]
    assert 300 < sum(taken) < 700


def test_chosen_members(access):
    async def scenario(world):
        world.connect().send(request("/a"))
        world.app.answer(404)
        await turn()

    [line] = observed(access, scenario, log_format="json", access_log_fields="status, path,{host}i")
    assert line == '{"status": 404, "path": "/a", "host": "t"}'


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_format_goes_first(access, log_format):
    async def scenario(world):
        world.connect().send(request("/a"))
        world.app.answer(404)
        await turn()

    options = {"access_log_format": "%(h)s %(U)s %(s)s %(worker)s", "log_format": log_format}
    assert observed(access, scenario, **options) == ["10.0.0.1 /a 404 1"]
