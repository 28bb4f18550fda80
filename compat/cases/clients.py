"""HTTP, WebSocket, gRPC and cloud clients, with the parts that they are made of."""

import http.server
import json
import threading
from collections.abc import Iterator

from compat.local_server import served
from compat.registry import case, raises


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = int(self.path.strip("/").partition("/")[0] or 200)
        answer = json.dumps({"path": self.path, "length": len(body)}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")  # or the server would wait for the client to close
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        pass


@case("httpx", exercised="requests to a real server, streams, asyncio, time-outs, failed connections")
def httpx() -> None:
    import asyncio

    import httpx

    with served(_Handler) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post("/200", json={"a": 1}).json()["length"] == 7
        raises(httpx.HTTPStatusError, client.get("/404").raise_for_status)

        async def asynchronously() -> None:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                answers = await asyncio.gather(*(client.get(f"/200/{index}") for index in range(10)))
                assert [answer.json()["path"] for answer in answers] == [f"/200/{index}" for index in range(10)]

        asyncio.run(asynchronously())
    raises(httpx.ConnectError, httpx.get, "http://127.0.0.1:1/", trust_env=False)


@case(
    "aiohttp",
    "aiohttp",
    exercised="server and client: JSON, streams, WebSocket, chunks, broken input, failed connections",
    with_=("multidict", "yarl", "frozenlist", "propcache"),
)
def aiohttp() -> None:
    import asyncio

    import aiohttp
    import aiohttp.web

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        if request.path == "/fail":
            raise aiohttp.web.HTTPConflict(text="failed")
        return aiohttp.web.json_response({"got": await request.json(), "query": dict(request.query)})

    async def socket(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        response = aiohttp.web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data * 2)
        return response

    async def run() -> None:
        app = aiohttp.web.Application()
        app.router.add_get("/socket", socket)
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = aiohttp.web.AppRunner(app, handle_signals=False)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
                async with session.post("/a", params={"q": "ü"}, json={"x": list(range(500))}) as response:
                    found = await response.json()
                    assert found["query"] == {"q": "ü"}
                    assert len(found["got"]["x"]) == 500
                async with session.get("/fail") as response:
                    assert response.status == 409
                async with session.ws_connect("/socket") as connection:
                    await connection.send_str("twice" * 1000)
                    assert (await connection.receive_str(timeout=10)) == "twice" * 2000
                await asyncio.gather(*(session.post("/b", json=index, raise_for_status=True) for index in range(20)))
                try:
                    await session.get("http://127.0.0.1:1/")
                except aiohttp.ClientConnectorError:
                    pass
                else:
                    raise AssertionError("no ClientConnectorError")
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"NONSENSE\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
        finally:
            await runner.cleanup()

    asyncio.run(run())


@case("multidict", "multidict", exercised="both kinds, views, changes while iterating, errors")
def multidict() -> None:
    import multidict

    found = multidict.CIMultiDict([("Accept", "a"), ("accept", "b"), ("Host", "c")] * 20)
    assert found.getall("ACCEPT") == ["a", "b"] * 20
    assert len(found.keys() & {"Host", "X"}) == 1
    raises(KeyError, lambda: found["x"])
    raises(TypeError, found.add, 5, "x")

    def change() -> None:
        for _ in found.items():
            found.add("new", "value")

    raises(RuntimeError, change)
    proxy = multidict.MultiDictProxy(multidict.MultiDict(a=1))
    raises(AttributeError, getattr, proxy, "add")


@case("yarl", "yarl", exercised="parsing, quoting, joining, errors", with_=("propcache", "multidict"))
def yarl() -> None:
    import yarl

    url = yarl.URL("http://user:pw@example.org:8080/ä b/c?q=ü&r=1#f")
    assert url.raw_path == "/%C3%A4%20b/c"
    assert str(url / "d" % {"x": "1 2"}).endswith("/d?x=1+2")
    assert url.join(yarl.URL("../e")).path == "/e"
    raises(ValueError, yarl.URL, "http://host:port/")
    raises(TypeError, yarl.URL, 5)
    for index in range(300):
        assert yarl.URL(f"http://h{index}/%C3%A4").path == "/ä"


@case("propcache", "propcache", exercised="both properties, their caches, a property that raises, errors")
def propcache() -> None:
    from propcache.api import cached_property, under_cached_property

    class Thing:
        def __init__(self) -> None:
            self._cache: dict[str, object] = {}
            self.counted = 0

        @cached_property
        def once(self) -> list[int]:
            self.counted += 1
            return [self.counted]

        @under_cached_property
        def under(self) -> list[int]:
            self.counted += 1
            return [self.counted]

        @under_cached_property
        def failing(self) -> int:
            return self.counted // 0

    for _ in range(200):
        thing = Thing()
        assert thing.once is thing.once
        assert thing.under is thing.under is thing._cache["under"]
        assert thing.counted == 2
        raises(ZeroDivisionError, lambda: thing.failing)  # noqa: B023  # called at once
        raises(AttributeError, setattr, thing, "under", 5)
    assert isinstance(Thing.under, under_cached_property)


@case("frozenlist", "frozenlist", exercised="changes, freezing, errors")
def frozenlist() -> None:
    import frozenlist

    items = frozenlist.FrozenList(range(100))
    items.append(100)
    raises(RuntimeError, hash, items)
    items.freeze()
    assert hash(items) == hash(tuple(range(101)))
    raises(RuntimeError, items.append, 1)
    raises(IndexError, lambda: items[1000])


@case(
    "websockets",
    "websockets",
    exercised="server and client by asyncio, fragments, compression, closing, broken messages",
)
def websockets() -> None:
    import asyncio

    import websockets
    import websockets.asyncio.server
    import websockets.speedups  # the C part

    async def echo(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def run() -> None:
        async with websockets.serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None) as connection:
                for message in ("text ü" * 500, b"bytes" * 500, ["a", "b", "c"]):
                    await connection.send(message)
                    assert await connection.recv() in (message, "abc")
            connection = await websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None)
            connection.transport.write(b"\xff\xff nonsense")
            try:
                await connection.recv()
            except websockets.ConnectionClosedError:
                pass
            else:
                raise AssertionError("no ConnectionClosedError")
        try:
            await websockets.connect("ws://127.0.0.1:1/", proxy=None)
        except OSError:
            pass
        else:
            raise AssertionError("no OSError")

    asyncio.run(run())
    assert websockets.speedups.apply_mask(b"abcd" * 10, b"\x00\x01\x02\x03")[1] == ord("b") ^ 1


