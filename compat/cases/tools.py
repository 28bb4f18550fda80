"""The event loop's parts, identifiers, clocks, processes and other small things."""

from compat.registry import case, raises


@case("httptools", "httptools", exercised="requests and responses parsed in pieces, callbacks that raise, broken input")
def httptools() -> None:
    import httptools

    class Seen:
        def __init__(self, broken: bool = False) -> None:
            self.body = b""
            self.headers: list[bytes] = []
            self.broken = broken

        def on_header(self, name: bytes, value: bytes) -> None:
            if self.broken:
                raise LookupError("from a callback")
            self.headers.append(name)

        def on_body(self, body: bytes) -> None:
            self.body += body

    request = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" * 20
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    for start in range(0, len(request), 7):
        parser.feed_data(request[start : start + 7])
    assert seen.body == b"hello" * 20
    raises(httptools.HttpParserCallbackError, httptools.HttpRequestParser(Seen(broken=True)).feed_data, request)
    raises(httptools.HttpParserError, httptools.HttpRequestParser(Seen()).feed_data, b"nonsense\r\n\r\n")
    assert httptools.parse_url(b"http://h:80/p?q").port == 80


@case("uvloop", "uvloop", exercised="an event loop with server and client sockets, tasks, threads, errors")
def uvloop() -> None:
    import asyncio

    import uvloop

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.01)
        except TimeoutError:
            pass

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@case("uuid-utils", "uuid_utils", exercised="all versions, comparison, errors")
def uuid_utils() -> None:
    import uuid

    import uuid_utils

    assert uuid_utils.uuid5(uuid_utils.NAMESPACE_DNS, "a").hex == uuid.uuid5(uuid.NAMESPACE_DNS, "a").hex
    made = [uuid_utils.uuid7() for _ in range(500)]
    assert len(set(made)) == 500
    assert sorted(made)[0].version == 7
    assert uuid_utils.UUID(str(made[0])) == made[0]
    raises(ValueError, uuid_utils.UUID, "nonsense")
    raises(TypeError, uuid_utils.UUID, 5)


@case("fastuuid", "fastuuid", exercised="versions 1, 3, 4, 5 and 7, many at once, comparison, errors")
def fastuuid() -> None:
    import uuid

    import fastuuid

    space = fastuuid.UUID(str(uuid.NAMESPACE_DNS))
    assert fastuuid.uuid5(space, b"a").hex == uuid.uuid5(uuid.NAMESPACE_DNS, "a").hex
    assert fastuuid.uuid3(space, b"a").hex == uuid.uuid3(uuid.NAMESPACE_DNS, "a").hex
    made = [*fastuuid.uuid4_bulk(500), *(fastuuid.uuid4() for _ in range(500))]
    assert len(set(made)) == 1000
    assert len(set(fastuuid.uuid4_as_strings_bulk(2000))) == 2000
    assert fastuuid.UUID(str(made[0])) == made[0] != made[1]
    assert fastuuid.UUID(bytes=made[0].bytes).int == made[0].int
    assert [found.version for found in (fastuuid.uuid1(), fastuuid.uuid7())] == [1, 7]
    raises(ValueError, fastuuid.UUID, "nonsense")
    raises(TypeError, fastuuid.UUID, 5)


