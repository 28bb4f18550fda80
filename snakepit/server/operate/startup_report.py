"""The report while the server starts: a line for each worker, and a progress bar at the bottom of a terminal."""

import logging
import sys
from collections.abc import Callable
from typing import TextIO

from snakepit.c_extensions import vetted
from snakepit.server.pool.observer import Observer
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.words import capitalized, counted, mebibytes

_WIDTH = 30  # characters of the bar


_CLEAR = "\r\x1b[K"


def ready_in_words(worker: WorkerHandle) -> str:
    """Say that a worker is ready, and how long its start took."""
    report = worker.report
    startup = f", start-up {report.startup_seconds:.2f} s" if report.startup_seconds >= 0.005 else ""
    copies = f", copies of {counted(len(report.copies), 'C extension')}" if report.copies else ""
    took = f"import {report.import_seconds:.2f} s{startup}{copies}"
    return f"{capitalized(worker)} ready: {report.interface.upper()}, {took}"


class StartupReport(Observer):
    """The report: logs each worker when it is ready; on a terminal, draws how many are ready."""

    def __init__(
        self,
        total: int,
        log: logging.Logger,
        stream: TextIO | None = None,
        hand_over: Callable[[str], bool] = lambda reason: False,
    ) -> None:
        self._total = total
        self._ready = 0
        self._log = log
        self._hand_over = hand_over
        self._stream = stream or sys.stderr
        self._bar = total > 1 and self._stream.isatty() and log.isEnabledFor(logging.INFO)
        self._handlers: list[logging.Handler] = []
        self._told_of_copies = False
        self._notes: set[str] = set()  # that stand in the log

    def started(self) -> None:
        """Note that workers are starting."""
        if self._bar:
            # other log lines must not be written after the bar
            for name in ("snakepit", "snakepit.access"):
                self._handlers += logging.getLogger(name).handlers
            for handler in self._handlers:
                handler.addFilter(self._make_room)
        self._draw()

    def worker_ready(self, worker: WorkerHandle) -> None:
        self._ready += 1
        self._erase()
        self._log.info("%s", ready_in_words(worker))
        if worker.report.copies and not self._told_of_copies:
            self._told_of_copies = True
            self._tell_of_copies([module for module, _ in worker.report.copies])
        for note in worker.report.notes:
            if note not in self._notes:
                self._notes.add(note)
                self._log.warning(note)
        if self._ready < self._total:
            self._draw()
        else:
            self.close()

    def worker_replaced(self, worker: WorkerHandle, delay: float) -> None:
        when = f"in {delay:.1f} s" if delay else "now"
        self._log.info("A replacement for %s starts %s", worker, when)

    def successor_failed(self, worker: WorkerHandle, fault: str) -> None:
        self._log.error("A new %s can't start, the one before goes on: %s", worker, fault)

    def memory_kept(self, predecessor: WorkerHandle, size: int | None) -> None:
        grown = f", {mebibytes(size)} MiB now" if size is not None else ""
        self._log.warning(
            "%s was replaced; what its copies of %s keep stays in memory until the process ends%s",
            capitalized(predecessor),
            counted(len(predecessor.report.copies), "C extension"),
            grown,
        )

    def worn_out(self, reason: str) -> bool:
        return self._hand_over(reason)

    def close(self) -> None:
        """Remove the bar from the terminal."""
        self._erase()
        self._bar = False
        for handler in self._handlers:
            handler.removeFilter(self._make_room)
        self._handlers.clear()

    def _tell_of_copies(self, modules: list[str]) -> None:
        losing = [module for module in modules if vetted.loses_writes(module)]
        if losing:
            self._log.warning(
                "Writes to a file that several workers open with their copies of %s get lost without an error; "
                "--runtime process keeps them",
                ", ".join(losing),
            )
        unvetted = [module for module in modules if vetted.find(module) is None]
        if unvetted:
            self._log.warning("Copied at your own risk, as --extensions all asks: %s", ", ".join(unvetted))
        if sys.platform != "linux":
            self._log.warning("Copies of C extensions have been tested on Linux only (%s)", ", ".join(modules))

    def _make_room(self, record: logging.LogRecord) -> bool:
        self._erase()
        return True

    def _draw(self) -> None:
        if self._bar:
            filled = _WIDTH * self._ready // self._total
            bar = "#" * filled + "-" * (_WIDTH - filled)
            self._stream.write(f"\r[{bar}] {self._ready} of {self._total} workers ready")
            self._stream.flush()

    def _erase(self) -> None:
        if self._bar:
            self._stream.write(_CLEAR)
            self._stream.flush()