@case(
    "grpcio", "grpc", exercised="server and client in threads: calls, streams, deadlines, errors", with_=("protobuf",)
)
def grpcio() -> None:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    def twice(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is none")
        return request * 2

    def count(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for index in range(int(request)):
            yield b"%d" % index

    handlers = {
        "Twice": grpc.unary_unary_rpc_method_handler(twice),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("compat.Test", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/compat.Test/Twice")
            assert [call(b"x%d" % index, timeout=10) for index in range(20)][3] == b"x3x3"
            assert len([call.future(b"y", timeout=10).result() for _ in range(5)]) == 5
            assert len(list(channel.unary_stream("/compat.Test/Count")(b"50", timeout=10))) == 50
            assert "there is none" in raises(grpc.RpcError, call, b"fail", timeout=10)
            raises(grpc.RpcError, channel.unary_unary("/compat.Test/None"), b"", timeout=10)
        server.stop(None).wait()


@case("boto3", exercised="requests to a stand-in for S3 and DynamoDB, presigned URLs, errors")
def boto3() -> None:
    import boto3
    import botocore.config
    import botocore.exceptions

    with served(_Handler) as url:
        config = botocore.config.Config(
            retries={"max_attempts": 0}, proxies={}, connect_timeout=5, read_timeout=5, s3={"addressing_style": "path"}
        )
        session = boto3.session.Session("key", "secret", region_name="eu-central-1")
        table = session.client("dynamodb", endpoint_url=url, config=config)
        answer = table.put_item(TableName="t", Item={"k": {"S": "x" * 1000}, "b": {"B": b"bytes"}})
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        bucket = session.client("s3", endpoint_url=url, config=config)
        assert b"length" in bucket.get_object(Bucket="200", Key="k")["Body"].read()
        assert "Signature=" in bucket.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
        raises(botocore.exceptions.ClientError, bucket.get_object, Bucket="404", Key="k")
        raises(botocore.exceptions.ParamValidationError, bucket.get_object, Bucket="200", Key=5)
        table.close()
        bucket.close()


@case("pyzmq", "zmq", exercised="sockets in threads, polling, multipart, time-outs, errors")
def pyzmq() -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.REP) as server, context.socket(zmq.REQ) as client:
        port = server.bind_to_random_port("tcp://127.0.0.1")

        def serve() -> None:
            for _ in range(20):
                server.send_multipart(server.recv_multipart() * 2)

        thread = threading.Thread(target=serve, daemon=False)
        thread.start()
        client.connect(f"tcp://127.0.0.1:{port}")
        for index in range(20):
            client.send_multipart([b"a", b"%d" % index])
            assert client.recv_multipart() == [b"a", b"%d" % index] * 2
        thread.join()
        raises(zmq.Again, server.recv, zmq.NOBLOCK)
        raises(zmq.ZMQError, client.recv)
        raises(TypeError, client.send, 5)


@case(
    "pycurl",
    "pycurl",
    exercised="requests to a real server, callbacks that raise, several at a time, failed connections",
)
def pycurl() -> None:
    import io

    import pycurl

    def fetch(url: str, write: object) -> int:
        handle = pycurl.Curl()
        try:
            handle.setopt(pycurl.URL, url)
            handle.setopt(pycurl.WRITEFUNCTION, write)
            handle.setopt(pycurl.NOPROXY, "*")
            handle.perform()
            return int(handle.getinfo(pycurl.RESPONSE_CODE))
        finally:
            handle.close()

    with served(_Handler) as url:
        body = io.BytesIO()
        assert fetch(f"{url}/404/x", body.write) == 404
        assert json.loads(body.getvalue())["path"] == "/404/x"
    raises(pycurl.error, fetch, "http://127.0.0.1:1/", body.write)
    raises(TypeError, pycurl.Curl().setopt, pycurl.URL, object())


@case("curl_cffi", "curl_cffi", exercised="requests to a real server, asyncio, failed connections", with_=("cffi",))
def curl_cffi() -> None:
    import asyncio

    import curl_cffi

    with served(_Handler) as url, curl_cffi.Session(trust_env=False) as session:
        assert session.post(f"{url}/200", json={"a": 1}).json()["length"] > 5
        raises(curl_cffi.exceptions.HTTPError, session.get(f"{url}/404").raise_for_status)

        async def asynchronously() -> None:
            async with curl_cffi.AsyncSession(trust_env=False) as session:
                answers = await asyncio.gather(*(session.get(f"{url}/200/{index}") for index in range(10)))
                assert len(answers) == 10

        asyncio.run(asynchronously())
    raises(curl_cffi.exceptions.ConnectionError, curl_cffi.get, "http://127.0.0.1:1/")


@case("python-multipart", exercised="forms with files in pieces, broken ones")
def python_multipart() -> None:
    import python_multipart

    body = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\n\r\n' + b"x" * 5000 + b"\r\n--b--\r\n"
    )
    fields: list[object] = []
    files: list[object] = []
    headers = {"Content-Type": b"multipart/form-data; boundary=b"}
    parser = python_multipart.create_form_parser(headers, fields.append, files.append)
    for start in range(0, len(body), 100):
        parser.write(body[start : start + 100])
    parser.finalize()
    assert [field.value for field in fields] == [b"value"]
    assert files[0].size == 5000
    broken = python_multipart.MultipartParser(b"b")
    raises(python_multipart.exceptions.MultipartParseError, broken.write, b"nonsense")
