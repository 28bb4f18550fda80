"""snakepit.server.operate.program_end: how a program ends, and that servers are stopped before it does."""

import subprocess
import sys
import textwrap

import pytest

from snakepit.server.operate.program_end import servers, serving, status_of

PATIENCE = 60


def run(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SystemExit(), 0),
        (SystemExit(None), 0),
        (SystemExit(0), 0),
        (SystemExit(7), 7),
        (SystemExit(True), 1),
        (SystemExit(""), 1),
        (SystemExit("some text"), 1),
        (SystemExit(3, 4), 1),
        (RuntimeError(), 1),
        (KeyboardInterrupt(), -2),
    ],
)
def test_the_status_of_a_program_that_raises(error, status):
    assert status_of(error) == status


WATCHED = """
import atexit, sys, threading
from snakepit.server.operate.program_end import STATUS

STATUS.watch()
threading._register_atexit(STATUS.freeze)
atexit.register(lambda: (print("left"), STATUS.leave()))

def caught():
    try:
        sys.exit(99)
    except SystemExit:
        pass

caught()
thread = threading.Thread(target=sys.exit, args=(98,))
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("raise SystemExit(300)", 300 & 0xFF),
        ("sys.exit('some text')", 1),
        ("1 / 0", 1),
        ("import runpy; runpy.run_module('no_such_module')", 1),
        ("raise KeyboardInterrupt", -2),
    ],
)
def test_the_status_is_known_before_the_end(end, status):
    done = run(WATCHED + end)
    assert (done.returncode, done.stdout) == (status, "left\n")


def test_what_exit_handlers_raise_does_not_change_it():
    done = run(WATCHED + "atexit.register(sys.exit, 5)\n" + "sys.exit(4)")
    assert done.returncode == 4


def test_without_a_free_tool_it_is_guessed():
    take = "import sys\nfor tool in (3, 4): sys.monitoring.use_tool_id(tool, 'another')\n"
    assert run(take + WATCHED).returncode == 0
    assert run(take + WATCHED + "1 / 0").returncode == 1


FAKE = """
import asyncio, atexit, sys, threading, time
from snakepit.server.operate.program_end import serving

class Fake:
    def __init__(self, stops=True):
        self.begun, self.asked, self.stops = threading.Event(), threading.Event(), stops

    def stop_at_once(self):
        sys.stdout.write("asked\\n")
        self.asked.set()
        return self.stops

    def release(self):
        pass

def serve(fake):
    with serving(fake, watch_status=False) as in_time:
        sys.stdout.write(f"serves {in_time}\\n")
        fake.begun.set()
        if in_time:
            fake.asked.wait(60)
            time.sleep(0.1)
        sys.stdout.write("ended\\n")

atexit.register(print, "exit handler", flush=True)
"""


def test_a_server_in_a_daemon_thread_is_stopped_and_waited_for():
    code = """
    fake = Fake()
    threading.Thread(target=serve, args=(fake,), daemon=True).start()
    fake.begun.wait()
    """
    done = run(FAKE + textwrap.dedent(code))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["serves True", "asked", "ended", "exit handler"])


def test_one_in_an_ordinary_thread_goes_on():
    code = """
    fake = Fake()
    threading.Timer(0.5, fake.asked.set).start()
    threading.Thread(target=serve, args=(fake,)).start()
    """
    done = run(FAKE + textwrap.dedent(code))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["serves True", "ended", "exit handler"])


def test_the_limit_holds_for_all_together():
    code = """
    import snakepit.server.operate.program_end as program_end
    program_end.STOP_SECONDS = 0.5
    class Deaf(Fake):
        def stop_at_once(self):
            return True
    for _ in range(3):
        threading.Thread(target=serve, args=(Deaf(),), daemon=True).start()
    while len(program_end.servers()) < 3: time.sleep(0.01)
    began = time.monotonic()
    atexit.register(lambda: print(time.monotonic() - began < 5))
    """
    done = run(FAKE + textwrap.dedent(code))
    assert done.stdout.splitlines() == [*["serves True"] * 3, "True", "exit handler"]


def test_too_late_to_begin():
    code = """
    threading._register_atexit(lambda: serve(Fake()))
    threading._register_atexit(lambda: None)
    """
    done = run(FAKE + textwrap.dedent(code))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["serves False", "ended", "exit handler"])


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_a_forked_process_leaves_its_parents_servers_alone():
    code = """
    import os, warnings
    warnings.simplefilter("ignore")
    fake = Fake()
    threading.Thread(target=serve, args=(fake,), daemon=True).start()
    fake.begun.wait()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = run(FAKE + textwrap.dedent(code))
    assert done.stdout.splitlines() == ["serves True", "exit handler", "7", "asked", "ended", "exit handler"]


def test_which_servers_there_are():
    one = object()
    assert servers() == []
    with serving(one, watch_status=False) as in_time:
        assert in_time
        assert servers() == [one]
    assert servers() == []
