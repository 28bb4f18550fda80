"""Runs the real server like its users, in a process of its own, and talks to it over real sockets."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import PATIENCE, wait_until

APPS = Path(__file__).parent.parent / "apps"


RUNTIME = os.environ.get("SNAKEPIT_RUNTIME", "interpreter")
"""The runtime: the environment variable is the server's own, so that all of these tests can run with each."""

SEVERAL = {"interpreter": "interpreters", "process": "processes", "thread": "threads"}[RUNTIME]

ONE_RUNTIME = pytest.mark.skipif(RUNTIME != "interpreter", reason="has nothing to do with what workers run in")

NEEDS_TWO_WORKERS = pytest.mark.skipif(RUNTIME == "thread", reason="the main interpreter has one worker")

NOT_ENDING = {
    "interpreter": "does not end; its thread is left to itself",
    "process": "does not end; it is killed",
    "thread": "does not end; its thread is left to itself",
}[RUNTIME]
"""The log line about a worker that does not end when it is told to."""


def workers_of(count: int) -> int:
    """Return how many workers there are if so many are requested."""
    return 1 if RUNTIME == "thread" else count


def how_many(count: int) -> str:
    """Return the log's words for so many workers."""
    count = workers_of(count)
    return f"{count} {RUNTIME if count == 1 else SEVERAL}"


def alone(folder: Path | str) -> dict[str, str]:
    """The environment in which servers and commands find each other in this folder, and none elsewhere.

    Servers have their entries in the session's folder or in the one for temporary files; commands look into both.
    """
    return dict.fromkeys(("XDG_RUNTIME_DIR", "TMPDIR", "LOCALAPPDATA"), str(folder))


