"""snakepit.control.folder: safe from others, and tidy."""

import os
import socket
import sys
import tempfile
import threading

import pytest

from snakepit.control import folder as folder_module
from snakepit.control.entry import Entry
from snakepit.control.folder import Folder, places
from snakepit.errors import ConfigError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes and Unix sockets")


def entry(id="0a", key=1, path="", port=0, name=None):
    return Entry(id, key, 1, name, "/srv", "main:app", "http://127.0.0.1:8000", path, port, "")


@pytest.fixture
def made(tmp_path):
    (tmp_path / "run").mkdir(0o700)
    return Folder(tmp_path / "run")


def names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != "lock")


def listening(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen()
    return sock


@POSIX
def test_places(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    temporary = os.path.join(tempfile.gettempdir(), f"snakepit-{os.geteuid()}")
    assert [str(place) for place in places()] == ["/run/user/7/snakepit", temporary]
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert [str(place) for place in places()] == [temporary]


@POSIX
def test_it_is_made_for_its_user_alone(places):
    assert Folder.make().path == places[0]
    assert places[0].stat().st_mode & 0o777 == 0o700
    assert Folder.make().path == places[0], "it is there by now"


@POSIX
def test_the_next_place_is_taken_where_the_first_can_not_be(places):
    places[0].parent.rmdir()
    assert Folder.make().path == places[1]


@POSIX
def test_no_place(places):
    places[0].symlink_to(places[1])
    places[1].mkdir(0o755)
    with pytest.raises(ConfigError) as caught:
        Folder.make()
    assert str(caught.value) == (
        f"no folder for control sockets: {places[0]} is a symbolic link; remove it; "
        f"{places[1]} is open to other users (mode 755): chmod 700 it"
    )


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="is not a folder; remove it"):
        Folder(tmp_path / "run")


def test_it_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Folder(tmp_path / "run")


@POSIX
@pytest.mark.parametrize("mode", [0o710, 0o701, 0o770, 0o777])
def test_others_may_enter(tmp_path, mode):
    path = tmp_path / "run"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(ConfigError, match="open to other users"):
        Folder(path)


@POSIX
def test_it_belongs_to_somebody_else(made, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigError, match="belongs to another user"):
        Folder(made.path)


def test_entries_are_found_and_removed(made):
    one, two = entry("0a", 1), entry("0b", 2)
    made.put(one)
    made.put(two)
    assert made.entries() == [one, two]
    made.remove(one)
    assert made.entries() == [two]
    made.remove(one)
    assert names(made) == ["2.json"]


@POSIX
def test_an_entry_is_for_its_user_alone(made):
    made.put(entry())
    assert (made.path / "1.json").stat().st_mode & 0o777 == 0o600


def test_a_newer_entry_takes_the_place_of_one_and_is_not_removed_with_it(made):
    old, new = entry("0a"), entry("0b")
    made.put(old)
    made.put(new)
    assert made.entries() == [new]
    made.remove(old)
    assert made.entries() == [new]


def test_what_is_no_entry_is_passed_over(made):
    made.put(entry())
    for name in ("2.json", "other.txt"):
        (made.path / name).write_text("{")
    assert made.entries() == [entry()]


@POSIX
def test_cleaning(made):
    dead, alive = made.path / "0a.sock", made.path / "0b.sock"
    listening(dead).close()
    with listening(alive):
        gone, there = entry("0a", 1, str(dead)), entry("0b", 2, str(alive))
        for one in (gone, there):
            made.put(one)
        (made.path / "0c.new").write_text("half an en")
        made.clean(key=0)
        assert names(made) == ["0b.sock", "2.json"]


@POSIX
def test_cleaning_leaves_the_entry_that_is_to_be_replaced_and_whoever_listens(made):
    dead, alive = made.path / "0a.sock", made.path / "0b.sock"
    listening(dead).close()
    with listening(alive):
        made.put(entry("0b", 1, str(alive)))
        made.clean(key=1)
        assert names(made) == ["0b.sock", "1.json"]


def test_cleaning_finds_that_nobody_listens_on_a_port(made):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made.put(entry("0a", 1, port=port))
    made.clean(key=0)
    assert names(made) == []


@pytest.mark.parametrize("said", [b"", b"220 mail.example.com ESMTP\r\n", b"x" * 2000, b"[]\n", b'{"id": "0b"}\n'])
def test_cleaning_finds_that_somebody_else_has_the_port(made, said):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            sock, _ = server.accept()
            with sock:
                sock.sendall(said)

        thread = threading.Thread(target=greet)
        thread.start()
        made.put(entry("0a", 1, port=server.getsockname()[1]))
        made.clean(key=0)
        thread.join()
    assert names(made) == []


def test_cleaning_leaves_whoever_is_too_busy_to_answer(made, monkeypatch):
    monkeypatch.setattr("snakepit.control.client.ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        made.put(entry("0a", 1, port=server.getsockname()[1]))
        made.clean(key=0)
    assert names(made) == ["1.json"]


def test_keeping_makes_everything_look_new(made):
    one = entry("0a", 1, str(made.path / "0a.sock"))
    made.put(one)
    paths = [made.path / "0a.sock", made.path / "1.json"]
    paths[0].write_text("")
    for path in paths:
        os.utime(path, (0, 0))
    made.keep(one)
    assert all(path.stat().st_mtime > 0 for path in paths)


def test_keeping_puts_back_what_was_cleared_away_but_not_over_a_newer_one(made):
    old, new = entry("0a"), entry("0b")
    made.keep(old)
    assert made.entries() == [old]
    made.put(new)
    os.utime(made.path / "1.json", (0, 0))
    made.keep(old)
    assert made.entries() == [new]
    assert (made.path / "1.json").stat().st_mtime == 0


def test_one_at_a_time(made, monkeypatch):
    with made.locked(), pytest.raises(OSError, match="another process holds its lock"), made.locked(patience=0):
        pass
    with made.locked(patience=0):
        pass


def test_a_lock_is_waited_for(made, monkeypatch):
    holding = made.locked()
    holding.__enter__()
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            holding.__exit__(None, None, None)

    monkeypatch.setattr(folder_module.time, "sleep", sleep)
    with made.locked():
        assert len(waits) == 3
