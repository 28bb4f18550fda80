"""server.responders.static_files.app_files: files that apps name, in place of what a worker would send."""

import asyncio
import os

import pytest
from clients import FakeClient
from open_files import SHOWN, open_below
from sinks import FakeDestination, FakeEnd
from waiting import until

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE, render
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.kept_answer import KeptAnswers
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.static_files import files
from snakepit.server.responders.static_files.app_files import AppFiles
from snakepit.server.responders.static_files.transfer import PIECE
from snakepit.wire import envelopes

SIZE = 2 * PIECE + 7


class Client(FakeClient):
    """A client whose files come from `files`; it may take nothing more until it is told to."""

    def __init__(self, files, slow):
        super().__init__()
        self.files = files
        self.slow = slow

    def send_file(self, exchange, status, fields, file):
        return self.files.send(exchange, status, fields, file)

    def send_body(self, data, more):
        super().send_body(data, more)
        if data and self.slow:
            self.writable = False


class World:
    def __init__(self, folder, slow):
        self.path = folder / "file"
        self.path.write_bytes(b"x" * SIZE)
        self.files = AppFiles(asyncio.get_running_loop())
        self.client = Client(self.files, slow)
        self.exchange = Exchange(7, self.client, FakeDestination(), RequestHead("GET", b"/", "1.1", [], False))
        self.worker = FakeEnd()
        self.exchange.assigned_to(self.worker, "worker 1")
        self.folder = folder

    def send(self, status=200, fields=NONE, path=None):
        self.exchange.respond_file(status, fields, str(path or self.path))

    async def complete(self):
        await until(lambda: self.client.over)
        await until(lambda: not open_below(self.folder))

    @property
    def told(self):
        return [envelope[0] for envelope in self.worker.posted[1:]]  # the first is the request


def play(scenario, tmp_path, slow=False):
    async def main():
        world = World(tmp_path, slow)
        await scenario(world)
        world.files.close()

    asyncio.run(main())


@pytest.mark.parametrize("length", [None, SIZE, 5, 0])
def test_a_file(tmp_path, length):
    async def scenario(world):
        world.send(201, NONE if length is None else render([(b"content-length", str(length).encode())]))
        await world.complete()
        assert world.client.status == 201
        assert world.client.fields[2] == len(world.client.body) == (SIZE if length is None else length)
        assert world.told == [envelopes.FILE_SENT]
        assert world.exchange.state is ExchangeState.ANSWERED
        world.exchange.done(None)
        assert (world.client.faults, world.client.broken) == ([], False)

    play(scenario, tmp_path)


def test_a_file_behind_a_head_that_has_left(tmp_path):
    async def scenario(world):
        world.exchange.respond(200, NONE, b"", True)
        world.send(0)
        await world.complete()
        assert world.client.body == b"x" * SIZE
        assert world.told == [envelopes.FILE_SENT]

    play(scenario, tmp_path)


def test_a_slow_client(tmp_path):
    async def scenario(world):
        world.send()
        sizes = [0]
        while not world.client.complete:
            await until(lambda: len(world.client.body) > sizes[-1])
            sizes.append(len(world.client.body))
            world.client.writable = True
            world.exchange.return_credit()
        await world.complete()
        assert sizes == [0, PIECE, 2 * PIECE, SIZE]
        assert world.told == [envelopes.FILE_SENT], "and no credit"

    play(scenario, tmp_path, slow=True)


@pytest.mark.parametrize("how", ["client_gone", "lost", "time_out", "done"])
def test_what_ends_it_frees_the_file(tmp_path, how):
    async def scenario(world):
        world.send()
        await until(lambda: world.client.begun)
        assert open_below(tmp_path) or not SHOWN
        getattr(world.exchange, how)(*{"time_out": [1.0], "done": [None]}.get(how, []))
        await until(lambda: not open_below(tmp_path))
        assert envelopes.FILE_SENT not in world.told

    play(scenario, tmp_path, slow=True)


