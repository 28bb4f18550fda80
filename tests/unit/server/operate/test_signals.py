"""snakepit.server.operate.signals: handlers in this process, and what ends a process in one of its own."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading

import pytest
from waiting import PATIENCE

from snakepit.server.operate.signals import STOP_SIGNALS, Stops, handle_signals


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
    monkeypatch.setattr("snakepit.system.group_signals.ECHO", -1.0)
    calls = Calls()
    with handle_signals(Stops(calls.stop, calls.exits.append)):
        signal.raise_signal(first)
        assert (calls.stops, calls.exits) == (1, [])
        signal.raise_signal(second)
        assert calls.exits == [second]


def test_the_same_signal_twice_at_once_is_one(monkeypatch):
    monkeypatch.setattr("snakepit.system.group_signals.ECHO", 3600.0)
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


class Block:
    """A server's block, entered and left when the test says so."""

    def __init__(self, others=None):
        self.calls = Calls()
        self._block = handle_signals(Stops(self.calls.stop, self.calls.exits.append), others or {})
        self._block.__enter__()

    def end(self):
        self._block.__exit__(None, None, None)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_several_blocks_are_all_told_and_may_end_in_any_order(order, monkeypatch):
    monkeypatch.setattr("snakepit.system.group_signals.ECHO", -1.0)
    before = handlers()
    blocks = [Block() for _ in range(3)]
    signal.raise_signal(signal.SIGINT)
    assert [block.calls.stops for block in blocks] == [1, 1, 1]
    for ended, number in enumerate(order):
        assert all(now != then for now, then in zip(handlers(), before, strict=True))
        signal.raise_signal(signal.SIGTERM)
        left = [blocks[number] for number in order[ended:]]
        assert [len(block.calls.exits) for block in left] == [ended + 1] * len(left)
        blocks[number].end()
    assert handlers() == before
    assert [block.calls.stops for block in blocks] == [1, 1, 1]


def test_a_handler_that_the_program_has_set_meanwhile_stays():
    before, called = signal.getsignal(signal.SIGTERM), []
    try:
        with handle_signals(Stops(Calls().stop, [].append)):
            signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
        signal.raise_signal(signal.SIGTERM)
        assert called == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_block_in_another_thread_is_told_while_there_is_one_in_the_main_thread():
    before, begun, end, blocks = handlers(), threading.Event(), threading.Event(), []

    def run():
        blocks.append(Block())
        begun.set()
        end.wait(PATIENCE)
        blocks[0].end()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(PATIENCE)
    in_main = Block()
    signal.raise_signal(signal.SIGTERM)
    assert (in_main.calls.stops, blocks[0].calls.stops) == (1, 1)
    in_main.end()
    assert handlers() == before
    end.set()
    thread.join(PATIENCE)
    assert handlers() == before


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
        "from snakepit.server.operate.signals import leave\n"
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
        "from snakepit.server.operate.signals import leave\n"
        "sys.stdout.write('lost')\n"
        "os.close(1)\n"
        "sys.stderr.close()\n"
        "leave(3)\n"
    )
    assert done.returncode == 3


def test_leave_without_streams():
    """Python started without a console (pythonw) has none."""
    done = run(
        "import sys\nfrom snakepit.server.operate import signals\nsys.stdout = sys.stderr = None\nsignals.leave(4)\n"
    )
    assert done.returncode == 4


def test_a_signal_interrupts_what_the_main_thread_waits_for():
    done = run(
        "import signal, threading\n"
        "from snakepit.server.operate.signals import Stops, handle_signals, leave\n"
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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
def test_others_of_several_blocks():
    before, called = signal.getsignal(signal.SIGHUP), []
    first = Block({"SIGHUP": lambda: called.append("first")})
    second = Block({"SIGHUP": lambda: called.append("second"), "SIGTTIN": lambda: called.append("in")})
    signal.raise_signal(signal.SIGHUP)
    first.end()
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTTIN)
    second.end()
    assert called == ["first", "second", "second", "in"]
    assert signal.getsignal(signal.SIGHUP) is before


USR1 = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="POSIX signals")


@USR1
def test_usr1_is_taken_where_the_program_has_not():
    called = []
    block = Block({"SIGUSR1": lambda: called.append("ours")})
    signal.raise_signal(signal.SIGUSR1)
    block.end()
    assert called == ["ours"]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@USR1
@pytest.mark.parametrize("theirs", ["handler", "ignored"])
def test_usr1_is_left_to_a_program_that_has_taken_it(theirs):
    called = []
    handler = signal.SIG_IGN if theirs == "ignored" else lambda *_: called.append("theirs")
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        blocks = [Block({"SIGUSR1": lambda: called.append("ours")}) for _ in range(2)]
        signal.raise_signal(signal.SIGUSR1)
        for block in blocks:
            block.end()
        signal.raise_signal(signal.SIGUSR1)
        assert called == ["theirs"] * (2 if theirs == "handler" else 0)
        assert signal.getsignal(signal.SIGUSR1) is handler
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_usr1_is_left_to_faulthandler(tmp_path):
    """It takes the signal in C, and Python's signal module does not know."""
    called = []
    with (tmp_path / "stacks").open("w+") as stacks:
        faulthandler.register(signal.SIGUSR1, stacks)
        try:
            block = Block({"SIGUSR1": lambda: called.append("ours")})
            signal.raise_signal(signal.SIGUSR1)
            block.end()
        finally:
            faulthandler.unregister(signal.SIGUSR1)
        stacks.seek(0)
        assert "most recent call first" in stacks.read()
    assert called == []


def test_a_signal_that_the_system_does_not_have_is_passed_over():
    with handle_signals(Stops(Calls().stop, [].append), {"SIGNOSUCH": lambda: None}):
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
