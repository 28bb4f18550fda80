"""snakepit.server.signals: handlers in this process, and what ends a process in one of its own."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from waiting import PATIENCE

from snakepit.server.signals import STOP_SIGNALS, Stops, handle_signals


class Calls:
    """Keeps what was called."""

    def __init__(self):
        self.stops = 0
        self.exits = []

    def stop(self):
        self.stops += 1


def handlers():
    return [signal.getsignal(number) for number in STOP_SIGNALS]


def test_which():
    assert {signal.SIGINT, signal.SIGTERM} <= set(STOP_SIGNALS)


@pytest.mark.parametrize(
    ("news", "stops", "exits"),
    [
        ([("own", 2)], 1, []),
        ([("told", 2, 1)], 1, []),
        ([("own", 2), ("told", 2, 1)], 1, []),  # a terminal's Ctrl+C reaches supervisor and server
        ([("told", 2, 1), ("own", 2)], 1, []),
        ([("told", 15, 1), ("told", 15, 2)], 1, [15]),
        ([("told", 15, 1), ("own", 15), ("told", 2, 2)], 1, [2]),
        ([("own", 2), ("own", 15), ("told", 15, 2)], 1, [15]),
        ([("told", 2, 2)], 0, [2]),
    ],
)
def test_signals_to_the_server_and_to_its_supervisor_are_the_same_ones(news, stops, exits):
    calls = Calls()
    counted = Stops(calls.stop, calls.exits.append)
    for what, *numbers in news:
        (counted.signalled if what == "own" else counted.told)(*numbers)
    assert (calls.stops, calls.exits) == (stops, exits)


@pytest.mark.parametrize("first", STOP_SIGNALS)
@pytest.mark.parametrize("second", STOP_SIGNALS)
def test_first_stops_and_second_exits(first, second, monkeypatch):
    monkeypatch.setattr("snakepit.group_signals.ECHO", -1.0)
    calls = Calls()
    with handle_signals(Stops(calls.stop, calls.exits.append)):
        signal.raise_signal(first)
        assert (calls.stops, calls.exits) == (1, [])
        signal.raise_signal(second)
        assert calls.exits == [second]


def test_the_same_signal_twice_at_once_is_one(monkeypatch):
    monkeypatch.setattr("snakepit.group_signals.ECHO", 3600.0)
    calls = Calls()
    with handle_signals(Stops(calls.stop, calls.exits.append)):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert (calls.stops, calls.exits) == (1, [])
        signal.raise_signal(signal.SIGTERM)
        assert calls.exits == [signal.SIGTERM]


def test_handlers_from_before_come_back():
    before = handlers()
    with handle_signals(Stops(Calls().stop, [].append)):
        assert all(now != then for now, then in zip(handlers(), before, strict=True))
    assert handlers() == before


def test_handlers_come_back_after_an_error():
    before = handlers()
    with pytest.raises(KeyError), handle_signals(Stops(Calls().stop, [].append)):
        raise KeyError
    assert handlers() == before


def test_each_block_counts_by_itself():
    calls = Calls()
    for _ in range(2):
        with handle_signals(Stops(calls.stop, calls.exits.append)):
            signal.raise_signal(signal.SIGTERM)
    assert (calls.stops, calls.exits) == (2, [])


def test_ignored_signal_is_ignored_again_afterwards():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handle_signals(Stops(Calls().stop, [].append)):
            pass
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_installs_nothing():
    before, inside = handlers(), []

    def run():
        with handle_signals(Stops(Calls().stop, [].append)):
            inside.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert inside == [before]


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONUTF8": "1"},
    )


def test_leave_waits_for_nothing_and_loses_nothing_that_was_printed():
    done = run(
        "import atexit, sys, threading\n"
        "from snakepit.server.signals import leave\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "atexit.register(print, 'exit handler')\n"
        "sys.stdout.write('out')\n"
        "sys.stderr.write('err')\n"
        "leave(143)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "out", "err")


def test_leave_with_streams_that_are_closed():
    done = run(
        "import os, sys\n"
        "from snakepit.server.signals import leave\n"
        "sys.stdout.write('lost')\n"
        "os.close(1)\n"
        "sys.stderr.close()\n"
        "leave(3)\n"
    )
    assert done.returncode == 3


def test_leave_without_streams():
    """Python started without a console (pythonw) has none."""
    done = run("import sys\nfrom snakepit.server.signals import leave\nsys.stdout = sys.stderr = None\nleave(4)\n")
    assert done.returncode == 4


def test_a_signal_interrupts_what_the_main_thread_waits_for():
    done = run(
        "import signal, threading\n"
        "from snakepit.server.signals import Stops, handle_signals, leave\n"
        "stopped = []\n"
        "with handle_signals(Stops(lambda: stopped.append(1), leave)):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    assert stopped == [1]\n"
        "    print('stopping', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "print('never')\n"
    )
    assert (done.returncode, done.stdout) == (signal.SIGTERM, "stopping\n")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
def test_others_are_called_each_time_and_only_within_the_block():
    called = []
    before = signal.getsignal(signal.SIGHUP)
    others = {"SIGHUP": lambda: called.append("hup"), "SIGTTIN": lambda: called.append("ttin")}
    calls = Calls()
    with handle_signals(Stops(calls.stop, calls.exits.append), others):
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTTIN):
            signal.raise_signal(number)
        assert (called, calls.stops, calls.exits) == (["hup", "hup", "ttin"], 0, [])
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_signal_that_the_system_does_not_have_is_passed_over():
    with handle_signals(Stops(Calls().stop, [].append), {"SIGNOSUCH": lambda: None}):
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
