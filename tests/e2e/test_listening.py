"""Several places to listen at once, the rights of Unix sockets, and the user that a server becomes."""

import grp
import json
import os
import pwd
import re
import socket
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import ONE_RUNTIME, Answer, Server, children_of, read_all
from waiting import PATIENCE

pytestmark = [ONE_RUNTIME, pytest.mark.skipif(sys.platform == "win32", reason="has Unix sockets and users")]

NEEDS_ROOT = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can do it")
APP = "wsgi_behaviors:app"


def ask(family, address, whole=False):
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = Answer(read_all(sock), False)
        return answer if whole else answer.status


@contextmanager
def serving(*arguments, **options):
    """`support.running` without its --port."""
    server = Server(*arguments, "--interpreters", "2", **options)
    try:
        yield server.wait_listening(2)
    finally:
        server.kill()


def addresses(server):
    """All addresses that the log names."""
    [line] = re.findall(r"Listening on (.*) \(Ctrl\+C", server.err)
    return line.split(", ")


def test_several_places_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = os.path.join(tmp_path, "app.sock")
    places = ["127.0.0.1:0", "[::1]:0", f"unix:{path}"]
    options = [option for place in places for option in ("--bind", place)]
    with serving(APP, *options, "--uds-mode", "600") as server:
        first, second, third = addresses(server)
        assert third == f"unix:{path}"
        assert ask(socket.AF_INET, ("127.0.0.1", int(first.rpartition(":")[2]))) == 200
        assert ask(socket.AF_INET6, ("::1", int(second.rpartition(":")[2]))) == 200
        assert ask(socket.AF_UNIX, path) == 200
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert server.stop() == 0
    assert not os.path.exists(path)


def test_all_places_are_handed_over(tmp_path):
    path = os.path.join(tmp_path, "app.sock")
    with serving(APP, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}") as server:
        before = addresses(server)
        done = server.command("upgrade")
        assert done.returncode == 0, done.stderr
        server.wait_logged("Listening on", 2)
        assert re.findall(r"Listening on (.*) \(Ctrl\+C", server.err)[-1].split(", ") == before
        assert ask(socket.AF_UNIX, path) == 200
        assert ask(socket.AF_INET, ("127.0.0.1", int(before[0].rpartition(":")[2]))) == 200
        assert server.stop() == 0
    assert not os.path.exists(path)


def test_a_place_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = os.path.join(tmp_path, "app.sock")
        server = Server(APP, "--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}")
        assert server.wait_ended() == 2
    assert f"can't listen on 127.0.0.1:{port}: another process uses this port; stop it, or choose another" in server.err
    assert "--bind" in server.err
    assert not os.path.exists(path), "what was bound before is closed and removed"


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_two_servers_on_one_port():
    with serving(APP, "--port", "0", "--reuse-port") as one:
        with serving(APP, "--port", str(one.port), "--reuse-port") as other:
            assert one.port == other.port
            for _ in range(20):
                assert one.get("/").status == 200
            assert other.stop() == 0
        assert one.get("/").status == 200


@pytest.fixture
def open_folder():
    """A folder that every user may read."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def all_may_read(path):
    """Whether every user may read a file or a folder."""
    return all(os.stat(place).st_mode & stat.S_IXOTH for place in Path(path).resolve().parents)


@NEEDS_ROOT
@pytest.mark.skipif(not all_may_read(sys.base_prefix), reason="this Python is in a folder of root, where it is no use")
def test_another_user(open_folder):
    """What needs rights is done before; the app, and all that comes after, runs as that user."""
    user = pwd.getpwnam("nobody")
    (open_folder / "whose.py").write_text(
        "import json, os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'application/json')])\n"
        "    return [json.dumps([os.getuid(), os.getgid(), os.environ['HOME'], os.umask(0o027)]).encode()]\n"
    )
    run = open_folder / "run"
    run.mkdir()
    os.chown(run, user.pw_uid, user.pw_gid)
    sock = open_folder / "app.sock"
    group = grp.getgrgid(user.pw_gid).gr_name
    options = ("--user", user.pw_name, "--umask", "027", "--uds-mode", "660", "--uds-group", group)
    env = dict.fromkeys(("XDG_RUNTIME_DIR", "TMPDIR"), str(run))
    places = ("--bind", "127.0.0.1:0", "--bind", f"unix:{sock}")
    with serving("whose:app", *places, *options, "--app-dir", str(open_folder), env=env) as server:
        port = int(addresses(server)[0].rpartition(":")[2])
        found = json.loads(ask(socket.AF_INET, ("127.0.0.1", port), whole=True).body)
        assert found == [user.pw_uid, user.pw_gid, user.pw_dir, 0o027]
        assert os.stat(f"/proc/{server.pid}").st_uid == user.pw_uid
        assert children_of(server.process.pid) == [server.pid]
        assert (os.stat(sock).st_gid, stat.S_IMODE(os.stat(sock).st_mode)) == (user.pw_gid, 0o660)
        os.kill(server.pid, 9)  # the supervisor starts another one, which becomes that user, too
        server.wait_logged("Listening on", 2)
        assert json.loads(ask(socket.AF_INET, ("127.0.0.1", port), whole=True).body)[0] == user.pw_uid
        assert server.stop() == 0
    assert sock.exists(), "it is in a folder of root"


@NEEDS_ROOT
def test_another_group():
    """Which root can use, too, where no other user can read this Python."""
    group = str(pwd.getpwnam("nobody").pw_gid)
    with serving(APP, "--bind", "127.0.0.1:0", "--group", group) as server:
        assert os.stat(f"/proc/{server.pid}").st_gid == int(group)
        assert server.get("/").status == 200


def test_a_port_beside():
    server = Server(APP, "--bind", "127.0.0.1:0", "--port", "8000")
    assert server.wait_ended() == 2
    assert "port and bind can't be used together" in server.err


def test_a_user_that_does_not_exist():
    server = Server(APP, "--port", "0", "--user", "no-such-user")
    assert server.wait_ended() == 2
    assert server.err.strip().endswith("there is no user 'no-such-user'")
    assert "Traceback" not in server.err
