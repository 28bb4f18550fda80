"""server.net.services: what connections of one server share, also those of two kinds."""

import asyncio

import pytest
from clients import FakeClient
from sinks import FakeDestination

from snakepit.config.options import Config
from snakepit.errors import InternalError, RemoteProtocolError
from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.net.services import ConnectionServices
from snakepit.server.routing.router import Router

UPGRADE = [
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]


@pytest.fixture
def make():
    loop = asyncio.new_event_loop()

    def make(destination=None, options=None, **how):
        router = Router(destination or FakeDestination())
        return ConnectionServices(Config("app:app", access_log=False, **(options or {})), router, loop, **how)

    yield make
    loop.close()


def head(headers=(), upgrade=False):
    return RequestHead("GET", b"/", "1.1", list(headers), False, body=b"", more=False, upgrade=upgrade)


def test_numbers_and_counts_are_the_servers(make):
    first = make()
    second = first.beside(Router(FakeDestination()))
    numbers = [services.new_exchange(FakeClient(), head(), None).number for services in (first, second, first)]
    assert numbers == [1, 2, 3]
    assert first.connections is second.connections
    assert first.connections.requests == 3
    assert (second.open_files, second.app_files, second.access_log) == (
        first.open_files,
        first.app_files,
        first.access_log,
    )


def test_websockets(make):
    services = make()
    destination = services._router.find(head())
    destination.interface = "asgi"
    assert type(services.new_exchange(FakeClient(), head(UPGRADE, True), None)) is WebSocketExchange
    assert type(services.new_exchange(FakeClient(), head(UPGRADE, False), None)) is Exchange
    with pytest.raises(RemoteProtocolError):
        services.new_exchange(FakeClient(), head(UPGRADE[:2], True), None)
    destination.interface = "wsgi"
    assert type(services.new_exchange(FakeClient(), head(UPGRADE, True), None)) is Exchange
    off = make(options={"ws": "none"})
    off._router.find(head()).interface = "asgi"
    assert type(off.new_exchange(FakeClient(), head(UPGRADE, True), None)) is Exchange


def test_nobody_sends_files_before_the_server_says_who(make):
    services = make()
    exchange = services.new_exchange(FakeClient(), head(), None)
    with pytest.raises(InternalError, match=r"/a/file"):
        services.app_files(exchange, 200, (b"", 0, None), "/a/file")


@pytest.mark.parametrize(
    ("options", "secure", "expected"),
    [
        ({"hsts": 3600}, True, [b"max-age=3600"]),
        ({"hsts": 3600}, False, []),
        ({}, True, []),
        ({"hsts": 3600, "header": ("Strict-Transport-Security: max-age=1; preload",)}, True, [b"max-age=1; preload"]),
    ],
)
def test_https_only(make, tmp_path, options, secure, expected):
    """Browsers are told over HTTPS alone (RFC 6797 section 7.2)."""
    certificate = tmp_path / "a.pem"
    certificate.write_text("")
    services = make(options={"ssl_certfile": str(certificate), **options}, secure=secure)
    lines = services.options.common_lines((b"", 0, None)).split(b"\r\n")
    found = [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"strict-transport-security:")]
    assert found == expected
