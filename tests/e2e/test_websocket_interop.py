"""WebSockets between clients and frameworks that people use, each with what it usually does.

Where one client is to hear another there is one worker: with several, sockets land in different ones, which share
nothing.
"""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
import socketio
from support import ONE_RUNTIME, PATIENCE, RUNTIME, running
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = ONE_RUNTIME

APPS = {
    "starlette": ("sockets.starlette_app:app",),
    "fastapi": ("sockets.fastapi_app:app", "--extensions", "vetted"),
    "channels": ("sockets.channels_app:app",),
    "quart": ("sockets.quart_app:app",),
}
LARGE = 1_000_000  # bytes: many reads of a socket


class ClosedError(Exception):
    """The server closed: the arguments are code and reason."""


class DeniedError(Exception):
    """The handshake was answered with something else: the argument is the status."""


class WebsocketsClient:
    """A socket of the library websockets."""

    def __init__(self, socket):
        self._socket = socket
        self.subprotocol = socket.subprotocol
        self.compressed = any(type(one).__name__ == "PerMessageDeflate" for one in socket.protocol.extensions)
        self.send = socket.send
        self.close = socket.close

    @classmethod
    @asynccontextmanager
    async def connect(cls, url, subprotocols=(), compress=True):
        compression = "deflate" if compress else None
        try:
            socket = await connect(
                url, subprotocols=subprotocols or None, compression=compression, proxy=None, max_size=2 * LARGE
            )
        except InvalidStatus as error:
            raise DeniedError(error.response.status_code) from None
        async with socket:
            yield cls(socket)

    async def receive(self):
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            if error.rcvd is None:  # the connection broke
                raise
            raise ClosedError(error.rcvd.code, error.rcvd.reason) from None


class AiohttpClient:
    """A socket of aiohttp."""

    def __init__(self, socket):
        self._socket = socket
        self.subprotocol = socket.protocol
        self.compressed = bool(socket.compress)

    @classmethod
    @asynccontextmanager
    async def connect(cls, url, subprotocols=(), compress=True):
        async with aiohttp.ClientSession() as session:
            try:
                socket = await session.ws_connect(
                    url, protocols=subprotocols, compress=15 if compress else 0, max_msg_size=2 * LARGE
                )
            except aiohttp.WSServerHandshakeError as error:
                raise DeniedError(error.status) from None
            async with socket:
                yield cls(socket)

    async def send(self, data):
        await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))

    async def receive(self):
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.CLOSE:
            raise ClosedError(message.data, message.extra)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data

    async def close(self, code, reason):
        await self._socket.close(code=code, message=reason.encode())


@pytest.fixture(scope="module", params=APPS)
def framework(request):
    return request.param


@pytest.fixture(scope="module")
def server(framework):
    with running(*APPS[framework], workers=1) as server:
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.err, server.err


@pytest.fixture
def url(server):
    return f"ws://127.0.0.1:{server.port}"


@pytest.fixture(params=[WebsocketsClient, AiohttpClient])
def client(request):
    return request.param


