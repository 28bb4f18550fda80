"""Workers in processes: after any failure of one, the server and the other workers go on."""

import json
import os
import re
import resource
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support import NOT_ENDING, PATIENCE, RUNTIME, Client, Server, running, wait_until

pytestmark = [
    pytest.mark.skipif(RUNTIME != "process", reason="about processes"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
both_interfaces = pytest.mark.parametrize("app", ["dying:app", "dying:wsgi"])


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pids) -> None:
    wait_until(lambda: not any(map(alive, pids)), f"{pids} have ended")


def ask(client: Client, path: str) -> object:
    answer = client.request(path)
    assert answer.status == 200
    return json.loads(answer.body)


def send(client: Client, path: str) -> None:
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())


def where(server: Server, what: str, times: int = 1) -> int:
    """In which process the app said that it was doing something."""
    server.wait_logged(f"{what} in ", times)
    return int(re.findall(rf"{what} in (\d+)", server.err)[times - 1])


@contextmanager
def ended_afterwards(pids):
    """No process stays whatever the test finds."""
    try:
        yield
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


# -- one that dies ---------------------------------------------------------------------------------------------------


@both_interfaces
@pytest.mark.parametrize("path", ["/hold", "/begin-and-hold"])
def test_what_a_killed_worker_had_begun_fails_and_nothing_else(app, path):
    with running(app) as server, Client(server) as doomed, ExitStack() as stack:
        others = [stack.enter_context(Client(server)) for _ in range(6)]
        before = set(server.children())
        assert {ask(other, "/pid") for other in others} <= before
        send(doomed, path)
        victim = where(server, "holding")
        os.kill(victim, signal.SIGKILL)
        if path == "/hold":
            assert doomed.read().status == 500
        else:
            received = doomed.file.read()  # until the connection is closed
            assert b"begun" in received
            assert not received.endswith(b"0\r\n\r\n")
        server.wait_logged("ended unexpectedly: process")
        assert f"ended unexpectedly: process {victim} was ended by SIGKILL\n" in server.err
        server.wait_logged(" ready:", times=3)
        assert "starts now" in server.err
        for other in others:
            assert ask(other, "/pid") != victim
        assert victim not in server.children()
        assert len(server.children()) == 2
        assert server.stop() == 0


@both_interfaces
def test_what_a_killed_worker_had_not_begun_is_served_by_the_next(app):
    """The only worker is stopped, so that it takes nothing of what it is sent; then it is killed."""
    with running(app, workers=1) as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(20)]
        victim = ask(clients[0], "/pid")
        os.kill(victim, signal.SIGSTOP)
        for client in clients:
            send(client, "/pid")
        with Client(server) as late:
            late.send(b"nonsense\r\n\r\n")
            assert late.read().status == 400  # so what came before that has been read
        os.kill(victim, signal.SIGKILL)
        answers = [client.read() for client in clients]
        assert {answer.status for answer in answers} == {200}
        (successor,) = {json.loads(answer.body) for answer in answers}
        assert successor != victim
        assert server.stop() == 0


@both_interfaces
def test_workers_that_are_killed_under_load(app):
    """Again and again: each request is answered, at worst by 500, and each connection stays."""
    with running(app, "--no-access-log") as server:
        statuses: list[list[int]] = [[] for _ in range(6)]
        troubles: list[BaseException] = []
        enough = threading.Event()

        def load(mine: list[int]) -> None:
            try:
                with Client(server) as client:
                    while not enough.is_set():
                        mine.append(client.request("/pid").status)
            except BaseException as trouble:
                troubles.append(trouble)

        threads = [threading.Thread(target=load, args=(mine,)) for mine in statuses]
        for thread in threads:
            thread.start()
        try:
            for round in range(4):
                count = sum(map(len, statuses))
                wait_until(lambda: sum(map(len, statuses)) > count + 50 or troubles, "there is load")  # noqa: B023
                os.kill(server.children()[round % 2], signal.SIGKILL)
                server.wait_logged(" ready:", times=3 + round)
        finally:
            enough.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert troubles == []
        got = [status for mine in statuses for status in mine]
        assert set(got) <= {200, 500}
        assert got.count(500) <= 4 * len(threads)
        assert server.err.count("was ended by SIGKILL") == 4
        assert "Traceback" not in server.err
        assert server.stop() == 0


@both_interfaces
@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/segfault", "process {} was ended by SIGSEGV"),
        ("/exit7", "process {} exited with status 7"),
        ("/exit0", "without a word"),
    ],
)
def test_an_app_that_ends_its_process(app, path, how):
    with running(app) as server, Client(server) as client, Client(server) as other:
        before = set(server.children())
        assert ask(other, "/pid") in before
        assert client.request(path).status == 500
        server.wait_logged("ended unexpectedly: ")
        server.wait_logged(" ready:", times=3)
        (dead,) = before - set(server.children())
        assert f"ended unexpectedly: {how.format(dead)}\n" in server.err
        assert ("Segmentation fault" in server.err) is (path == "/segfault")
        assert ask(client, "/pid") != dead
        assert ask(other, "/pid") != dead
        assert server.stop() == 0


