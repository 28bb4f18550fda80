"""server.responders.static_files.responder, and transfer, disk_threads: answers, and what is handed on."""

import asyncio
import os
import threading
from itertools import pairwise

import pytest
from aged_files import write_aged
from clients import FakeClient
from fakes import fake_of
from open_files import open_below
from waiting import until

from snakepit.config.static import StaticFiles
from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.static_files import files, responder
from snakepit.server.responders.static_files.disk_threads import DiskThreads
from snakepit.server.responders.static_files.lookup import KEPT_IN_MEMORY, Lookup
from snakepit.server.responders.static_files.responder import StaticResponder
from snakepit.server.responders.static_files.transfer import PIECE
from snakepit.server.routing.router import Router
from snakepit.server.routing.static_routes import StaticRoutes

BIG = KEPT_IN_MEMORY + 3 * PIECE + 7


@fake_of(Destination)
class Beyond:
    """Gets what is handed on."""

    interface = "asgi"

    def __init__(self):
        self.exchanges = []

    def submit(self, exchange):
        self.exchanges.append(exchange)
        exchange.reply(404, (b"", 0, None), b"app")

    def withdraw(self, exchange):
        raise AssertionError("all is answered at once")


class World:
    """Responders for some routes on one folder, and requests to them."""

    def __init__(self, folder, *sites):
        self.folder = folder
        self.loop = asyncio.get_running_loop()
        self.beyond = Beyond()
        self.routes = StaticRoutes(lambda site: StaticResponder(site, self.loop), Router(self.beyond))
        self.gone = []
        self.become(*sites or [{}])

    def become(self, *sites):
        """Have these routes from now on."""
        before = self.responders
        self.routes.become(StaticFiles(**{"route": "/static", "dir": str(self.folder)} | site) for site in sites)
        self.gone += [each for each in before if each not in self.responders]

    @property
    def responders(self):
        return list(self.routes._responders.values())

    def ask(self, target, method="GET", headers=(), client=None):
        head = RequestHead(method, target, "1.1", [(b"host", b"a.test"), *headers], False)
        destination = self.routes.find(head)
        assert destination is self.routes.router.find(head)
        exchange = Exchange(1, client or FakeClient(), destination, head)
        destination.submit(exchange)
        return exchange

    async def answer(self, *arguments, **options):
        exchange = self.ask(*arguments, **options)
        client = exchange._client
        await until(lambda: client.over and not any(each._transfers for each in (*self.responders, *self.gone)))
        return client

    async def statuses(self, *targets, **options):
        return [(await self.answer(target, **options)).status for target in targets]

    def write(self, name, content=b"content", age=60):
        return write_aged(self.folder / name, content, age)


def play(scenario, tmp_path, *sites):
    async def main():
        world = World(tmp_path, *sites)
        await scenario(world)
        await until(lambda: not open_below(tmp_path))
        world.routes.close()

    asyncio.run(main())


def field(client, name):
    lines = dict(line.split(b": ", 1) for line in client.fields[0].split(b"\r\n") if line)
    return lines.get(name)


def test_a_file_is_remembered_for_a_second(tmp_path, monkeypatch):
    looks = []
    find = Lookup.find
    monkeypatch.setattr(Lookup, "find", lambda *arguments: looks.append(1) or find(*arguments))

    async def scenario(world):
        world.write("a.css", b"one")
        assert (await world.answer(b"/static/a.css")).body == b"one"
        world.write("a.css", b"two")
        exchange = world.ask(b"/static/a.css?v=2")
        assert exchange._client.body == b"one", "at once"
        assert len(looks) == 1
        monkeypatch.setattr(responder, "FRESH", 0.0)
        for each in world.responders[0]._files._entries.values():
            each[0].until = 0.0
        assert (await world.answer(b"/static/a.css")).body == b"two"
        assert len(looks) == 2

    play(scenario, tmp_path)


