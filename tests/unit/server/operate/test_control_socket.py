"""The control socket and what finds it: server.operate.control_socket with control.client and control.search.

Both ways to be reached, on asyncio's loop and on uvloop.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import threading
from contextlib import asynccontextmanager

import pytest
from waiting import PATIENCE

from snakepit import __version__
from snakepit.control.client import ControlClient, Gone
from snakepit.control.folder import Folder
from snakepit.control.search import find
from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.event_loop.choice import loop_factory
from snakepit.server.operate import control_socket as control_module
from snakepit.server.operate.control_socket import ControlSocket, Identity

LOOPS = ["asyncio", *([] if sys.platform == "win32" else ["uvloop"])]
CARRIERS = ["loopback", *([] if sys.platform == "win32" else ["unix"])]

pytestmark = pytest.mark.usefixtures("places")


@pytest.fixture(params=LOOPS)
def play(request):
    """Runs a scenario on each loop."""

    def run(scenario):
        async def limited():
            async with asyncio.timeout(PATIENCE):
                await scenario()

        asyncio.run(limited(), loop_factory=loop_factory(request.param))

    return run


@pytest.fixture(params=CARRIERS)
def carrier(request):
    return request.param


async def echo(request):
    return {"heard": request.get("words")}


async def refuse(request):
    raise SnakepitError("not today")


async def break_down(request):
    raise ZeroDivisionError("too far")


NO_STREAMS = {}
COMMANDS = {"echo": echo, "refuse": refuse, "break": break_down}


@asynccontextmanager
async def opened(carrier="loopback", *, key=1, name=None, app="main:app", commands=COMMANDS, streams=NO_STREAMS):
    control = ControlSocket(Identity(key, name, app, "http://127.0.0.1:8000"), commands, carrier, streams)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snakepit.control.client.ANSWER_SECONDS", 0.05)  # another one in this loop can't answer meanwhile
        await control.open()
    try:
        yield control
    finally:
        await control.close()


def entries():
    return Folder.make().entries()


async def found(name=None, pid=None):
    return await asyncio.to_thread(find, name, pid)


async def ask(link, command, **arguments):
    return await asyncio.to_thread(link.ask, command, **arguments)


class Raw:
    """A client that says whatever it likes."""

    def __init__(self, carrier):
        [self.entry] = entries()
        if carrier == "unix":
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(self.entry.path)
        else:
            self.sock = socket.create_connection(("127.0.0.1", self.entry.port))
        self.sock.settimeout(PATIENCE)
        self.file = self.sock.makefile("rb")

    def say(self, data):
        self.sock.sendall(data)

    def request(self, **what):
        if self.entry.token:
            what.setdefault("token", self.entry.token)
        self.say(json.dumps(what).encode() + b"\n")

    async def hear(self):
        line = await asyncio.to_thread(self.file.readline)
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# -- finding ---------------------------------------------------------------------------------------------------------


def test_it_is_found_and_answers(play, carrier):
    async def scenario():
        async with opened(carrier):
            [entry] = entries()
            assert bool(entry.path) is (carrier == "unix")
            assert bool(entry.token) is bool(entry.port) is (carrier == "loopback")
            link = await found()
            assert await ask(link, "echo", words="grün\n") == {"ok": True, "heard": "grün\n"}
            link.close()
        assert entries() == []
        assert [path.name for path in Folder.make().path.iterdir()] == ["lock"]

    play(scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_only_its_user_can_connect(play):
    async def scenario():
        async with opened("unix"):
            [entry] = entries()
            assert os.stat(entry.path).st_mode & 0o777 == 0o600

    play(scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_a_path_that_is_too_long_for_a_unix_socket(play, tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))

    async def scenario():
        async with opened("unix"):
            [entry] = entries()
            assert entry.port
            link = await found()
            assert (await ask(link, "echo"))["ok"]
            link.close()

    play(scenario)


def test_found_by_name_pid_supervisor_or_folder(play, carrier, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    async def scenario():
        async with opened(carrier, key=4711, name="shop"):
            for which in ({}, {"name": "shop"}, {"pid": os.getpid()}, {"pid": 4711}):
                link = await found(**which)
                assert link.entry.name == "shop"
                link.close()
            monkeypatch.chdir(elsewhere)
            link = await found("shop")
            link.close()
            with pytest.raises(ConfigError) as caught:
                await found()
            assert str(caught.value) == (
                f"no server runs for this folder ({elsewhere.resolve()})\n"
                f"there are others, for which --name or --pid must be given:\n  {link.entry}"
            )
            with pytest.raises(ConfigError, match="no server runs with the name 'shopping'"):
                await found("shopping")
            with pytest.raises(ConfigError, match="no server runs with the pid 1\n"):
                await found(pid=1)

    play(scenario)


def test_a_link_to_the_folder_is_the_folder(play, tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    async def scenario():
        monkeypatch.chdir(tmp_path / "link")
        async with opened():
            monkeypatch.chdir(tmp_path / "real")
            (await found()).close()

    play(scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="there it can't be removed")
def test_the_working_directory_is_gone(play, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()

    async def scenario():
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        async with opened(name="shop"):
            (await found("shop")).close()
            with pytest.raises(ConfigError, match="the working directory is gone"):
                await found()
        monkeypatch.chdir(tmp_path)
        (tmp_path / "gone").mkdir()

    play(scenario)


def test_there_was_never_a_server(places):
    with pytest.raises(ConfigError, match="no server runs for this folder"):
        find(None, None)
    assert not places[0].exists(), "a question leaves nothing behind"


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_a_folder_that_is_not_safe_is_not_looked_into_and_named(places):
    places[0].mkdir(0o755)
    with pytest.raises(ConfigError) as caught:
        find(None, None)
    assert str(caught.value).splitlines()[1:] == [f"{places[0]} is open to other users (mode 755): chmod 700 it"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is one place")
def test_a_server_outside_of_the_session_is_found(play, monkeypatch):
    session = os.environ["XDG_RUNTIME_DIR"]

    async def scenario():
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        async with opened():
            monkeypatch.setenv("XDG_RUNTIME_DIR", session)
            (await found()).close()

    play(scenario)


def test_several_in_one_folder(play, carrier):
    async def scenario():
        async with opened(carrier, key=1), opened(carrier, key=2, name="b"), opened(carrier, key=3, name="c"):
            with pytest.raises(ConfigError) as caught:
                await found()
            first, *lines = str(caught.value).splitlines()
            assert first.startswith("3 servers run for this folder (")
            assert first.endswith("; say which one is meant with --name or --pid:")
            assert sorted(lines) == sorted(f"  {entry}" for entry in entries())
            link = await found("c")
            assert link.entry.key == 3
            link.close()

    play(scenario)


def test_several_without_a_name_are_told_apart_by_pid(play):
    async def scenario():
        async with opened(key=1), opened(key=2):
            with pytest.raises(ConfigError, match="say which one is meant with --pid:"):
                await found()

    play(scenario)


def test_what_a_killed_server_left_is_removed_by_who_finds_it(play, carrier):
    async def scenario():
        async with opened(carrier) as control:
            folder, entry = control._opened
        folder.put(entry)  # as if it had been killed
        with pytest.raises(Gone):
            ControlClient(entry)
        with pytest.raises(ConfigError, match="no server runs for this folder") as caught:
            await found()
        assert "\n" not in str(caught.value)
        assert folder.entries() == []

    play(scenario)


def test_what_a_killed_server_left_is_removed_by_the_next_one(play, carrier):
    async def scenario():
        async with opened(carrier, name="shop") as control:
            folder, entry = control._opened
        folder.put(entry)
        async with opened(carrier, key=2, name="shop"):
            assert [entry.key for entry in folder.entries()] == [2]

    play(scenario)


def test_a_server_that_does_not_answer_is_not_taken_for_dead(play, carrier, monkeypatch):
    monkeypatch.setattr("snakepit.control.client.ANSWER_SECONDS", 0.05)

    async def scenario():
        async with opened(carrier):
            before = entries()
            with pytest.raises(ConfigError, match="the server does not answer: pid"):
                find(None, None)  # in the loop's own thread, so it can't answer
            assert entries() == before

    play(scenario)


# -- names, and one in the place of another --------------------------------------------------------------------------


def test_a_name_is_for_one(play, carrier):
    async def scenario():
        async with opened(carrier, key=1, name="shop"):
            second = ControlSocket(Identity(2, "shop", "main:app", "unix:/x"), COMMANDS, carrier)
            opening = asyncio.to_thread(asyncio.run, second.open())  # so that the first can answer meanwhile
            with pytest.raises(ConfigError, match=rf"the name 'shop' runs already, pid {os.getpid()};"):
                await opening
            assert [entry.key for entry in entries()] == [1]
            link = await found("shop")
            link.close()

    play(scenario)


def test_a_newer_process_takes_over_and_the_old_one_leaves_it_alone(play, carrier):
    async def scenario():
        async with opened(carrier, name="shop", app="old:app") as old:
            link = await found("shop")
            async with opened(carrier, name="shop", app="new:app"):
                newer = await found("shop")
                assert newer.entry.app == "new:app"
                assert (await ask(link, "echo"))["ok"], "who had connected to the old one can still talk to it"
                await old.close()
                assert [entry.app for entry in entries()] == ["new:app"]
                assert (await ask(newer, "echo"))["ok"]
                again = await found("shop")
                for one in (link, newer, again):
                    one.close()
            assert entries() == []

    play(scenario)


def test_who_has_read_the_old_entry_reaches_the_new_process(play, carrier, monkeypatch):
    async def scenario():
        async with opened(carrier, app="old:app") as old:
            before = entries()
            async with opened(carrier, app="new:app"):
                await old.close()
                with monkeypatch.context() as patch:
                    patch.setattr(Folder, "entries", lambda folder: before)
                    link = await found()
                assert link.entry.app == "new:app"
                link.close()

    play(scenario)


def test_it_can_not_be_opened_where_there_is_no_place(play, places, monkeypatch):
    for place in places:
        place.write_text("")

    async def scenario():
        with pytest.raises(ConfigError, match="is not a folder"):
            async with opened():
                pass

    play(scenario)


def test_its_files_are_kept_from_being_cleared_away(play, carrier, monkeypatch):
    monkeypatch.setattr(control_module, "REFRESH", 0.01)

    async def scenario():
        async with opened(carrier) as control:
            folder, entry = control._opened
            (folder.path / "1.json").unlink()
            while not folder.entries():
                await asyncio.sleep(0.001)
            assert folder.entries() == [entry]

    play(scenario)


# -- commands --------------------------------------------------------------------------------------------------------


def test_no_for_an_answer(play, carrier, caplog):
    async def scenario():
        async with opened(carrier):
            for command, text in (
                ("refuse", "^not today$"),
                ("fly", "^there is no command 'fly'; there are echo, refuse, break$"),
                ("break", "ZeroDivisionError: too far"),
            ):
                link = await found()
                with pytest.raises(SnakepitError, match=text):
                    await ask(link, command)
                link.close()

    play(scenario)
    [record] = caplog.records
    assert record.getMessage() == "Error in the command break"


def test_the_end_of_the_server_ends_what_waits_for_it(play, carrier):
    async def wait_for_ever(request):
        await asyncio.Event().wait()

    async def scenario():
        async with opened(carrier, commands={**COMMANDS, "wait": wait_for_ever}) as control:
            idle, asking, told = Raw(carrier), await found(), await found()
            assert (await idle.hear())["id"]
            answer = asyncio.ensure_future(ask(asking, "wait"))
            assert await ask(told, "echo")
            leaving = asyncio.ensure_future(asyncio.to_thread(told.wait_closed))
            while len(control._tasks) < 3:
                await asyncio.sleep(0.001)
            assert not leaving.done()
            await control.close()
            await leaving
            with pytest.raises(SnakepitError, match="the server ended before it answered"):
                await answer
            assert await idle.hear() is None
            for link in (idle, asking, told):
                link.close()

    play(scenario)


def test_a_client_that_does_not_wait_for_its_answer(play, carrier):
    done = asyncio.Event()

    async def slow(request):
        await asyncio.to_thread(gone.wait)
        done.set()
        return {"much": "x" * 1_000_000}

    gone = threading.Event()

    async def scenario():
        async with opened(carrier, commands={**COMMANDS, "slow": slow}) as control:
            with Raw(carrier) as client:
                client.request(command="slow")
                assert (await client.hear())["snakepit"] == __version__
            gone.set()
            await done.wait()
            while control._tasks:
                await asyncio.sleep(0.001)
            link = await found()
            assert (await ask(link, "echo"))["ok"]
            link.close()

    play(scenario)


def test_several_answers(play, carrier, caplog):
    async def count(request):
        for number in range(request["to"]):
            yield {"number": number}
        if request["to"] > 2:
            raise SnakepitError("too many")
        raise ZeroDivisionError("too far")

    async def scenario():
        async with opened(carrier, streams={"count": count}):
            for to, text in ((3, "too many"), (1, "ZeroDivisionError: too far")):
                link = await found()
                assert (await ask(link, "count", to=to))["number"] == 0
                for number in range(1, to):
                    assert (await asyncio.to_thread(link.wait_answer))["number"] == number
                with pytest.raises(SnakepitError, match=text):
                    await asyncio.to_thread(link.wait_answer)
                link.close()

    play(scenario)
    assert [record.getMessage() for record in caplog.records] == ["Error in the command count"]


@pytest.mark.parametrize("how", ["the client leaves", "the server ends"])
def test_who_gets_answers_without_an_end(play, carrier, how):
    async def tick(request):
        try:
            while True:
                yield {"much": "x" * 100_000}
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    ended = asyncio.Event()

    async def scenario():
        async with opened(carrier, streams={"tick": tick}) as control:
            link = await found()
            assert await ask(link, "tick")
            if how == "the client leaves":
                link.close()
                await ended.wait()
                while control._tasks:
                    await asyncio.sleep(0.001)
            else:
                await control.close()
                await ended.wait()
                link.close()

    play(scenario)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"\n", "a command must be JSON"),
        (b"GET / HTTP/1.1\r\n", "a command must be JSON"),
        (b"\xff\xfe\n", "a command must be JSON"),
        (b"[" * 60_000 + b"\n", "a command must be JSON"),
        (b"[]\n", "a command must be a JSON object"),
        (b"x" * 70_000, "a command has 65536 bytes at most"),
        (b'{"command": "echo", "token": "guess"}\n', "wrong token"),
        (b'{"command": "echo", "token": ["\\ud800"]}\n', "wrong token"),
    ],
)
def test_bad_requests(play, carrier, said, error, caplog):
    async def scenario():
        async with opened(carrier):
            with Raw(carrier) as client:
                assert (await client.hear())["snakepit"] == __version__
                client.say(said)
                assert await client.hear() == {"ok": False, "error": error}
                try:
                    assert await client.hear() is None, "closed"
                except ConnectionResetError:
                    pass  # what was not read of it
            link = await found()
            assert (await ask(link, "echo"))["ok"], "other clients are not affected"
            link.close()

    caplog.set_level(logging.WARNING)
    play(scenario)
    assert caplog.records == []


@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_on_a_port_nothing_goes_without_the_token(play, token):
    async def scenario():
        async with opened("loopback"):
            with Raw("loopback") as client:
                await client.hear()
                client.say(json.dumps({"command": "echo", "token": token}).encode() + b"\n")
                assert await client.hear() == {"ok": False, "error": "wrong token"}

    play(scenario)


@pytest.mark.parametrize("command", [None, 1, ["echo"], {}])
def test_commands_that_are_no_names(play, carrier, command):
    async def scenario():
        async with opened(carrier):
            with Raw(carrier) as client:
                await client.hear()
                client.request(command=command)
                answer = await client.hear()
                assert answer["ok"] is False
                assert answer["error"].startswith("there is no command ")

    play(scenario)


def test_a_client_that_says_nothing(play, carrier, monkeypatch):
    monkeypatch.setattr(control_module, "CLIENT_SECONDS", 0.05)

    async def scenario():
        async with opened(carrier):
            with Raw(carrier) as client:
                await client.hear()
                client.say(b'{"comm')
                assert await client.hear() == {"ok": False, "error": "no command came in 0.05 s"}
                assert await client.hear() is None

    play(scenario)


def test_a_client_that_leaves_within_its_request(play, carrier, caplog):
    async def scenario():
        async with opened(carrier) as control:
            with Raw(carrier) as client:
                client.say(b'{"comm')
                await client.hear()
            while control._tasks:
                await asyncio.sleep(0.001)

    play(scenario)
    assert caplog.records == []


def test_a_client_that_does_not_read(play, carrier, monkeypatch):
    monkeypatch.setattr(control_module, "CLIENT_SECONDS", 0.05)

    async def much(request):
        return {"much": "x" * 20_000_000}

    async def scenario():
        async with opened(carrier, commands={"much": much}) as control:
            with Raw(carrier) as client:
                await client.hear()
                client.request(command="much")
                while not control._tasks:
                    await asyncio.sleep(0.001)
                while control._tasks:
                    await asyncio.sleep(0.001)

    play(scenario)


def test_too_many_who_say_nothing(play, carrier, monkeypatch):
    monkeypatch.setattr(control_module, "STRANGERS", 2)

    async def scenario():
        async with opened(carrier):
            silent = [Raw(carrier) for _ in range(2)]
            for client in silent:
                await client.hear()
            with Raw(carrier) as one_more:
                assert (await one_more.hear())["id"], "so that it is not taken for another server"
                assert await one_more.hear() == {"ok": False, "error": "too many connections"}
            for client in silent:
                client.close()
            while True:
                with Raw(carrier) as later:
                    await later.hear()
                    later.request(command="echo")
                    if (await later.hear())["ok"]:
                        break

    play(scenario)
