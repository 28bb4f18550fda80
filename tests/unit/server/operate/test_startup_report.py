"""snakepit.server.operate.startup_report, on a terminal that shows what is written to it."""

import io
import logging
import re
from types import SimpleNamespace

import pytest

from snakepit.server.operate import startup_report as report_module
from snakepit.server.operate.startup_report import StartupReport
from snakepit.server.workers.report import WorkerReport


class Terminal(io.StringIO):
    """A terminal that knows carriage return and "erase to the end of the line"; `screen` is what it shows."""

    def __init__(self, is_terminal=True):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal

    @property
    def screen(self):
        lines = []
        for line in self.getvalue().split("\n"):
            shown, column = "", 0
            for piece in re.findall(r"\r|\x1b\[K|[^\r\x1b]+", line):
                if piece == "\r":
                    column = 0
                elif piece == "\x1b[K":
                    shown = shown[:column]
                else:
                    shown = shown[:column] + piece + shown[column + len(piece) :]
                    column += len(piece)
            lines.append(shown)
        return lines


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def log(terminal):
    """The server's logger, which writes to the terminal."""
    top = logging.getLogger("snakepit")
    handler = logging.StreamHandler(terminal)
    before = (top.level, top.propagate)
    top.addHandler(handler)
    top.setLevel(logging.INFO)
    top.propagate = False
    yield logging.getLogger("snakepit.server")
    top.removeHandler(handler)
    top.setLevel(before[0])
    top.propagate = before[1]
    assert handler.filters == [], "the report left its filter behind"


class Worker(SimpleNamespace):
    """A worker that has a name, and what it reported."""

    def __str__(self):
        return f"worker {self.number}"


def worker(number=1, startup=0.0, copies=(), memory=None, notes=()):
    report = WorkerReport()
    report.interface, report.import_seconds, report.startup_seconds = "asgi", 0.25, startup
    report.copies, report.notes = [(module, 1000) for module in copies], list(notes)
    return Worker(number=number, report=report, memory_at_end=memory)


def bar(ready, total, filled):
    return f"[{'#' * filled}{'-' * (30 - filled)}] {ready} of {total} workers ready"


def test_bar(terminal, log):
    report = StartupReport(3, log, terminal)
    report.started()
    assert terminal.screen == [bar(0, 3, 0)]
    report.worker_ready(worker(2))
    assert terminal.screen == ["Worker 2 ready: ASGI, import 0.25 s", bar(1, 3, 10)]
    report.worker_ready(worker(1, startup=1.5))
    assert terminal.screen[1:] == ["Worker 1 ready: ASGI, import 0.25 s, start-up 1.50 s", bar(2, 3, 20)]
    report.worker_ready(worker(3))
    assert terminal.screen[2:] == ["Worker 3 ready: ASGI, import 0.25 s", ""]


@pytest.mark.parametrize("name", ["snakepit.server", "snakepit.access", "snakepit"])
def test_other_messages_are_not_written_behind_the_bar(terminal, log, name):
    report = StartupReport(2, log, terminal)
    report.started()
    logging.getLogger(name).warning("something else")
    assert terminal.screen == ["something else", ""]
    report.worker_ready(worker())
    assert terminal.screen[-1] == bar(1, 2, 15)
    report.close()
    assert terminal.screen[-1] == ""


def test_close_leaves_the_terminal_clean(terminal, log):
    report = StartupReport(2, log, terminal)
    report.started()
    report.close()
    assert terminal.screen == [""]
    report.close()
    log.info("later")
    assert terminal.screen == ["later", ""]
    assert terminal.getvalue().endswith("later\n")


def test_workers_that_are_ready_before_the_bar_is_drawn(terminal, log):
    report = StartupReport(2, log, terminal)
    report.worker_ready(worker(1))
    report.worker_ready(worker(2))
    report.started()
    assert terminal.screen == [f"Worker {number} ready: ASGI, import 0.25 s" for number in (1, 2)] + [""]