def test_those_who_ask_at_once_wait_for_one_look(tmp_path, monkeypatch):
    gate, looks = threading.Event(), []
    find = Lookup.find

    def slow(*arguments):
        looks.append(1)
        gate.wait()
        return find(*arguments)

    monkeypatch.setattr(Lookup, "find", slow)

    async def scenario(world):
        world.write("big", b"x" * BIG)
        exchanges = [world.ask(b"/static/big") for _ in range(5)]
        exchanges[1].client_gone()
        gate.set()
        await until(lambda: all(each._client.over for each in exchanges if each is not exchanges[1]))
        assert [len(each._client.body) for each in exchanges] == [BIG, 0, BIG, BIG, BIG]
        assert len(looks) == 1

    play(scenario, tmp_path)


def test_what_there_is_not_goes_on(tmp_path):
    async def scenario(world):
        world.write("a.css")
        targets = (
            b"/static/b.css",
            b"/static/../x",
            b"/static/.env",
            b"/static/d/e/f",
            b"/static/d/g",
            b"/static",
            b"/static/",
        )
        assert await world.statuses(*targets) == [404] * len(targets)
        assert [each.head.target for each in world.beyond.exchanges] == list(targets)
        assert {each.served_by for each in world.beyond.exchanges} == {"no worker"}

    play(scenario, tmp_path)


def test_what_there_is_not_is_remembered_with_all_that_is_below(tmp_path, monkeypatch):
    looks = []
    find = Lookup.find
    monkeypatch.setattr(Lookup, "find", lambda *arguments: looks.append(arguments[1].names) or find(*arguments))

    async def scenario(world):
        assert await world.statuses(b"/api/items/1", b"/api/items/2", b"/api/", b"/api") == [404] * 4
        assert looks == [("api", "items", "1")]

    play(scenario, tmp_path, {"route": "/"})


def test_a_folder_without_a_page_says_nothing_of_what_is_in_it(tmp_path):
    async def scenario(world):
        world.write("docs/a.css")
        assert await world.statuses(b"/static/docs", b"/static/docs/", b"/static/docs/a.css") == [404, 404, 200]

    play(scenario, tmp_path)


def test_routes_one_after_the_other(tmp_path):
    for name in ("one", "two", "host"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
    (tmp_path / "two" / "a").mkdir()
    (tmp_path / "two" / "a" / "one.txt").write_text("hidden by the other route")
    sites = [
        {"route": "/", "dir": str(tmp_path / "two")},
        {"route": "/a", "dir": str(tmp_path / "one")},
        {"route": "/", "dir": str(tmp_path / "host"), "host": "A.test"},
    ]

    async def scenario(world):
        assert (await world.answer(b"/a/one.txt")).body == b"one"
        assert (await world.answer(b"/two.txt")).body == b"two"
        assert (await world.answer(b"/host.txt")).body == b"host"
        assert (await world.answer(b"http://a.test:80/host.txt?x")).body == b"host"
        assert (await world.answer(b"http://b.test/host.txt")).body == b"app"
        assert (await world.answer(b"/ab")).body == b"app"

    play(scenario, tmp_path, *sites)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/static", b"./static/"),
        (b"/static?a=//b", b"./static/?a=//b"),
        (b"/static/docs", b"./docs/"),
        (b"/static/docs?", b"./docs/?"),
        (b"/static/a%3Fb", b"./a%3Fb/"),
        (b"http://a.test/static/docs", b"./docs/"),
    ],
)
def test_folders_get_their_slash(tmp_path, target, location):
    async def scenario(world):
        for name in ("index.html", "docs/index.html", "a?b/index.html"):
            world.write(name)
        client = await world.answer(target)
        assert (client.status, field(client, b"location")) == (308, location)

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    "target", [b"//evil.test", b"//evil.test/", b"/%2Fevil.test", b"/\\evil.test", b"/.//evil.test"]
)
def test_nobody_is_sent_elsewhere(tmp_path, target):
    async def scenario(world):
        world.write("evil.test/index.html")
        world.write("index.html")
        assert await world.statuses(target) == [404]

    play(scenario, tmp_path, {"route": "/", "listing": True})