@both_interfaces
def test_a_killed_worker_whose_sockets_live_on_in_another_process(app):
    with running(app, workers=1) as server, Client(server) as client, Client(server) as doomed:
        victim = ask(client, "/pid")
        forked = ask(client, "/fork")
        with ended_afterwards([forked]):
            send(doomed, "/hold")
            server.wait_logged("holding")
            os.kill(victim, signal.SIGKILL)
            assert doomed.read().status == 500
            assert ask(client, "/pid") not in (victim, forked)
            assert alive(forked), "it ended early: this test tested nothing"
        assert server.stop() == 0


def test_a_worker_that_is_killed_while_it_starts(tmp_path):
    server = Server("dying:app", "--port", "0", "-n", "2", env={"IMPORT_WAITS_FOR": str(tmp_path / "never")})
    try:
        victim = where(server, "importing")
        os.kill(victim, signal.SIGKILL)
        assert server.wait_ended() == 3
        assert re.search(
            rf"^Error: worker \d ended before it was ready\nprocess {victim} was ended by SIGKILL$",
            server.err,
            re.MULTILINE,
        )
        assert "Traceback" not in server.err
    finally:
        server.kill()


def test_a_replacement_that_is_killed_while_it_starts(tmp_path):
    flag = tmp_path / "go"
    flag.touch()
    with (
        running("dying:app", workers=1, env={"IMPORT_WAITS_FOR": str(flag)}) as server,
        Client(server) as client,
    ):
        flag.unlink()
        os.kill(ask(client, "/pid"), signal.SIGKILL)
        send(client, "/pid")
        os.kill(where(server, "importing", 2), signal.SIGKILL)
        third = where(server, "importing", 3)
        flag.touch()
        assert json.loads(client.read().body) == third
        assert server.stop() == 0


def test_without_files_left_for_another_worker():
    with running("dying:app", workers=2) as server, Client(server) as client:
        victim = ask(client, "/pid")
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        os.kill(victim, signal.SIGKILL)
        server.wait_logged("can't be replaced yet: ")
        assert "Too many open files" in server.err
        assert "Traceback" not in server.err
        assert ask(client, "/pid") != victim
        assert server.stop() == 0


