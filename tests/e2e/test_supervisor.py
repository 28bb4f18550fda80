"""The supervisor: what happens when the server process ends, and when another one takes over."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
from support import APPS, PATIENCE, RUNTIME, Client, Load, Server, children_of, gone, running, wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    pytest.mark.skipif(RUNTIME == "thread", reason="has no supervisor"),
]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ONE_PROCESS = pytest.mark.skipif(RUNTIME == "process", reason="there a worker dies, not the server")


def server_process(server, other_than=0):
    """The process that serves now, once it listens."""
    wait_until(lambda: server.pid != other_than and server.err.count("Listening on") >= processes(server), "it listens")
    return server.pid


def processes(server):
    return server.err.count("Snakepit ")


# -- the server process dies -----------------------------------------------------------------------------------------


@LINUX
def test_a_killed_server_process_is_started_again():
    with running("behaviors:app") as server:
        first = server.pid
        assert first != server.process.pid
        assert server.get("/").status == 200
        os.kill(first, signal.SIGKILL)
        assert server.get("/").status == 200  # its connection waited in the backlog
        second = server_process(server, first)
        assert second != first
        assert f"The server process {first} was ended by SIGKILL; another one starts now" in server.err
        assert [pid for pid in children_of(server.process.pid) if pid != second] == []
        assert server.stop() == 0


@ONE_PROCESS
@pytest.mark.parametrize("app", ["dying:app", "dying:wsgi"])
@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/segfault", "was ended by SIGSEGV"),
        ("/exit7", "exited with status 7"),
        ("/exit0", "exited with status 0"),
    ],
)
def test_an_app_that_ends_the_process(app, path, how):
    with running(app) as server:
        first = server.pid
        with Client(server) as bystander, Client(server) as client:
            bystander.send(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n")
            server.wait_logged("holding")
            for broken in (lambda: client.request(path), bystander.read):
                with pytest.raises(ConnectionError):
                    broken()
        assert json.loads(server.get("/pid").body) == server_process(server, first)
        assert f"The server process {first} {how}; another one starts now" in server.err
        if path == "/segfault":
            assert "Fatal Python error: Segmentation fault" in server.err
            assert "in segfault" in server.err  # the app's function
        assert server.stop() == 0


BLOCKING = """
import logging, signal, sys, threading

class Blocking(logging.Handler):
    # like a handler that sends its records to a server that does not read them
    def emit(self, record):
        path = record.getMessage()
        if "/deaf" in path:
            signal.signal(signal.SIGABRT, signal.SIG_IGN)
        if "/hang" in path:
            print("hangs", file=sys.stderr, flush=True)
            threading.Event().wait()
"""

LOGGED = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-8s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "far": {"class": "blocking.Blocking"},
    },
    "loggers": {"snakepit.access": {"handlers": ["far"], "propagate": False}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}


@pytest.mark.parametrize("path", ["/hang", "/hang/deaf"])
def test_a_server_process_that_hangs_is_started_again(tmp_path, path):
    (tmp_path / "blocking.py").write_text(BLOCKING, encoding="utf-8")
    (tmp_path / "log.json").write_text(json.dumps(LOGGED), encoding="utf-8")
    options = "--log-config", str(tmp_path / "log.json"), "--timeout-worker-healthcheck", "5"
    with running("behaviors:app", *options, env={"PYTHONPATH": str(tmp_path)}) as server:
        first = server.pid
        with server.connect() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            server.wait_logged("hangs")
        with server.connect() as waiting:
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            server.wait_logged(f"The server process {first} has not answered for 5 s: its event loop hangs")
            second = server_process(server, first)
            assert waiting.recv(100).startswith(b"HTTP/1.1 200")
        how = "SIGKILL" if path == "/hang/deaf" else "SIGABRT"
        assert f"The server process {first} was ended by {how}; another one starts now" in server.err
        assert ("blocking.py" in server.err) == (how == "SIGABRT")  # where it hangs
        assert ("in emit" in server.err) == (how == "SIGABRT")
        assert gone(first)
        assert server.pid == second
        assert json.loads(server.command("status", "--pid", str(server.process.pid), "--json").stdout)["restarts"] == 1
        assert server.stop() == 0


def test_a_server_process_that_serves_is_not_ended():
    """A supervisor and a server that have much to do, for longer than it takes to be found hung."""
    with running("behaviors:app", "--timeout-worker-healthcheck", "2") as server, Load(server, connections=2) as load:
        first = server.pid
        began = time.monotonic()
        while time.monotonic() - began < 6:
            load.wait_for_more()
        assert server.pid == first
        assert "has not answered" not in server.err


QUICKLY = "import sys; sys.argv[0] = 'snakepit'; import snakepit.supervisor.restarts as r; r.FIRST_DELAY = {delay}; "
QUICKLY += "from snakepit.__main__ import main; main()"


def with_delay(delay, *arguments, **options):
    """The command, whose supervisor waits less, or more, before it starts a process once more."""
    return Server("-c", QUICKLY.format(delay=delay), "run", *arguments, "--port", "0", script=True, **options)


@ONE_PROCESS
def test_a_crash_loop_ends(tmp_path):
    (tmp_path / "doomed.py").write_text(DOOMED, encoding="utf-8")
    server = with_delay(0.001, "doomed:app", "--interpreters", "1", cwd=tmp_path)
    try:
        assert server.wait_ended() == 3
        assert processes(server) == 10
        assert "10 in a row ended within seconds; giving up." in server.err
        assert "--runtime process" in server.err
    finally:
        server.kill()


DOOMED = """
import os, signal, threading

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]

threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
"""


@ONE_PROCESS
def test_stopped_while_the_next_attempt_waits(tmp_path):
    (tmp_path / "doomed.py").write_text(DOOMED, encoding="utf-8")
    server = with_delay(60, "doomed:app", "--interpreters", "1", cwd=tmp_path)
    try:
        server.wait_logged("another one starts in 60.0 s")
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no_such_module:app"], 3, "No module named 'no_such_module'"),
        (["behaviors:app", "--interpreters", "many"], 2, "Invalid value"),
        (["behaviors:app", "--fd", "999"], 2, "file descriptor 999 is not a socket"),
    ],
)
def test_what_can_not_start_is_not_tried_again(arguments, status, message):
    server = Server(*arguments)
    try:
        assert server.wait_ended() == status
        assert message in server.err
        assert processes(server) <= 1
    finally:
        server.kill()


def test_without_supervisor():
    with running("behaviors:app", "--no-supervise") as server:
        assert server.pid == server.process.pid
        server.process.send_signal(signal.SIGUSR2)
        server.wait_logged("only the supervisor can start another process, and this server has none: nothing changes")
        assert server.stop() == 0


def test_without_supervisor_by_environment():
    with running("behaviors:app", env={"SNAKEPIT_SUPERVISE": "off"}) as server:
        assert server.pid == server.process.pid
        assert server.stop() == 0


@LINUX
@pytest.mark.parametrize("options", [(), ("--supervise",)], ids=["at-once", "after-the-options-were-parsed"])
def test_the_supervisor_is_small(options):
    with running("behaviors:app", *options) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        own = int(status.split("RssAnon:")[1].split()[0]) * 1024  # what is mapped from files, others have as well
        assert own < 7_000_000


def test_a_server_whose_supervisor_is_killed_ends_gracefully(held):
    with running("behaviors:app") as server, Client(server) as client:
        client.send(held.request())
        server.wait_logged("holding")
        first = server.pid
        server.process.kill()
        server.process.wait()
        server.wait_logged("The supervisor has gone")
        server.wait_logged("Stopping")
        held.release()
        assert client.read().status == 200
        wait_until(lambda: gone(first), "the server process ends")


# -- signals ---------------------------------------------------------------------------------------------------------


def test_a_signal_to_all_processes_counts_once(held):
    """As a terminal sends Ctrl+C, and systemd SIGTERM."""
    with running("behaviors:app") as server, Client(server) as client:
        client.send(held.request())
        server.wait_logged("holding")
        for pid in (server.pid, server.process.pid):
            os.kill(pid, signal.SIGTERM)
        server.wait_logged("Stopping")
        held.release()
        assert client.read().status == 200
        assert server.wait_ended() == 0


def test_a_signal_to_the_server_process_alone_ends_both():
    with running("behaviors:app") as server:
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_ended() == 0
        assert processes(server) == 1


def test_a_second_signal(held):
    with running("behaviors:app") as server, Client(server) as client:
        client.send(held.request())
        server.wait_logged("holding")
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.wait_ended() == 128 + signal.SIGINT
        assert "Stopped at once by a second signal" in server.err


def stopped(pid):
    """Whether each thread of a process has stopped."""
    states = [
        task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


@LINUX
def test_a_second_signal_to_a_server_that_hangs():
    with running("behaviors:app") as server:
        hung = server.pid
        os.kill(hung, signal.SIGSTOP)
        try:
            wait_until(lambda: stopped(hung), "the process has stopped: its threads run on for a moment")
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)  # another one, which is no echo
            assert server.wait_ended() == 128 + signal.SIGKILL
        finally:
            if not gone(hung):
                os.kill(hung, signal.SIGKILL)


def test_signals_for_workers_are_passed_on():
    with running("behaviors:app") as server:
        server.process.send_signal(signal.SIGTTIN)
        server.wait_logged("Worker 3 ready")
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert server.err.count(" ready:") == 6
        assert server.stop() == 0


@LINUX
def test_signals_to_all_processes_count_once():
    """As `systemctl kill` sends them, also to workers' processes."""
    with running("behaviors:app") as server, Load(server, may_close=True) as load:
        first = server.pid
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2):
            for pid in (*children_of(server.pid), server.pid, server.process.pid):
                os.kill(pid, number)
        server_process(server, first)
        wait_until(lambda: gone(first), "the process before ends")
        load.wait_for_more()
        assert "ended unexpectedly" not in server.err
        assert load.troubles == []
    assert server.err.count("Handed over") == 1