def no_bar(terminal):
    return "\r" not in terminal.getvalue() and "#" not in terminal.getvalue()


@pytest.mark.parametrize(("total", "is_terminal"), [(1, True), (2, False)])
def test_where_there_is_no_bar(terminal, log, total, is_terminal):
    terminal.is_terminal = is_terminal
    report = StartupReport(total, log, terminal)
    report.started()
    for number in range(1, total + 1):
        report.worker_ready(worker(number))
    report.close()
    assert no_bar(terminal)
    assert len(terminal.screen) == total + 1


def test_no_bar_where_nothing_is_logged(terminal, log):
    logging.getLogger("snakepit").setLevel(logging.WARNING)
    report = StartupReport(2, log, terminal)
    report.started()
    report.worker_ready(worker())
    report.close()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("delay", "when"), [(0.0, "now"), (0.2, "in 0.2 s"), (30.0, "in 30.0 s")])
def test_replacement(terminal, log, delay, when):
    report = StartupReport(2, log, terminal)
    report.started()
    report.worker_ready(worker(1))
    report.worker_ready(worker(2))
    report.worker_replaced(worker(2), delay)
    report.worker_ready(worker(2))
    assert terminal.screen[2:] == [
        f"A replacement for worker 2 starts {when}",
        "Worker 2 ready: ASGI, import 0.25 s",
        "",
    ]


def test_start_up_that_takes_no_time_is_not_told(terminal, log):
    report = StartupReport(1, log, terminal)
    report.worker_ready(worker(startup=0.004))
    assert "start-up" not in terminal.getvalue()


def test_stream_is_stderr(log, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr", terminal)
    report = StartupReport(2, log)
    report.started()
    assert terminal.screen == [bar(0, 2, 0)]
    report.close()


def test_copies_of_extensions(terminal, log, monkeypatch):
    monkeypatch.setattr(report_module.vetted, "find", lambda module: module.startswith("known") or None)
    report = StartupReport(2, log, terminal)
    report.started()
    report.worker_ready(worker(1, copies=["known.x", "strange.y", "strange.z"]))
    report.worker_ready(worker(2, copies=["known.x"]))
    lines = [line for line in terminal.screen if "tested on Linux only" not in line]
    assert lines == [
        "Worker 1 ready: ASGI, import 0.25 s, copies of 3 C extensions",
        "Copied at your own risk, as --extensions all asks: strange.y, strange.z",
        "Worker 2 ready: ASGI, import 0.25 s, copies of 1 C extension",
        "",
    ]


def test_notes_on_what_an_app_uses(terminal, log):
    report = StartupReport(2, log, terminal)
    report.worker_ready(worker(1, notes=["mind this", "and 100 % of that"]))
    report.worker_ready(worker(2, notes=["mind this"]))
    assert [line for line in terminal.screen if line and "ready" not in line] == ["mind this", "and 100 % of that"]


def test_copies_that_lose_writes(terminal, log):
    report = StartupReport(1, log, terminal)
    report.worker_ready(worker(1, copies=["_duckdb", "lmdb.cpython", "strange"]))
    assert terminal.screen[1] == (
        "Writes to a file that several workers open with their copies of _duckdb, lmdb.cpython get lost without an "
        "error; --runtime process keeps them"
    )


@pytest.mark.parametrize(("size", "said"), [(21 * 2**20, ", 21 MiB now"), (0, ", 0 MiB now"), (None, "")])
def test_what_a_replaced_worker_leaves_in_memory(terminal, log, size, said):
    report = StartupReport(1, log, terminal)
    report.memory_kept(worker(1, copies=["a", "b"]), size)
    assert terminal.screen[0] == (
        "Worker 1 was replaced; what its copies of 2 C extensions keep stays in memory until the process ends" + said
    )


def test_a_successor_that_can_not_start(terminal, log):
    report = StartupReport(1, log, terminal)
    report.successor_failed(worker(1), "SyntaxError: here")
    assert terminal.screen[0] == "A new worker 1 can't start, the one before goes on: SyntaxError: here"