def test_a_program_that_is_gone_when_it_is_needed_again(tmp_path):
    """Python itself, here; but a system without processes left says the same."""
    program = tmp_path / "python"
    program.symlink_to(sys.executable)
    script = "import sys, snakepit\nsys.executable = sys.argv[1]\nsnakepit.run('dying:app', port=0, interpreters=2)\n"
    (tmp_path / "run.py").write_text(script)
    env = {"PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *sys.path[1:]])}
    server = Server(str(tmp_path / "run.py"), str(program), script=True, env=env)
    try:
        with Client(server.wait_listening(2)) as client:
            victim = ask(client, "/pid")
            program.unlink()
            os.kill(victim, signal.SIGKILL)
            server.wait_logged("can't be replaced yet: no process for worker")
            assert f"No such file or directory: {program}; " in server.err
            assert ask(client, "/pid") != victim
        assert server.stop() == 0
    finally:
        server.kill()


def test_no_process_can_be_started(tmp_path):
    (tmp_path / "run.py").write_text(
        "import sys, snakepit\nsys.executable = '/no/such/python'\nsnakepit.run('dying:app', port=0)\n"
    )
    server = Server(str(tmp_path / "run.py"), script=True)
    try:
        assert server.wait_ended() == 2
        assert re.search(r"^Error: no process for worker \d: No such file or directory: ", server.err, re.MULTILINE)
        assert "Traceback" not in server.err
    finally:
        server.kill()


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/pid", "/spin", "/spin-in-c"])
@both_interfaces
def test_no_worker_outlives_a_killed_server(app, path):
    with running(app, "--no-supervise") as server, Client(server) as client:
        pids = server.children()
        assert len(pids) == 2
        with ended_afterwards(pids):
            send(client, path)
            if path != "/pid":
                where(server, "spinning")
            server.process.kill()
            wait_gone(pids)


def test_no_worker_outlives_a_server_that_is_killed_while_they_start(tmp_path):
    waits = {"IMPORT_WAITS_FOR": str(tmp_path / "never")}
    server = Server("dying:app", "--no-supervise", "--port", "0", "-n", "2", env=waits)
    try:
        wait_until(server.children, "there is one: the first starts alone")
        pids = server.children()
        with ended_afterwards(pids):
            server.process.kill()
            wait_gone(pids)
            server.wait_ended()
            assert "Traceback" not in server.err
    finally:
        server.kill()


@both_interfaces
def test_a_signal_to_the_whole_group_lets_begun_requests_finish(app):
    with running(app) as server, Client(server) as client:
        pids = server.children()
        send(client, "/hold?1")
        where(server, "holding")
        for pid in (*pids, server.pid, server.process.pid):
            os.kill(pid, signal.SIGINT)
        assert client.read().body == b"held"
        assert server.wait_ended() == 0
        wait_gone(pids)
        assert "Traceback" not in server.err


def test_signals_do_not_keep_workers_from_starting():
    server = Server("dying:app", "--no-supervise", "--port", "0", "-n", "2")
    try:
        signalled = 0

        def ready() -> bool:
            nonlocal signalled
            for pid in server.children():
                for number in (signal.SIGINT, signal.SIGTERM):
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        continue
                    signalled += 1
            return server.err.count(" ready:") == 2 or server.process.poll() is not None

        wait_until(ready, "both workers are ready")
        assert signalled > 10
        assert server.get("/pid").status == 200
        assert server.stop() == 0
        assert "Traceback" not in server.err
    finally:
        server.kill()


@pytest.mark.parametrize(("app", "path"), [("dying:app", "/spin-in-c"), ("dying:wsgi", "/spin")])
def test_a_second_signal_leaves_no_worker_behind(app, path):
    with running(app) as server, Client(server) as client:
        pids = server.children()
        with ended_afterwards(pids):
            send(client, path)
            where(server, "spinning")
            server.process.send_signal(signal.SIGINT)
            server.wait_logged("Stopping")

            def again() -> bool:
                for pid in (server.pid, *pids):
                    try:
                        os.kill(pid, signal.SIGINT)
                    except ProcessLookupError:
                        pass
                return server.process.poll() is not None

            wait_until(again, "a later signal ends the server")
            assert server.wait_ended() == 128 + signal.SIGINT
            wait_gone(pids)


@pytest.mark.parametrize(("app", "path"), [("dying:app", "/spin-in-c"), ("dying:wsgi", "/spin-in-c")])
def test_a_worker_that_hangs_is_killed_past_the_limit(app, path):
    with running(app, "--timeout-graceful-shutdown", "0.2") as server, Client(server) as client:
        pids = server.children()
        with ended_afterwards(pids):
            send(client, path)
            where(server, "spinning")
            assert server.stop() == 0
            assert server.err.count(NOT_ENDING) == 1
            wait_gone(pids)


# -- what a worker has -----------------------------------------------------------------------------------------------


@both_interfaces
def test_the_app_gets_an_empty_standard_input(app):
    with running(app, workers=1) as server, Client(server) as client:
        assert ask(client, "/stdin") == ["", ""]


@pytest.mark.parametrize(("app", "ends"), [("dying:app", 1), ("dying:wsgi", 3)])
def test_workers_have_no_sockets_but_their_own(app, ends):
    """Neither the listening one, nor those of clients, nor those of other workers; what the app starts has none."""
    with running(app, "--threads", "3") as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(4)]
        os.kill(ask(clients[0], "/pid"), signal.SIGKILL)  # its successor starts while there are connections
        server.wait_logged(" ready:", times=3)
        listening = listening_socket(server.port)
        ours = sockets_of(server.pid)
        assert listening in ours
        first, second = map(sockets_of, server.children())
        assert not first & second
        for theirs in (first, second):
            assert listening not in theirs
            # the server keeps the other side of each channel, to see what was left in it; and one is for last words
            assert len(theirs & ours) == ends + 1
        assert ask(clients[0], "/child-sockets") == []


def sockets_of(pid: int) -> set[str]:
    links = (os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir())
    return {link for link in links if link.startswith("socket:")}


def listening_socket(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == "0A" and local.endswith(f":{port:04X}"):
            return f"socket:[{rest[5]}]"
    raise AssertionError(f"no process listens on {port}")


@both_interfaces
def test_replaced_workers_leave_no_files_and_no_zombies_behind(app):
    with running(app, workers=1) as server, Client(server) as client:

        def files() -> int:
            return len(os.listdir(f"/proc/{server.pid}/fd"))

        first = ask(client, "/pid")
        before = files()
        pids = [first]
        for _ in range(3):
            os.kill(pids[-1], signal.SIGKILL)
            pids.append(ask(client, "/pid"))
        assert len(set(pids)) == 4
        assert server.children() == pids[-1:]
        wait_until(lambda: files() == before, f"{before} files are open")
        assert server.stop() == 0
