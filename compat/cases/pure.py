"""Libraries in Python alone: what is tried of them is that their own imports may be lazy (`compat.lazy`)."""

import http.server

from compat.local_server import served
from compat.registry import case, raises


@case("Werkzeug", lazy_only=True, exercised="routing, requests, responses, forms and files, cookies, client, errors")
def werkzeug() -> None:
    import io

    from werkzeug.datastructures import Headers, MultiDict
    from werkzeug.exceptions import HTTPException, NotFound
    from werkzeug.routing import Map, Rule
    from werkzeug.security import check_password_hash, generate_password_hash
    from werkzeug.test import Client
    from werkzeug.utils import secure_filename
    from werkzeug.wrappers import Request, Response

    rules = Map([Rule("/n/<int:number>", endpoint="number"), Rule("/upload", endpoint="upload", methods=["POST"])])

    @Request.application
    def app(request: Request) -> Response:
        try:
            endpoint, values = rules.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return error.get_response()
        if endpoint == "upload":
            return Response(f"{request.form['note']} {len(request.files['file'].read())}")
        answer = Response(str(values["number"] * 2), headers=Headers([("X-A", "1")]))
        answer.set_cookie("seen", "yes", max_age=60, samesite="Lax")
        return answer

    client = Client(app)
    answer = client.get("/n/21")
    assert (answer.text, answer.headers["X-A"]) == ("42", "1")
    assert client.get_cookie("seen").value == "yes"
    assert client.get("/n/x").status_code == 404
    assert client.get("/upload").status_code == 405
    sent = {"note": "ü", "file": (io.BytesIO(b"x" * 5000), "a.txt")}
    assert client.post("/upload", data=sent).text == "ü 5000"
    assert check_password_hash(generate_password_hash("secret", "pbkdf2:sha256:1000"), "secret")
    assert secure_filename("../a b.txt") == "a_b.txt"
    assert MultiDict([("a", "1"), ("a", "2")]).getlist("a") == ["1", "2"]
    assert "404" in raises(NotFound, rules.bind("t").match, "/none")


@case("click", lazy_only=True, exercised="groups, options, arguments, prompts, files, shell completion, errors")
def click() -> None:
    import click
    from click.shell_completion import ShellComplete
    from click.testing import CliRunner

    @click.group()
    @click.option("-v", "--verbose", count=True)
    @click.pass_context
    def cli(context: click.Context, verbose: int) -> None:
        context.obj = verbose

    @cli.command()
    @click.argument("names", nargs=-1)
    @click.option("--kind", type=click.Choice(["a", "b"]), default="a", show_default=True)
    @click.option("--size", type=click.IntRange(0, 5))
    @click.password_option("--secret", confirmation_prompt=False)
    @click.pass_obj
    def greet(verbose: int, names: tuple[str, ...], kind: str, size: int | None, secret: str) -> None:
        with click.progressbar(names) as bar:
            click.echo(f"{verbose} {','.join(bar)} {kind} {size} {len(secret)}")
        click.secho("done", fg="green")

    runner = CliRunner()
    done = runner.invoke(cli, ["-vv", "greet", "x", "y", "--kind", "b", "--size", "3"], input="secret\n")
    assert "2 x,y b 3 6" in done.output, done.output
    assert runner.invoke(cli, ["greet", "--size", "9"], input="s\n").exit_code == 2
    assert "Usage" in runner.invoke(cli, ["greet", "--help"]).output
    assert "No such command" in runner.invoke(cli, ["none"]).output
    completions = ShellComplete(cli, {}, "cli", "_CLI_COMPLETE").get_completions([], "gr")
    assert [item.value for item in completions] == ["greet"]
    raises(click.BadParameter, click.INT.convert, "x", None, None)