def test_a_terminal_that_is_closed(tmp_path):
    """Ends the server, though the same signal reloads it otherwise."""
    controller, terminal = os.openpty()
    log = tmp_path / "log"
    command = [sys.executable, "-m", "snakepit", "run", "behaviors:app", "--port", "0", "--interpreters", "1"]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, cwd=APPS, stdin=terminal, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        os.close(terminal)
        wait_until(lambda: "Listening" in log.read_text(), "it listens")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Reloaded" in log.read_text(), "it reloads")
        os.close(controller)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@LINUX
@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="makes a PID namespace")
def test_as_process_1():
    """In a container: it reaps orphans, and ends when it is told to."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-m", "snakepit", "run"]
    process = subprocess.Popen(
        [*command, "dying:wsgi", "--port", "0", "--interpreters", "1", "--app-dir", str(APPS)],
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")))
    reading.start()
    try:
        wait_until(lambda: "Listening" in "".join(lines), "it listens")
        (first,) = children_of(process.pid)  # process 1 there
        (serving,) = children_of(first)
        orphan = subprocess.Popen(
            ["nsenter", "--target", str(first), "--pid", "--mount", "sh", "-c", "(sleep 0.2; exit 5) & exit 0"]
        )
        orphan.wait()
        os.kill(serving, signal.SIGKILL)
        wait_until(lambda: "".join(lines).count("Listening") == 2, "another one serves")
        wait_until(lambda: len(children_of(first)) == 1, "nothing but the server process is left")
        os.kill(first, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stderr.close()


# -- hand-over -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_hand_over_under_load(app):
    with running(app, "--no-access-log") as server:
        with Load(server, may_close=True) as load:
            for _ in range(3):
                former = server.pid
                load.wait_for_more()
                server.process.send_signal(signal.SIGUSR2)
                server_process(server, former)
                wait_until(lambda former=former: gone(former), "the process before ends")
            load.wait_for_more()
        assert load.troubles == []
        assert server.err.count("Handed over to process") == 3
        assert server.stop() == 0


def test_hand_over_while_a_request_is_in_progress(held):
    with running("behaviors:app") as server, Client(server) as client:
        former = server.pid
        client.send(held.request())
        server.wait_logged("holding")
        server.process.send_signal(signal.SIGUSR2)
        server_process(server, former)
        server.wait_logged("Handed over to process")
        held.release()
        answer = client.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        wait_until(lambda: gone(former), "the process before ends")
        assert server.get("/").status == 200
        assert server.stop() == 0


def test_an_idle_connection_survives_a_hand_over():
    """Until its next request, which is the last one on it; or its keep-alive time is over."""
    with running("behaviors:app", "--timeout-keep-alive", "60") as server, Client(server) as client:
        assert "connection" not in client.request("/").headers
        former = server.pid
        server.process.send_signal(signal.SIGUSR2)
        server.wait_logged("Handed over to process")
        server_process(server, former)
        answer = client.request("/")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        wait_until(lambda: gone(former), "the process before ends")
        assert server.stop() == 0


def test_hand_over_to_an_app_that_can_not_start(tmp_path):
    module = tmp_path / "changing.py"
    good = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'good']\n"
    module.write_text(good, encoding="utf-8")
    with running("changing:app", cwd=tmp_path) as server:
        first = server.pid
        module.write_text("1 / 0\n", encoding="utf-8")
        with Load(server) as load:
            server.process.send_signal(signal.SIGUSR2)
            server.wait_logged("Not handed over to another process: the new server process exited with status 3")
            load.wait_for_more()
        assert load.troubles == []
        assert "ZeroDivisionError" in server.err
        assert not gone(first)
        module.write_text(good, encoding="utf-8")
        server.process.send_signal(signal.SIGUSR2)
        server.wait_logged("Handed over to process")
        assert server.stop() == 0


SLOW = """
import os, time
from pathlib import Path
while Path("hold").exists():
    time.sleep(0.01)
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@ONE_PROCESS
def test_the_server_process_dies_while_another_is_about_to_take_over(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with running("slow:app", cwd=tmp_path) as server:
        first = server.pid
        (tmp_path / "hold").touch()
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.pid != first, "the new process starts")
        os.kill(first, signal.SIGKILL)
        server.wait_logged("takes over")
        (tmp_path / "hold").unlink()
        assert int(server.get("/").body) == server_process(server, first)
        assert server.stop() == 0