def test_head_and_other_methods(tmp_path):
    async def scenario(world):
        world.write("a.css", b"12345")
        world.write("docs/index.html")
        for _ in range(2):
            client = await world.answer(b"/static/a.css", "HEAD")
            assert (client.status, client.body, client.fields[2]) == (200, b"", 5)
            client = await world.answer(b"/static/a.css", "POST")
            assert (client.status, field(client, b"allow")) == (405, b"GET, HEAD")
        assert await world.statuses(b"/static/b.css", b"/static/docs", method="POST") == [404, 404]
        assert await world.statuses(b"/static/docs/", method="DELETE") == [405]

    play(scenario, tmp_path)


@pytest.mark.parametrize("size", [100, BIG])
def test_conditions_and_ranges(tmp_path, size):
    content = os.urandom(size)

    async def scenario(world):
        world.write("a", content)
        client = await world.answer(b"/static/a")
        assert client.body == content
        tag, date = field(client, b"etag"), field(client, b"last-modified")

        async def ask(*headers, method="GET"):
            client = await world.answer(b"/static/a", method, headers)
            return client.status, client.body, client

        assert (await ask((b"if-none-match", tag)))[:2] == (304, b"")
        assert (await ask((b"if-modified-since", date)))[:2] == (304, b"")
        assert (await ask((b"if-match", b'"x"')))[0] == 412
        assert (await ask((b"if-none-match", b'"x"')))[:2] == (200, content)
        assert (await ask((b"range", b"bytes=10-19")))[:2] == (206, content[10:20])
        assert (await ask((b"range", b"bytes=-5"), (b"if-range", tag)))[:2] == (206, content[-5:])
        assert (await ask((b"range", b"bytes=-5"), (b"if-range", date)))[:2] == (206, content[-5:])
        assert (await ask((b"range", b"bytes=-5"), (b"if-range", b'"x"')))[:2] == (200, content)
        assert (await ask((b"range", b"nonsense")))[:2] == (200, content)
        assert (await ask((b"range", b"bytes=0-1"), method="HEAD"))[0] == 200
        status, _, client = await ask((b"range", b"bytes=%d-" % size))
        assert (status, field(client, b"content-range")) == (416, b"bytes */%d" % size)
        status, body, client = await ask((b"range", b"bytes=0-4, %d-" % (size - 5)))
        assert status == 206
        assert field(client, b"content-type").startswith(b"multipart/byteranges; boundary=")
        assert len(body) == client.fields[2]
        assert content[:5] + b"\r\n--" in body
        assert content[-5:] + b"\r\n--" in body
        status, _, client = await ask((b"range", b"bytes=1-2"))
        assert field(client, b"content-range") == b"bytes 1-2/%d" % size
        assert (field(client, b"etag"), client.fields[2]) == (tag, 2)

    play(scenario, tmp_path)


def test_precompressed(tmp_path):
    async def scenario(world):
        world.write("a.css", b"original")
        world.write("a.css.gz", b"gz")
        for _ in range(2):
            client = await world.answer(b"/static/a.css", headers=[(b"accept-encoding", b"br, gzip")])
            assert (client.body, field(client, b"content-encoding")) == (b"gz", b"gzip")
            assert (await world.answer(b"/static/a.css")).body == b"original"
        off = await world.answer(b"/off/a.css", headers=[(b"accept-encoding", b"gzip")])
        assert (off.body, field(off, b"vary")) == (b"original", None)

    play(scenario, tmp_path, {}, {"route": "/off", "precompressed": False})