def run(test):
    """Run a coroutine, which only a hang lets take so long."""

    async def limited():
        async with asyncio.timeout(3 * PATIENCE):
            await test

    asyncio.run(limited())


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
def test_echo(url, client, compress):
    async def test():
        async with client.connect(f"{url}/echo", compress=compress) as socket:
            assert socket.compressed is compress
            for data in ("", "hello", "ünïcödé ☃ " * 50, b"\x00\xff", "x" * LARGE, bytes(range(256)) * (LARGE // 256)):
                await socket.send(data)
                assert await socket.receive() == data
            for number in range(200):
                await socket.send(f"message {number} " * 20)
            for number in range(200):
                assert await socket.receive() == f"message {number} " * 20

    run(test())


def test_server_without_compression(client):
    async def test():
        async with client.connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
            assert not socket.compressed
            await socket.send("x" * 1000)
            assert await socket.receive() == "x" * 1000

    with running(*APPS["starlette"], "--no-ws-per-message-deflate", workers=1) as server:
        run(test())


@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
def test_broadcast(url, client, compress):
    async def test():
        async with (
            client.connect(f"{url}/chat", compress=compress) as one,
            client.connect(f"{url}/chat") as two,
            client.connect(f"{url}/chat", compress=compress) as three,
        ):
            everyone = (one, two, three)
            # an app adds a socket to its room after the handshake: each has heard itself, and so is in
            for socket in everyone:
                await socket.send("here")
                while await socket.receive() != "here":
                    pass
            for number, socket in enumerate(everyone):
                text = f"from {number}: " + "word " * 100
                await socket.send(text)
                for each in everyone:
                    while (got := await each.receive()) == "here":
                        pass
                    assert got == text

    run(test())


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_server_closes(url, client, code):
    async def test():
        async with client.connect(f"{url}/close") as socket:
            await socket.send(str(code))
            with pytest.raises(ClosedError) as closed:
                await socket.receive()
            assert closed.value.args == (code, "as you wish")

    run(test())


@pytest.mark.parametrize("framework", [name for name in APPS if name != "quart"], scope="module")
@pytest.mark.parametrize("code", [1000, 1001, 4321])
def test_client_closes(framework, url, client, code):  # not Quart, which does not tell the app
    async def test():
        async with client.connect(f"{url}/seen") as seen:
            async with client.connect(f"{url}/echo") as socket:
                await socket.close(code, f"by {client.__name__}")
            expected = str(code) if framework == "channels" else f"{code} by {client.__name__}"
            got = None
            while got != expected:  # until the app has come to it
                await seen.send("?")
                got = await seen.receive()

    run(test())


@pytest.mark.parametrize(
    ("offered", "agreed"), [((), None), (("one", "two", "three"), "two"), (("two",), "two"), (("one",), None)]
)
def test_subprotocol(url, client, offered, agreed):
    async def test():
        async with client.connect(f"{url}/echo", offered) as socket:
            assert socket.subprotocol == agreed
            await socket.send("x")
            assert await socket.receive() == "x"

    run(test())


def test_denied(framework, url, client):
    async def test():
        with pytest.raises(DeniedError) as denied:
            async with client.connect(f"{url}/deny"):
                pass
        assert denied.value.args == (403 if framework == "channels" else 401,)

    run(test())


@pytest.mark.parametrize("framework", [name for name in APPS if name != "channels"], scope="module")
def test_denial_has_a_body(server, url):
    async def test():
        with pytest.raises(InvalidStatus) as denied:
            await connect(f"{url}/deny", proxy=None)
        assert denied.value.response.body == b"members only"
        assert denied.value.response.headers["x-why"] == "test"

    run(test())


@pytest.mark.parametrize("framework", ["fastapi"], scope="module")
def test_fastapi_reads_path_and_model(url, client):
    async def test():
        async with client.connect(f"{url}/orders/40") as socket:
            await socket.send('{"item": "tea", "count": 2}')
            assert await socket.receive() == "42 tea"
            with pytest.raises(ClosedError) as closed:
                await socket.receive()
            assert closed.value.args[0] == 1000
        with pytest.raises(DeniedError) as denied:
            async with client.connect(f"{url}/orders/none"):
                pass
        assert denied.value.args == (403,)

    run(test())


@pytest.mark.skipif(RUNTIME == "thread", reason="there is one worker")
def test_sockets_are_spread_over_workers(client):
    async def spread():
        async with (
            client.connect(f"ws://127.0.0.1:{server.port}/chat") as one,
            client.connect(f"ws://127.0.0.1:{server.port}/chat") as two,
        ):
            await one.send("one")
            assert await one.receive() == "one"
            await two.send("two")
            if await two.receive() == "one":
                return False  # on a loaded machine, the other worker may have been too slow to be given anything
            await one.send("again")
            assert await one.receive() == "again"  # and so not "two", which was said in the other worker
            return True

    async def test():
        for _ in range(20):
            if await spread():
                return
        pytest.fail("both are always in one worker")

    with running(*APPS["starlette"], workers=2) as server:
        server.wait_logged(" ready:", 2)
        run(test())


@pytest.fixture(scope="module")
def socketio_url():
    # engineio may go on waiting for 45 s in a long poll whose client has said goodbye, so the end must not wait for it
    with running("sockets.socketio_app:app", "--timeout-graceful-shutdown", "1", workers=1) as server:
        yield f"http://127.0.0.1:{server.port}"
        assert server.stop() == 0
        assert "Traceback" not in server.err, server.err


@asynccontextmanager
async def _socketio(url, transports, token="right"):
    heard, gone = asyncio.Queue(), asyncio.Event()
    async with aiohttp.ClientSession() as session:
        client = socketio.AsyncClient(reconnection=False, http_session=session)
        client.on("said", heard.put)
        client.on("disconnect", lambda reason: gone.set())
        await client.connect(url, auth={"token": token}, transports=transports)
        try:
            yield client, heard, gone
        finally:
            await client.disconnect()


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"], ["polling"]], ids="-".join)
def test_socketio(socketio_url, transports):
    async def test():
        async with (
            _socketio(socketio_url, transports) as (one, heard_by_one, one_gone),
            _socketio(socketio_url, ["websocket"]) as (two, heard_by_two, _),
        ):
            assert one.transport() == transports[-1]
            for sender in (one, two):
                for data in ("hello", b"\x00\xff" * 1000, {"text": "ü" * 5000, "data": b"x"}):
                    assert await sender.call("say", data) == len(data)
                    assert await heard_by_one.get() == data
                    assert await heard_by_two.get() == data
            await one.emit("leave")
            await one_gone.wait()

    run(test())


def test_socketio_refuses(socketio_url):
    async def test():
        async with aiohttp.ClientSession() as session:
            client = socketio.AsyncClient(reconnection=False, http_session=session)
            refusals = asyncio.Queue()
            client.on("connect_error", refusals.put)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(socketio_url, auth={"token": "wrong"}, transports=["websocket"])
            assert await refusals.get() == {"message": "who are you?"}

    run(test())
