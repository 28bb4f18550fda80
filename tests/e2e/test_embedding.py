"""Embedded servers: the effects of the program's end on them, and theirs on it; and several in one program."""

import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from support import APPS, NOT_ENDING, PATIENCE, RUNTIME, Client, Server, children_of, gone, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Program(Server):
    """One of those in tests/apps/embedded.py."""

    def __init__(self, folder, name, *arguments, env=None):
        super().__init__(str(APPS / "embedded.py"), name, RUNTIME, *arguments, cwd=folder, env=env, script=True)

    def end(self):
        """Let it come to its end."""
        (Path(self.cwd) / "go").touch()


@pytest.fixture
def program(tmp_path):
    started = []

    def start(name, *arguments, **options):
        started.append(Program(tmp_path, name, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


WAYS = ["run_in_thread", "serve_in_thread"]
ENDS = {"return": 0, "exit": 3, "raise": 1, "fail": 1}


def assert_clean(program, end="return"):
    assert program.err.count("Traceback") == (end == "fail")
    assert program.err.count("exit handler") == 1
    for sign in ("Fatal", "Warning:", "never awaited", "remaining subinterpreters"):
        assert sign not in program.err


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_with_a_server_in_a_daemon_thread(program, way, end):
    ran = program(way, end).wait_listening()
    assert ran.get("/").body == b"hello"
    children = children_of(ran.process.pid) if sys.platform == "linux" else []
    ran.end()
    assert ran.wait_ended() == ENDS[end]
    assert_clean(ran, end)
    assert ran.err.count("lifespan shutdown") == 1
    wait_until(lambda: all(map(gone, children)), "worker processes have ended")


@pytest.mark.parametrize("way", WAYS)
def test_a_program_ends_while_a_request_waits(program, way):
    ran = program(way, "exit").wait_listening()
    with Client(ran) as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        ran.wait_logged("begun")
        ran.end()
        assert ran.wait_ended() == 3
        with pytest.raises(ConnectionError):
            client.read()
    assert_clean(ran)
    assert ran.err.count("lifespan shutdown") == 1


@pytest.mark.parametrize(("target", "end"), [("app", "exit"), ("wsgi", "fail")])
def test_a_program_ends_though_a_handler_hangs_in_c_code(program, target, end):
    ran = program("serve_in_thread", end, target).wait_listening()
    with Client(ran) as client:
        client.send(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        ran.wait_logged("begun")
        children = children_of(ran.process.pid) if sys.platform == "linux" else []
        ran.end()
        assert ran.wait_ended() == ENDS[end]
    assert_clean(ran, end)
    assert NOT_ENDING in ran.err
    wait_until(lambda: all(map(gone, children)), "worker processes have ended")


@pytest.mark.skipif(RUNTIME == "thread", reason="the script is not imported again")
def test_a_program_ends_while_workers_import(program):
    ran = program("run_in_thread", "exit", env={"SLOW_IMPORT": "1"})
    ran.wait_logged("importing")
    ran.end()
    assert ran.wait_ended() == 3
    assert_clean(ran)


def test_a_program_ends_at_any_moment_of_the_start(program, tmp_path):
    for _ in range(5):
        (tmp_path / "go").touch()
        ran = program("run_in_thread", "exit")
        assert ran.wait_ended() == 3
        assert_clean(ran)


@POSIX
def test_a_server_in_an_ordinary_thread_keeps_its_program_alive(program):
    ran = program("run_in_ordinary_thread", "exit").wait_listening()
    ran.end()
    ran.wait_logged("the main thread waits")
    for _ in range(3):
        assert ran.get("/").body == b"hello"
    assert ran.process.poll() is None
    ran.process.send_signal(signal.SIGINT)  # Python stops waiting for threads then
    assert ran.wait_ended() == 3
    assert ran.err.count("lifespan shutdown") == 1
    assert ran.err.count("exit handler") == 1


def test_a_program_ends_whose_loop_was_left_with_the_server_in_it(program):
    ran = program("loop_that_stops", "return").wait_listening()
    assert ran.get("/").body == b"hello"
    ran.end()
    assert ran.wait_ended() == 0
    assert ran.err.count("exit handler") == 1
    assert "Traceback" not in ran.err


@POSIX
@pytest.mark.parametrize(
    ("path", "end"), [("/hang", "exit"), ("/hang", "fail"), ("/daemon", "raise"), ("/daemon", "return")]
)
def test_a_program_goes_on_after_a_server_that_left_something_open(program, path, end):
    ran = program("after_it", end).wait_listening()
    with Client(ran) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        ran.wait_logged("begun")
        ran.process.send_signal(signal.SIGINT)
        ran.wait_logged("returned")
    ran.end()
    assert ran.wait_ended() == ENDS[end]
    assert_clean(ran, end)


@POSIX
def test_one_signal_stops_all_servers_of_a_program(program):
    ran = program("several")
    ran.wait_logged("all serve:")
    ran.process.send_signal(signal.SIGINT)
    assert ran.wait_ended() == 0
    assert "all have ended" in ran.err
    assert ran.err.count("Stopped\n") == 3
    assert ran.err.count("lifespan shutdown") == 3
    assert "Traceback" not in ran.err


@POSIX
def test_a_second_signal_ends_a_program_with_several_servers(program):
    ran = program("several")
    ran.wait_logged("all serve:")
    _, second, _ = re.findall(r"http://127.0.0.1:(\d+)", ran.err.partition("all serve:")[2])
    with socket.create_connection(("127.0.0.1", int(second)), timeout=PATIENCE) as busy:
        busy.sendall(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        ran.wait_logged("begun")
        ran.process.send_signal(signal.SIGINT)
        ran.wait_logged("Stopping", times=3)
        assert ran.process.poll() is None

        def pressed_again():
            ran.process.send_signal(signal.SIGINT)
            return ran.process.poll() is not None

        wait_until(pressed_again, "a later signal ends the program")
        assert ran.wait_ended() == 128 + signal.SIGINT
    assert "Traceback" not in ran.err