def test_a_client_that_goes_before_it_is_open(tmp_path):
    async def scenario(world):
        world.send()
        world.exchange.client_gone()
        await until(lambda: not open_below(tmp_path))
        assert not world.client.begun

    play(scenario, tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_no_file(tmp_path, name):
    async def scenario(world):
        world.send(path=tmp_path / name)
        await world.complete()
        assert world.client.status == 500
        assert "the app sent a file that can't be read" in world.client.faults[0]
        assert world.told == [envelopes.DISCONNECT]

    play(scenario, tmp_path)


def test_a_file_that_is_shorter_than_announced(tmp_path):
    async def scenario(world):
        world.send(fields=render([(b"content-length", b"%d" % (SIZE + 1))]))
        await world.complete()
        assert (world.client.status, world.client.body) == (500, b"Internal Server Error")

    play(scenario, tmp_path)


def test_a_file_that_shrinks(tmp_path):
    async def scenario(world):
        world.send()
        await until(lambda: world.client.begun)
        world.path.write_bytes(b"")
        world.client.writable = True
        world.exchange.return_credit()
        await world.complete()
        assert world.client.broken
        assert "it has become shorter" in world.client.faults[0]

    play(scenario, tmp_path, slow=True)


def test_a_file_that_can_not_be_read(tmp_path, monkeypatch):
    def fails(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.OpenFile, "_read_some", fails)

    async def scenario(world):
        world.send()
        await world.complete()
        assert "Input/output error" in world.client.faults[0]

    play(scenario, tmp_path)


# -- files that apps have open -----------------------------------------------------------------------------------------

PART = b"x" * (PIECE + 5) + b"end"


def play_opened(scenario, tmp_path, source="number", **changes):
    async def opened(world):
        data = b"start" + PART + b"rest"
        world.path.write_bytes(data)
        with open(world.path, "rb") as file:
            status = os.stat(world.path)
            part = {"device": status.st_dev, "inode": status.st_ino, "start": 5, "end": 5 + len(PART)} | changes
            where = file.fileno() if source == "number" else str(world.path)
            await scenario(world, lambda: world.exchange.respond_file(200, NONE, (where, *part.values())))

    play(opened, tmp_path)


async def only_the_apps_is_open(world):
    await until(lambda: len(open_below(world.folder)) == bool(SHOWN))


@pytest.mark.parametrize("source", ["number", "path"])
def test_a_part_of_a_file_that_is_open(tmp_path, source):
    async def scenario(world, send):
        send()
        await until(lambda: world.client.over)
        assert (world.client.status, world.client.body) == (200, PART)
        assert world.client.fields[2] == len(PART)
        assert world.told == [envelopes.FILE_SENT]
        await only_the_apps_is_open(world)

    play_opened(scenario, tmp_path, source)


def play_slow(scenario, tmp_path):
    """Play with a file that an app has open, of which a slow client takes the first piece."""

    async def opened(world):
        with open(world.path, "rb") as file:
            status = os.stat(world.path)
            world.exchange.keepers = KeptAnswers(1000)
            part = file.fileno(), status.st_dev, status.st_ino, 0, SIZE
            world.exchange.respond_file(200, NONE, part)
            await until(lambda: not world.client.writable)
            assert world.told == [envelopes.FILE_SENT], "the app is through"
        await scenario(world)

    play(opened, tmp_path, slow=True)


@pytest.mark.parametrize("end", ["done", "lost"])
def test_an_app_is_through_when_its_file_is_open_here(tmp_path, end):
    async def scenario(world):
        world.exchange.done(None) if end == "done" else world.exchange.lost()
        assert world.exchange.state is ExchangeState.RESPONDING
        while not world.client.complete:
            assert world.client.body == b"x" * len(world.client.body)
            world.client.writable = True
            world.exchange.return_credit()
            await until(lambda: not world.client.writable or world.client.complete)
        assert len(world.client.body) == SIZE
        assert world.exchange.state is ExchangeState.CLOSED
        assert world.told == [envelopes.FILE_SENT]
        await until(lambda: not open_below(world.folder))

    play_slow(scenario, tmp_path)


@pytest.mark.parametrize("through", [False, True])
def test_a_client_that_leaves_in_the_middle_of_an_open_file(tmp_path, through):
    async def scenario(world):
        if through:
            world.exchange.done(None)
        world.exchange.client_gone()
        assert world.exchange.state is (ExchangeState.CLOSED if through else ExchangeState.ABANDONED)
        assert world.exchange.destination.withdrawn == []
        await until(lambda: not open_below(world.folder))

    play_slow(scenario, tmp_path)


def test_an_open_file_that_becomes_shorter_when_the_app_is_through(tmp_path):
    async def scenario(world):
        world.exchange.done(None)
        world.path.write_bytes(b"")
        world.client.writable = True
        world.exchange.return_credit()
        await world.complete()
        assert world.client.broken
        assert world.client.faults

    play_slow(scenario, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="an open file can't be removed there")
@pytest.mark.parametrize(("source", "there"), [("number", True), ("path", False)])
def test_a_file_that_is_removed(tmp_path, source, there):
    async def scenario(world, send):
        world.path.unlink()
        send()
        await until(lambda: world.client.over if there else world.told)
        assert world.told == [envelopes.FILE_SENT if there else envelopes.FILE_REFUSED]
        assert world.client.body == (PART if there else b"")

    play_opened(scenario, tmp_path, source)


@pytest.mark.parametrize("source", ["number", "path"])
@pytest.mark.parametrize("changes", [{"inode": 1}, {"device": -1}, {"end": 10**9}])
def test_another_file_is_the_workers_to_send(tmp_path, source, changes):
    async def scenario(world, send):
        send()
        await until(lambda: world.told)
        assert world.told == [envelopes.FILE_REFUSED]
        assert not world.client.begun
        assert world.exchange.state is ExchangeState.ASSIGNED
        await only_the_apps_is_open(world)
        world.exchange.respond(200, NONE, b"in blocks", False)
        assert (world.client.body, world.told) == (b"in blocks", [envelopes.FILE_REFUSED])
        world.exchange.done(None)

    play_opened(scenario, tmp_path, source, **changes)


def test_a_client_that_goes_before_a_file_is_opened_again(tmp_path):
    async def scenario(world, send):
        send()
        world.exchange.client_gone()
        await only_the_apps_is_open(world)
        assert not world.client.begun
        assert envelopes.FILE_REFUSED not in world.told

    play_opened(scenario, tmp_path)