def run_command(
    *arguments: str, cwd: Path | str, env: dict[str, str], timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run a command of Snakepit, and return what it printed and its status."""
    return subprocess.run(
        [sys.executable, "-m", "snakepit", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )


ROUNDS = 20
"""Requests in a row that are answered before a value counts as settled: each takes several turns of the server's loop
and of the worker, on a fast server and on a slow machine."""


def settle(server: "Server", value: Callable[[], int], most: int) -> int:
    """Wait until a value stops growing while the server answers other requests; returns it. It may not be `most`."""
    last, rounds = value(), 0
    while rounds < ROUNDS:
        assert server.get("/").status == 200
        now = value()
        assert now < most
        last, rounds = now, rounds + 1 if now == last else 0
    return last


def send_until_stopped(server: "Server", sock: socket.socket, piece: bytes, most: int) -> tuple[int, bytes]:
    """Send a piece over and over, until no more of it is read while the server answers other requests.

    Returns how many bytes were sent, which may not be `most`, and what is left of the last piece.
    """
    sock.setblocking(False)
    sent, rest, rounds = 0, piece, 0
    while rounds < ROUNDS:
        try:
            count = sock.send(rest)
        except BlockingIOError:
            assert server.get("/").status == 200
            rounds += 1
        else:
            sent, rest, rounds = sent + count, rest[count:] or piece, 0
            assert sent < most
    sock.settimeout(PATIENCE)
    return sent, rest


class Server:
    """A running `snakepit run`, and what it printed."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path = APPS,
        env: dict[str, str] | None = None,
        script: bool = False,
        python: Path | str = sys.executable,
        group: bool = False,  # whether its processes are a group of their own, as a shell has it
        shell: str = "",  # what a POSIX shell does before it becomes the server, and how, as in 'exec "$@" 2>&-'
    ) -> None:
        command = [python, *(() if script else ("-m", "snakepit", "run")), *arguments]
        if shell:
            command = ["sh", "-c", shell, "sh", *command]
        # what servers that were killed have left may still change while it is removed
        self._folder = tempfile.TemporaryDirectory(prefix="snakepit-e2e-", ignore_cleanup_errors=True)
        self.cwd = cwd
        self.env = {**os.environ, **alone(self._folder.name), **(env or {})}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            process_group=0 if group else None,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._out: list[str] = []
        self._err: list[str] = []
        self._threads = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _collect(stream, lines: list[str]) -> None:
        for line in stream:
            lines.append(line)
        stream.close()

    @property
    def out(self) -> str:
        return "".join(self._out)

    @property
    def err(self) -> str:
        return "".join(self._err)

    @property
    def pid(self) -> int:
        """The process that serves now: a child of `process`, if that is a supervisor."""
        found = re.findall(r", process (\d+)$", self.err, re.MULTILINE)
        return int(found[-1]) if found else self.process.pid

    @property
    def address(self) -> str:
        match = re.search(r"Listening on ([^\s,]+)", self.err)
        assert match is not None, f"not listening:\n{self.err}"
        return match[1]

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def wait_listening(self, workers: int = 1, patience: float = PATIENCE) -> "Server":
        def listening() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.err}"
            return "Listening on" in self.err and self.err.count(" ready:") >= workers_of(workers)

        wait_until(listening, "the server listens", patience)
        return self

    def wait_logged(self, text: str, times: int = 1) -> None:
        try:
            wait_until(lambda: self.err.count(text) + self.out.count(text) >= times, f"{text!r} is logged")
        except AssertionError:
            raise AssertionError(f"{text!r} not logged {times} times:\n{self.err}\n{self.out}") from None

    def wait_ended(self, patience: float = PATIENCE) -> int:
        status = self.process.wait(patience)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._folder.cleanup()
        return status

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `snakepit status` or the like, where this server is found."""
        return run_command(*arguments, cwd=self.cwd, env=self.env, timeout=3 * PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait_ended()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            if self.pid != self.process.pid:
                try:
                    os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # it would take long otherwise
                except OSError:
                    pass
        self.wait_ended()

    def rss(self) -> int:
        """Resident bytes of the server and its workers, on Linux."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (self.pid, *self.children()))
        return pages * os.sysconf("SC_PAGE_SIZE")

    def children(self) -> list[int]:
        """The processes that the server has started and not seen end, on Linux."""
        return children_of(self.pid)

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def exchange(self, request: bytes) -> bytes:
        """Send bytes and read until the server closes."""
        with self.connect() as sock:
            sock.sendall(request)
            return read_all(sock)

    def get(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> "Answer":
        """One request on a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close", *headers]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return Answer(self.exchange("\r\n".join([*lines, "", ""]).encode("latin-1") + body), method == "HEAD")


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and not seen end, on Linux."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            pass  # the thread has ended meanwhile
    return sorted(found)


def gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def read_all(sock: socket.socket) -> bytes:
    received = []
    while piece := sock.recv(65536):
        received.append(piece)
    return b"".join(received)


class Held:
    """Requests that apps hold until they are to be answered: what a test does meanwhile may take its time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "answer"
        self.query = str(self._file)

    def request(self, path: str = "/hold") -> bytes:
        return f"GET {path}?{self.query} HTTP/1.1\r\nHost: test\r\n\r\n".encode()

    def release(self) -> None:
        self._file.touch()


class Client:
    """A keep-alive connection that reads one response at a time."""

    def __init__(self, server: Server) -> None:
        self.sock = server.connect()
        self.file = self.sock.makefile("rb")

    def send(self, request: bytes) -> None:
        self.sock.sendall(request)

    def request(self, path: str, method: str = "GET", body: bytes = b"") -> "Answer":
        self.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return self.read(method == "HEAD")

    def read_head(self) -> "Answer":
        """Read only the head of a response."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                raise ConnectionResetError(f"closed after {head!r}")
            head += line
        return Answer(head, True)

    def read(self, is_head: bool = False) -> "Answer":
        answer = self.read_head()
        if is_head or answer.status in (204, 304) or answer.status < 200:
            return answer
        if "content-length" in answer.headers:
            answer.body = self.file.read(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            answer.body = self._chunked()
        else:
            answer.body = self.file.read()
        return answer

    def _chunked(self) -> bytes:
        body = b""
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("the connection was broken off in a response")
            size = int(line, 16)
            body += self.file.read(size)
            assert self.file.readline() == b"\r\n"
            if not size:
                return body

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Answer:
    """A response as it came over the wire."""

    def __init__(self, raw: bytes, bodyless: bool = False) -> None:
        self.raw = raw
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), f"no response: {raw[:200]!r}"
        self.status = int(first.split(" ")[1])
        self.fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.headers = dict(self.fields)
        self.body = rest
        if not bodyless and self.headers.get("transfer-encoding") == "chunked":
            self.body = dechunk(rest)

    @property
    def text(self) -> str:
        return self.body.decode()


def dechunk(data: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise ValueError("the chunked body is incomplete")
        count = int(data[at:end], 16)
        if count == 0:
            return b"".join(pieces)
        pieces.append(data[end + 2 : end + 2 + count])
        at = end + 2 + count + 2


class Load:
    """Keep-alive connections that ask again and again, each in a thread, until the block ends."""

    def __init__(self, server, connections=8, path="/", may_close=False):
        self.server = server
        self.may_close = may_close  # the server may say that it closes a connection; the next request takes another
        self.path = path
        self.answers = 0
        self.troubles = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(connections)]

    def _ask(self):
        try:
            while not self._over.is_set():
                with Client(self.server) as client:
                    self._ask_on(client)
        except Exception as error:  # the test must learn of it
            self.troubles.append(repr(error))

    def _ask_on(self, client):
        while not self._over.is_set():
            answer = client.request(self.path)
            closes = "connection" in answer.headers
            if answer.status != 200 or (closes and not self.may_close):
                self.troubles.append(answer.raw)
            self.answers += 1  # a few may be lost between threads; it only has to grow
            if closes:
                break

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count=200):
        before = self.answers
        wait_until(lambda: self.answers > before + count or self.troubles, "requests are answered")


@contextmanager
def running(*arguments: str, workers: int = 2, **options) -> Iterator[Server]:
    """Run a server on a free port, which is stopped at the end in every case."""
    server = Server(*arguments, "--port", "0", "--interpreters", str(workers), **options)
    try:
        yield server.wait_listening(workers)
    finally:
        server.kill()


BROKEN = "def app(<script>:\n"
"""A module that can't be imported, whose error looks like HTML."""


@contextmanager
def reloading(folder, *arguments, ready=2):
    server = Server("site_app:app", "--reload", "--port", "0", "-n", "2", *arguments, cwd=folder)
    try:
        server.wait_listening(ready)
        server.wait_logged("Watching")
        yield server
    finally:
        server.kill()
