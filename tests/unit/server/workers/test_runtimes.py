"""snakepit.server.workers.runtimes: workers in processes, as the thread that owns one sees it."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading

import pytest
from running_pools import APPS, settings_for
from waiting import PATIENCE

from snakepit.errors import ConfigError, WorkerLost
from snakepit.server.workers import runtimes
from snakepit.server.workers.runtimes import ProcessRuntime
from snakepit.wire.loop_ends import MainEnd

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SETTINGS = settings_for("json:missing", APPS, sys_path=sys.path, argv=[], interpreters=1, extensions="native")


@pytest.fixture
def runtime():
    made = ProcessRuntime(2)
    yield made
    made.kill()
    made.close(False)
    for channel in made.channels:
        channel.discard()


def said(runtime):
    """The kinds of what the worker said last."""

    async def hear():
        came = []
        end = MainEnd(runtime.channels[-1].main_carrier(), asyncio.get_running_loop(), came.extend)
        await end.open()
        await end.wait_ended()
        end.close()
        await end.wait_closed()
        return came

    return asyncio.run(hear())


def test_a_worker_runs_to_its_end_and_says_why(runtime):
    runtime.run(1, SETTINGS)
    failed, goodbye = said(runtime)
    assert "has no attribute 'missing'" in failed[3]
    assert goodbye[2] == []


def test_large_settings(runtime):
    runtime.run(1, SETTINGS | {"argv": ["x" * 1000] * 5000})
    assert "has no attribute 'missing'" in said(runtime)[0][3]


@pytest.mark.parametrize("argv", [[], ["x" * 1000] * 5000], ids=["small", "large"])
def test_a_process_that_ends_before_it_has_read_its_settings(runtime, monkeypatch, argv):
    monkeypatch.setattr(runtimes, "_IN_PROCESS", "raise SystemExit(9)")
    with pytest.raises(WorkerLost, match=r"process \d+ exited with status 9"):
        runtime.run(1, SETTINGS | {"argv": argv})


def test_settings_that_end_too_early(runtime):
    """The server has gone while it said them."""
    for told in (b"", b"10", b"10\n", b"10\n12345"):
        ended = subprocess.run([sys.executable, "-c", runtimes._IN_PROCESS], input=told, capture_output=True)
        assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM])
def test_a_system_that_has_no_process_left(runtime, monkeypatch, number):
    def popen(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", popen)
    before = signals_held_back()
    with pytest.raises(ConfigError, match=rf"no process for worker 1: {os.strerror(number)}; use fewer workers"):
        runtime.run(1, SETTINGS)
    assert signals_held_back() == before
    runtime.close(False)


def signals_held_back():
    return set() if sys.platform == "win32" else signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_one_that_is_killed_before_it_is_started_never_starts(runtime, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    assert runtime.kill() is True
    runtime.run(1, SETTINGS)


@POSIX
def test_one_that_is_killed_while_it_is_told_its_settings(runtime, monkeypatch):
    monkeypatch.setattr(runtimes, "_IN_PROCESS", "import time; print('up', flush=True); time.sleep(60)")
    trouble = []

    def own():
        try:
            runtime.run(1, SETTINGS | {"argv": ["x" * 1000] * 5000})  # more than the pipe holds
        except WorkerLost as error:
            trouble.append(str(error))

    thread = threading.Thread(target=own)
    thread.start()
    while runtime._process is None:
        assert thread.is_alive()
    runtime.kill()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert trouble == [f"process {runtime._process.pid} was ended by SIGKILL"]
    runtime.kill()  # which is harmless


@POSIX
@pytest.mark.parametrize("kind", [runtimes.ProcessRuntime, runtimes.InterpreterRuntime, runtimes.ThreadRuntime])
def test_what_was_made_before_the_files_ran_out_is_let_go(kind, monkeypatch):
    made = []

    def failing(make):
        def channel():
            if len(made) == 2:
                raise OSError(errno.EMFILE, "Too many open files")
            made.append(make())
            return made[-1]

        return channel

    monkeypatch.setattr(runtimes, "QueueChannel", failing(runtimes.QueueChannel))
    monkeypatch.setattr(runtimes, "SocketChannel", failing(runtimes.SocketChannel))
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="Too many open files"):
        kind(4)
    assert len(made) == 2
    assert sorted(os.listdir("/dev/fd")) == before
