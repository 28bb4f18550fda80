"""`snakepit top`: in a terminal, and where there is none."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest
from support import ONE_RUNTIME, PATIENCE, Client, running

pytestmark = ONE_RUNTIME
TERMINAL = pytest.mark.skipif(sys.platform == "win32", reason="no terminals like these")

RESTORED = b"\x1b[?1049l"
"""How a program leaves the terminal's other screen."""


def test_where_the_output_is_no_terminal_it_says_it_once():
    with running("behaviors:app", workers=2) as server:
        assert server.get("/").status == 200
        told = server.command("top")
        assert told.returncode == 0, told.stderr
        assert "● All is well" in told.stdout
        assert f"pid {server.pid}" in told.stdout
        assert "\x1b" not in told.stdout
        assert len([line for line in told.stdout.splitlines() if "ready" in line]) == 2
        assert "Traceback" not in server.err


def test_without_a_server(tmp_path):
    with running("behaviors:app", workers=1) as server:
        told = server.command("top", "--pid", "1")
    assert told.returncode == 2
    assert told.stderr.startswith("Error: no server runs with the pid 1")


class Terminal:
    """A terminal with `snakepit top` in it."""

    def __init__(self, server):
        self.end, theirs = os.openpty()
        env = {**server.env, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-m", "snakepit", "top"]
        self.process = subprocess.Popen(
            command, cwd=server.cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.shown = b""

    def wait(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.shown and self._read():
            assert time.monotonic() < end, self.shown
        assert text in self.shown

    def press(self, keys):
        os.write(self.end, keys)

    def wait_ended(self):
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self):
        readable, _, _ = select.select([self.end], [], [], PATIENCE)
        assert readable, self.shown
        try:
            data = os.read(self.end, 65536)
        except OSError:  # Linux says so where the other end is closed
            return False
        self.shown += data
        return bool(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@TERMINAL
def test_keys():
    with running("behaviors:app", workers=2) as server, Terminal(server) as terminal:
        terminal.wait(b"All is well")
        terminal.press(b"r")
        terminal.wait(b"Reloaded 2 workers")
        server.wait_logged("INFO     Reloaded")
        terminal.press(b"q")
        assert terminal.wait_ended() == 0
        assert RESTORED in terminal.shown
        assert b"Traceback" not in terminal.shown


@TERMINAL
def test_where_a_request_is():
    with running("hanging:asgi", workers=1) as server, Client(server) as client:
        client.send(b"GET /burn HTTP/1.1\r\nHost: test\r\n\r\n")
        server.wait_logged("begun")
        with Terminal(server) as terminal:
            terminal.wait(b"running")
            terminal.press(b"1")
            terminal.wait(b"in burn")
            terminal.press(b"q")
            assert terminal.wait_ended() == 0


@TERMINAL
def test_ctrl_c_leaves_the_terminal_clean():
    with running("behaviors:app", workers=1) as server, Terminal(server) as terminal:
        terminal.wait(b"All is well")
        os.kill(terminal.process.pid, signal.SIGINT)
        assert terminal.wait_ended() == 0
        assert RESTORED in terminal.shown
        assert b"Traceback" not in terminal.shown


@TERMINAL
def test_it_ends_with_the_server():
    with running("behaviors:app", workers=1) as server, Terminal(server) as terminal:
        terminal.wait(b"All is well")
        assert server.stop() == 0
        assert terminal.wait_ended() == 1
        assert b"Error: The server has ended" in terminal.shown[terminal.shown.index(RESTORED) :]