@ONE_PROCESS
def test_stopped_while_another_process_is_about_to_take_over(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with running("slow:app", "--timeout-graceful-shutdown", "1", cwd=tmp_path) as server:
        first = server.pid
        (tmp_path / "hold").touch()
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.pid != first, "the new process starts")
        assert server.stop() == 0
        assert gone(first)
        assert gone(server.pid)


@ONE_PROCESS
def test_a_newer_hand_over_takes_the_place_of_one_that_hangs(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    with running("slow:app", "--timeout-graceful-shutdown", "1", cwd=tmp_path) as server:
        first = server.pid
        (tmp_path / "hold").touch()
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.pid != first, "the new process starts")
        second = server.pid
        (tmp_path / "slow.py").write_text(SLOW.replace("hold", "never"), encoding="utf-8")
        server.process.send_signal(signal.SIGUSR2)
        server.wait_logged("Handed over to process")
        wait_until(lambda: gone(first) and gone(second), "the others end")
        assert int(server.get("/").body) == server.pid
        assert server.stop() == 0


def test_a_unix_socket_is_handed_over(tmp_path):
    path = tmp_path / "sock"
    server = Server("behaviors:app", "--uds", str(path), "--interpreters", "1").wait_listening()
    try:
        for _ in range(2):
            former = server.pid
            server.process.send_signal(signal.SIGUSR2)
            server_process(server, former)
            wait_until(lambda former=former: gone(former), "the process before ends")
            with closing(socket.socket(socket.AF_UNIX)) as client:
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
        os.kill(server.pid, signal.SIGKILL)
        server_process(server, server.pid)
        assert path.exists()
        assert server.stop() == 0
        assert not path.exists()
    finally:
        server.kill()


def test_a_process_that_never_takes_over_leaves_the_unix_socket_alone(tmp_path):
    """Neither one that can't start, nor one that is stopped for a newer one."""
    path, module = tmp_path / "sock", tmp_path / "slow.py"
    module.write_text(SLOW, encoding="utf-8")
    server = Server("slow:app", "--uds", str(path), "--interpreters", "1", cwd=tmp_path).wait_listening()

    def is_answered():
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")

    try:
        module.write_text("1 / 0", encoding="utf-8")
        server.process.send_signal(signal.SIGUSR2)
        server.wait_logged("Not handed over to another process")
        assert is_answered()

        module.write_text(SLOW, encoding="utf-8")
        (tmp_path / "hold").touch()
        first = server.pid
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.pid != first, "a process starts")
        second = server.pid
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.pid != second, "a newer one starts")
        (tmp_path / "hold").unlink()
        server.wait_logged("Handed over to process")
        wait_until(lambda: gone(second), "the one that was not wanted any more ends")
        assert is_answered()
        assert server.stop() == 0
        assert not path.exists()
    finally:
        server.kill()


# -- systemd ---------------------------------------------------------------------------------------------------------

ACTIVATED = """
import os, sys
os.dup2({descriptor}, 3, inheritable=True)
os.environ |= dict(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "snakepit", "run", *sys.argv[1:]])
"""


@pytest.mark.parametrize("supervised", [True, False])
def test_sockets_of_systemd(supervised):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        descriptor, port = listening.fileno(), listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATED.format(descriptor=descriptor), "behaviors:app", "--interpreters", "1"]
            + ([] if supervised else ["--no-supervise"]),
            cwd=APPS,
            pass_fds=[descriptor],
        )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:  # waits in the backlog
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@contextmanager
def hearing(manager):
    """Read all notifications, as systemd does; gives what waits for one."""
    heard = SimpleQueue()

    def listen():
        while (message := manager.recv(200)) != b"end":
            heard.put(message.decode().partition("\n")[0])

    def hear(until):
        while heard.get(timeout=PATIENCE) != until:
            pass

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        yield hear
    finally:
        manager.sendto(b"end", manager.getsockname())
        listening.join()


@pytest.mark.parametrize("supervised", [True, False])
def test_a_manager_that_does_not_listen(supervised, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000"}
        with running("behaviors:app", *([] if supervised else ["--no-supervise"]), env=env) as server:
            for _ in range(300):
                assert server.get("/").status == 200
            assert server.stop() == 0


@pytest.mark.parametrize("supervised", [True, False])
def test_notifications_to_systemd(supervised, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        options = [] if supervised else ["--no-supervise"]
        with hearing(manager) as hear, running("behaviors:app", *options, env=env) as server:
            hear("READY=1")
            hear("WATCHDOG=1")
            server.process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            hear("WATCHDOG=1")
            if supervised:
                os.kill(server.pid, signal.SIGKILL)
                hear("READY=1")
                hear("WATCHDOG=1")
            assert server.stop() == 0
            hear("STOPPING=1")