@case("itsdangerous", lazy_only=True, exercised="signatures, time stamps, URL-safe serialisation, rotation, errors")
def itsdangerous() -> None:
    import itsdangerous

    signed = itsdangerous.URLSafeTimedSerializer(["old", "new"], salt="s")
    token = signed.dumps({"id": 5, "text": "ü" * 300})
    assert signed.loads(token, max_age=60)["id"] == 5
    assert itsdangerous.URLSafeTimedSerializer("new", salt="s").loads(token)["id"] == 5
    raises(itsdangerous.BadSignature, itsdangerous.URLSafeTimedSerializer("other", salt="s").loads, token)
    raises(itsdangerous.SignatureExpired, signed.loads, token, max_age=-1)
    assert itsdangerous.Signer("key").unsign(itsdangerous.Signer("key").sign("text")) == b"text"
    assert itsdangerous.URLSafeSerializer("key").loads_unsafe("x.y") == (False, None)


@case(
    "anyio", lazy_only=True, exercised="task groups, time limits, streams, threads, sockets, files, processes, errors"
)
def anyio() -> None:
    import anyio
    import anyio.from_thread
    import anyio.to_thread
    from anyio.streams.buffered import BufferedByteReceiveStream

    async def main() -> list[int]:
        got: list[int] = []
        send, receive = anyio.create_memory_object_stream[int](2)

        async def produce() -> None:
            async with send:
                for number in range(5):
                    await send.send(await anyio.to_thread.run_sync(lambda number=number: number * 2))

        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(produce)
            async for number in receive:
                got.append(number)
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(anyio.sleep, 0)) is None
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        port = listener.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:

            async def answer(stream: anyio.abc.SocketStream) -> None:
                async with stream:
                    await stream.send((await stream.receive()).upper() + b"\n")

            tasks.start_soon(listener.serve, answer)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"hello")
                line = await BufferedByteReceiveStream(stream).receive_until(b"\n", 100)
                assert line == b"HELLO"
            tasks.cancel_scope.cancel()
        assert "lazy" in await anyio.Path(__file__).read_text(encoding="utf-8")
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.sleep, 10)
                raise ValueError("failed")
        except* ValueError:
            got.append(-1)
        return got

    assert anyio.run(main) == [0, 2, 4, 6, 8, -1]
    with anyio.from_thread.start_blocking_portal() as portal:
        assert portal.call(lambda: 5) == 5


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(302 if self.path == "/moved" else int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.send_header("Set-Cookie", "seen=yes")
        self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + 12))
        self.end_headers()
        self.wfile.write(b'{"got": "%s"} ' % body.replace(b'"', b"'"))

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@case(
    "requests", lazy_only=True, exercised="sessions, cookies, redirects, files, JSON, retries, errors",
    with_=("urllib3", "idna", "charset-normalizer"),
)  # fmt: skip
def requests() -> None:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    with served(_Handler) as url, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=Retry(1, backoff_factor=0)))
        answer = session.post(f"{url}/200", json={"a": "ü"}, auth=("u", "p"), timeout=20)
        assert "got" in answer.json()
        assert session.cookies["seen"] == "yes"
        assert session.get(f"{url}/moved", timeout=20).history[0].status_code == 302
        assert session.post(f"{url}/200", files={"f": ("a.txt", b"x" * 100)}, timeout=20).ok
        raises(requests.HTTPError, session.get(f"{url}/404", timeout=20).raise_for_status)
        raises(requests.ConnectionError, session.get, "http://127.0.0.1:1/", timeout=20)
        raises(requests.exceptions.MissingSchema, session.get, "nowhere")
        raises(requests.exceptions.InvalidURL, session.get, "http://*.example/")


@case("urllib3", lazy_only=True, exercised="pools, retries, time limits, forms, errors")
def urllib3() -> None:
    import urllib3

    with served(_Handler) as url, urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0)) as pool:
        assert pool.request("GET", f"{url}/moved").geturl() == "/200"
        answer = pool.request("POST", f"{url}/200", fields={"a": "1", "f": ("a.txt", b"x")})
        assert answer.status == 200
        assert pool.request("POST", f"{url}/200", json=[1], timeout=urllib3.Timeout(20)).json()["got"] == "[1]"
        raises(urllib3.exceptions.MaxRetryError, pool.request, "GET", "http://127.0.0.1:1/")
        raises(urllib3.exceptions.LocationParseError, pool.request, "GET", "http://[bad/")