@case("wrapt", "wrapt", exercised="proxies, decorators, patching, functions that raise")
def wrapt() -> None:
    import wrapt

    @wrapt.decorator
    def twice(wrapped: object, instance: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        return wrapped(*args, **kwargs) * 2

    class Thing:
        @twice
        def value(self, number: int) -> int:
            return 100 // number

    assert Thing().value(10) == 20
    raises(ZeroDivisionError, Thing().value, 0)
    proxy = wrapt.ObjectProxy([1, 2])
    proxy.append(3)
    assert [*proxy, 4] == [1, 2, 3, 4]
    raises(AttributeError, getattr, proxy, "nothing")


@case("zope.interface", "zope.interface", exercised="interfaces, adapters that raise, verification")
def zope_interface() -> None:
    from zope.interface import Attribute, Interface, implementer
    from zope.interface.adapter import AdapterRegistry
    from zope.interface.verify import verifyObject

    class Shape(Interface):
        sides = Attribute("how many")

    class Drawing(Interface):
        pass

    @implementer(Shape)
    class Square:
        sides = 4

    assert verifyObject(Shape, Square())
    assert Shape.providedBy(Square())
    raises(TypeError, Shape, object())
    registry = AdapterRegistry()
    registry.register([Shape], Drawing, "", lambda shape: f"drawn {shape.sides}")
    assert registry.queryAdapter(Square(), Drawing) == "drawn 4"

    def fail(_: object) -> object:
        raise LookupError("from an adapter")

    registry.register([Shape], Drawing, "broken", fail)
    raises(LookupError, registry.queryAdapter, Square(), Drawing, "broken")


@case("psutil", "psutil", exercised="this process, the system, connections, errors")
def psutil() -> None:
    import os

    import psutil

    process = psutil.Process()
    assert process.pid == os.getpid()
    assert process.memory_info().rss > 0
    assert len(process.threads()) > 1
    assert process.net_connections() is not None
    assert psutil.virtual_memory().total > 0
    assert psutil.disk_usage("/").total > 0
    raises(psutil.NoSuchProcess, psutil.Process, 2**22 + 1)
    raises(ValueError, psutil.Process, -1)


@case("watchfiles", "watchfiles", exercised="changes seen by threads and by asyncio, folders that are not there")
def watchfiles() -> None:
    import asyncio
    import pathlib
    import tempfile

    import watchfiles

    async def run(folder: pathlib.Path) -> None:
        stop = asyncio.Event()
        async for changes in watchfiles.awatch(
            folder, stop_event=stop, debounce=20, step=10, rust_timeout=100, yield_on_timeout=True
        ):
            if any(path.endswith("made") for _, path in changes):
                stop.set()
            else:
                (folder / "made").write_text("x")

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(pathlib.Path(name)))
        raises(FileNotFoundError, next, watchfiles.watch(pathlib.Path(name) / "none"))


@case("setproctitle", "setproctitle", exercised="names of a thread set and read; the process's title read")
def setproctitle() -> None:
    import setproctitle

    setproctitle.setthreadtitle("compat")
    assert setproctitle.getthreadtitle() == "compat"
    assert setproctitle.getproctitle()
    raises(TypeError, setproctitle.setthreadtitle, 5)


@case("mmh3", "mmh3", exercised="all variants, streaming, errors")
def mmh3() -> None:
    import mmh3

    assert mmh3.hash("foo") == -156908512
    hasher = mmh3.mmh3_x64_128(b"a")
    hasher.update(b"b")
    assert hasher.digest() == mmh3.mmh3_x64_128_digest(b"ab")
    raises(TypeError, mmh3.hash, 5)


@case("pybase64", "pybase64", exercised="both ways, other alphabets, broken input")
def pybase64() -> None:
    import binascii

    import pybase64

    assert pybase64.b64decode(pybase64.b64encode(b"text" * 100), validate=True) == b"text" * 100
    assert pybase64.b64encode(b"\xff\xff", altchars=b"-_") == b"__8="
    raises(binascii.Error, pybase64.b64decode, b"a", validate=True)


@case("pendulum", "pendulum", exercised="parsing, arithmetic, zones, formatting, errors")
def pendulum() -> None:
    import pendulum

    at = pendulum.parse("2024-03-31T01:30:00", tz="Europe/Berlin")
    assert at.add(hours=1).hour == 3
    assert at.diff(at.add(days=40)).in_months() == 1
    assert pendulum.duration(days=15).in_words() == "2 weeks 1 day"
    raises(pendulum.parsing.exceptions.ParserError, pendulum.parse, "nonsense")


@case("ciso8601", "ciso8601", exercised="parsing with zones, errors")
def ciso8601() -> None:
    import ciso8601

    assert ciso8601.parse_datetime("2024-01-02T03:04:05.678+02:00").utcoffset().seconds == 7200
    raises(ValueError, ciso8601.parse_datetime, "nonsense")
    raises(TypeError, ciso8601.parse_datetime, 5)


@case("time-machine", "_time_machine", exercised="time moved in one interpreter, while others run")
def time_machine() -> None:
    import time

    import time_machine

    with time_machine.travel(0, tick=False):
        assert time.time() == 0
        assert time.gmtime().tm_year == 1970
    assert time.time() > 10**9