def test_a_fallback_is_for_pages(tmp_path):
    page = [(b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")]

    async def scenario(world):
        world.write("index.html", b"<app>")
        for _ in range(2):
            client = await world.answer(b"/deep/link", headers=page)
            assert (client.status, client.body) == (200, b"<app>")
            assert await world.statuses(b"/api/items") == [404]
            assert await world.statuses(b"/deep/link", method="POST", headers=page) == [404]
        (world.folder / "index.html").unlink()
        monkey = world.responders[0]._files
        for key in list(monkey._entries):
            monkey.drop(key)
        assert await world.statuses(b"/deep/link", headers=page) == [404]

    play(scenario, tmp_path, {"route": "/", "fallback": "index.html"})


def test_websockets_are_the_apps(tmp_path):
    async def scenario(world):
        world.write("chat")
        head = RequestHead(
            "GET",
            b"/static/chat",
            "1.1",
            [(b"upgrade", b"websocket"), (b"connection", b"upgrade")],
            False,
            upgrade=True,
        )
        assert world.routes.router.find(head) is world.beyond
        head.headers = [(b"upgrade", b"h2c")]
        assert isinstance(world.routes.router.find(head), StaticResponder)

    play(scenario, tmp_path)


class SlowClient(FakeClient):
    """Takes nothing more after each piece until it is told to."""

    def send_body(self, data, more):
        super().send_body(data, more)
        self.writable = False


def test_a_slow_client_gets_a_piece_at_a_time(tmp_path):
    async def scenario(world):
        world.write("big", b"x" * BIG)
        client = SlowClient()
        exchange = world.ask(b"/static/big", client=client)
        sizes = []
        while not client.complete:
            sizes.append(len(client.body))
            client.writable = True
            exchange.return_credit()
            await until(lambda: len(client.body) > sizes[-1])
        assert max(after - before for before, after in pairwise(sizes)) == PIECE
        assert len(client.body) == BIG

    play(scenario, tmp_path)


def test_a_client_that_goes_frees_the_file(tmp_path):
    async def scenario(world):
        world.write("big", b"x" * BIG)
        exchange = world.ask(b"/static/big", client=SlowClient())
        await until(lambda: exchange.state is ExchangeState.RESPONDING)
        assert world.responders[0].open_files == 1
        exchange.client_gone()
        await until(lambda: not open_below(tmp_path))
        assert world.responders[0].open_files == 0

    play(scenario, tmp_path)


def test_a_client_that_goes_while_its_file_is_read(tmp_path, monkeypatch):
    gate, reading = threading.Event(), threading.Event()
    read = files.OpenFile.read

    def slow(*arguments):
        reading.set()
        gate.wait()
        return read(*arguments)

    monkeypatch.setattr(files.OpenFile, "read", slow)

    async def scenario(world):
        world.write("big", b"x" * BIG)
        exchange = world.ask(b"/static/big")
        await until(reading.is_set)
        exchange.client_gone()
        gate.set()
        await until(lambda: not world.responders[0]._transfers)
        await until(lambda: not open_below(tmp_path))
        assert not exchange._client.begun

    play(scenario, tmp_path)


def test_a_file_that_shrinks_breaks_the_answer_off(tmp_path):
    async def scenario(world):
        path = world.write("big", b"x" * BIG)
        client = SlowClient()
        exchange = world.ask(b"/static/big", client=client)
        await until(lambda: client.begun)
        path.write_bytes(b"x" * (PIECE + 10))
        client.writable = True
        exchange.return_credit()
        await until(lambda: client.broken)
        assert len(client.body) == PIECE

    play(scenario, tmp_path)


def test_a_file_that_can_not_be_read(tmp_path, monkeypatch):
    def fails(*arguments):
        raise OSError(5, "Input/output error")

    async def scenario(world):
        world.write("big", b"x" * BIG)
        monkeypatch.setattr(files.OpenFile, "_read_some", fails)
        client = await world.answer(b"/static/big")
        assert (client.status, client.broken) == (500, False)

    play(scenario, tmp_path)


def test_a_look_that_fails(tmp_path, monkeypatch):
    def fails(*arguments):
        raise RuntimeError

    monkeypatch.setattr(Lookup, "find", fails)

    async def scenario(world):
        assert await world.statuses(b"/static/a") == [500]

    play(scenario, tmp_path)


def test_an_empty_file(tmp_path):
    async def scenario(world):
        world.write("empty", b"")
        client = await world.answer(b"/static/empty", headers=[(b"range", b"bytes=0-")])
        assert (client.status, client.body, client.fields[2]) == (200, b"", 0)

    play(scenario, tmp_path)


def test_threads_are_few_and_end(tmp_path):
    gate = threading.Event()

    async def main():
        threads = DiskThreads(asyncio.get_running_loop(), "test-disk", 2)
        done = []
        for number in range(5):
            threads.run(lambda number=number: gate.wait() and number, done.append)
        running = [each for each in threading.enumerate() if each.name.startswith("test-disk")]
        assert len(running) == 2
        assert all(each.daemon for each in running)
        gate.set()
        await until(lambda: len(done) == 5)
        assert sorted(done) == list(range(5))
        threads.run(lambda: 1 // 0, done.append)
        await until(lambda: len(done) == 6)
        assert isinstance(done[-1], ZeroDivisionError)
        threads.close()
        threads.run(lambda: "late", done.append)
        assert done[-1] == "late"
        await until(lambda: not any(each.is_alive() for each in running))

    asyncio.run(main())


# -- other routes while the server runs --------------------------------------------------------------------------------


async def until_ended(*gone):
    """Wait until those that went have no threads any more."""
    await until(lambda: all(each._threads._closed for each in gone))


def test_routes_come_change_and_go(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_aged(tmp_path / name / "a.txt", name.encode(), 60)

    async def scenario(world):
        targets = [b"/one/a.txt", b"/two/a.txt", b"/both/a.txt"]
        one, two = ({"route": f"/{name}", "dir": str(tmp_path / name)} for name in ("one", "two"))
        world.become(one)
        assert await world.statuses(*targets) == [200, 404, 404]
        [kept] = world.responders
        world.become(one, two, {"route": "/both", "dir": str(tmp_path / "one")})
        assert kept in world.responders, "what it remembers counts on"
        assert await world.statuses(*targets) == [200, 200, 200]
        assert (await world.answer(b"/both/a.txt")).body == b"one"
        world.become(one, {"route": "/both", "dir": str(tmp_path / "two")})
        assert await world.statuses(*targets) == [200, 404, 200]
        assert (await world.answer(b"/both/a.txt")).body == b"two"
        world.become()
        assert await world.statuses(*targets) == [404, 404, 404]
        assert world.routes.router is world.routes._rest, "no detour without static files"
        assert len(world.gone) == 5
        await until_ended(*world.gone)

    play(scenario, tmp_path)


def test_an_answer_in_the_middle_is_finished_by_a_route_that_goes(tmp_path):
    class Slow(FakeClient):
        def send_response(self, *arguments):
            super().send_response(*arguments)
            self.writable = False

    async def scenario(world):
        world.write("big", b"x" * BIG)
        client = Slow()
        exchange = world.ask(b"/static/big", client=client)
        await until(lambda: client.begun)
        world.become()
        [gone] = world.gone
        assert not gone._threads._closed
        client.writable = True
        exchange.return_credit()
        await until(lambda: client.over)
        assert client.body == b"x" * BIG
        await until_ended(gone)

    play(scenario, tmp_path)


@pytest.mark.parametrize("then", ["nothing", "another"])
def test_what_a_route_that_goes_does_not_find_is_handed_on(tmp_path, then):
    (tmp_path / "other").mkdir()
    write_aged(tmp_path / "other" / "a.txt", b"other", 60)

    async def scenario(world):
        exchange = world.ask(b"/static/a.txt")
        world.become(*([] if then == "nothing" else [{"dir": str(tmp_path / "other")}]))
        client = exchange._client
        await until(lambda: client.over)
        assert client.body == (b"app" if then == "nothing" else b"other")
        await until_ended(*world.gone)

    play(scenario, tmp_path)


def test_hosts_as_routes_of_apps_have_them(tmp_path):
    hosts = {"exact": "a.test", "wild": "*.test", "port": "a.test:81", "wild-port": "*.test:82", "any": ""}
    for name in hosts:
        (tmp_path / name).mkdir()
        write_aged(tmp_path / name / "which", name.encode(), 60)
    sites = [{"route": "/", "dir": str(tmp_path / name), "host": host} for name, host in hosts.items()]

    async def scenario(world):
        found = [
            (await world.answer(b"http://%b/which" % host)).body
            for host in (
                b"A.test",
                b"a.test.",
                b"a.test:81",
                b"a.test:80",
                b"b.test",
                b"b.test:82",
                b"test",
                b"c.b.test",
            )
        ]
        assert found == [b"exact", b"exact", b"port", b"exact", b"wild", b"wild-port", b"any", b"any"]

    play(scenario, tmp_path, *sites)
