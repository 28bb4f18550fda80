"""Runs cases, each in processes of its own, and collects the results."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from compat import sharing
from compat.child import Plan
from compat.registry import Case
from compat.services import SERVICES
from compat.worker import Report
from snakepit.wire.settings import Policy

PYTHON = "{}.{}".format(*sys.version_info)
PATIENCE = float(os.environ.get("COMPAT_PATIENCE", "120"))
"""Seconds that a process may take; one that takes longer counts as hung."""

DEBUG = {"PYTHONMALLOC": "debug", "MALLOC_PERTURB_": "165"}
"""Variables that reveal use of freed memory: Python checks its own heap, and C's freed memory is overwritten."""

type Status = Literal["passed", "failed", "absent"]


@dataclass
class Result:
    """The result of a case on this Python.

    Args:
        status: "absent" where the package can't be installed for this Python.
        unaided: whether it works where nothing is copied (`--extensions native`).
        versions: of the package and of those it was tried with, by distribution.
        loads: how each extension module was loaded, by name.
        reason: why it failed, or why not unaided: the signal, or the end of a traceback.
        warnings: what the `warnings` module was told in a worker.
        daemons: daemon threads that were left, so that the interpreter could not be closed.
        lazy: libraries that were imported with lazy imports of their own.
    """

    status: Status
    unaided: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    loads: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    unaided_reason: str = ""
    warnings: list[str] = field(default_factory=list)
    daemons: list[str] = field(default_factory=list)
    lazy: list[str] = field(default_factory=list)


class Services:
    """Database servers, each started when the first case needs it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._urls: dict[str, str] = {}

    def __enter__(self) -> "Services":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def urls(self, names: tuple[str, ...]) -> list[str]:
        """The URL of each; raises what `compat.services` raises."""
        for name in names:
            if name not in self._urls:
                self._urls[name] = self._stack.enter_context(SERVICES[name]())
        return [self._urls[name] for name in names]


@dataclass
class Driver:
    """Runs processes.

    Args:
        most: interpreters at a time, at most; runs take from 2 to that many in turn.
        rounds: processes for each case.
        lives: interpreters one after another in each place.
        seconds: of use in each interpreter.
    """

    services: Services
    most: int = 4
    rounds: int = 3
    lives: int = 2
    seconds: float = 0.2

    def try_case(self, case: Case) -> Result:
        """Use the package unaided, then with copies of all modules that refuse."""
        versions = installed(case)
        if versions is None:
            return Result("absent")
        result = Result("passed", versions=versions)
        result.unaided_reason = self.run(case, "native", Result("passed"), interpreters=2, lives=1)
        result.unaided = not result.unaided_reason
        for number in range(self.rounds):
            interpreters = 2 + number % (self.most - 1)
            environment = DEBUG if number % 3 == 1 else {}
            result.reason = self.run(case, "all", result, interpreters, self.lives, environment)
            if result.reason:
                result.status = "failed"
                return result
        if case.file is not None:
            result.reason = self.share_file(case, result)
            result.status = "failed" if result.reason else "passed"
        return result

    def share_file(self, case: Case, result: Result) -> str:
        """Make several interpreters write to one file; returns what was lost, or went wrong."""
        interpreters = [*range(2, self.most + 1)] * self.rounds
        reasons = (self.run(case, "all", result, number, lives=1, shares=True) for number in interpreters)
        return next(filter(None, reasons), "")

    def verify(self, case: Case, vetted: str) -> str:
        """Use the package with copies only of modules on the list in that file; returns what went wrong."""
        return self.run(case, "vetted", Result("passed"), interpreters=3, lives=2, vetted=vetted)

    def run(
        self,
        case: Case,
        policy: Policy,
        result: Result,
        interpreters: int,
        lives: int,
        environment: Mapping[str, str] = {},  # read only
        vetted: str = "",
        shares: bool = False,
        lazy: Sequence[str] = (),
        threads: int = 0,
    ) -> str:
        """Run one process; adds the loaded modules to the result, and returns why it failed, or nothing."""
        with tempfile.TemporaryDirectory(prefix="snakepit-compat-") as folder:
            plan = Plan(
                case=case.name,
                module=case.use.__module__,
                urls=self.services.urls(case.services),
                policy=policy,
                interpreters=interpreters,
                lives=lives,
                seconds=self.seconds,
                folder=folder,
                vetted=vetted,
                shares=shares,
                lazy=list(lazy),
                threads=threads,
            )
            file = Path(folder) / "plan.json"
            file.write_text(json.dumps(plan), encoding="utf-8")
            command = [sys.executable, "-X", "faulthandler", "-m", "compat.child", str(file)]
            output = Path(folder) / "output"
            with output.open("wb") as stream, _beside(case, folder, interpreters + 1 if shares else 0) as acknowledged:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **case.environment, **environment},
                )
                try:
                    hung = _wait(process)
                finally:
                    process.kill()  # it has ended, unless this process is being ended
            said = output.read_text(errors="replace")
            reports = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).glob("report-*.json")]
            add_reports(result, reports)
            reason = explain(process.returncode, hung, said, reports)
            if not reason and len(reports) != interpreters * lives:
                reason = f"{len(reports)} of {interpreters * lives} interpreters reported"
            if shares and not reason:
                acknowledged += [key for report in reports for key in report["acknowledged"]]
                reason = sharing.lost(_sharing(case, folder), acknowledged)
        if reason and policy != "native" and os.environ.get("COMPAT_VERBOSE"):
            print(said, *(report["trouble"] for report in reports), sep="\n", file=sys.stderr)
        return reason


@contextmanager
def _beside(case: Case, folder: str, places: int) -> Iterator[list[str]]:
    """Make a separate process write to a file beside interpreters; its acknowledged writes are added at the end.

    `places`: how many write, it included; 0: none does.
    """
    acknowledged: list[str] = []
    if not places:
        yield acknowledged
        return
    with ThreadPoolExecutor(1) as thread:
        told = thread.submit(_sharing, case, folder, str(places))
        yield acknowledged
        if told.result().returncode == 0:
            acknowledged += json.loads(told.result().stdout)


def _sharing(case: Case, folder: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `compat.sharing` in a separate process."""
    command = [sys.executable, "-m", "compat.sharing", case.use.__module__, case.name, folder, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def installed(case: Case) -> dict[str, str] | None:
    """Return the versions of the case's distributions, or None if one is not installed."""
    try:
        return {name: version(name) for name in dict.fromkeys((case.distribution, case.of, *case.with_))}
    except PackageNotFoundError:
        return None


def add_reports(result: Result, reports: list[Report]) -> None:
    """Add the modules that interpreters loaded, and their warnings."""
    for report in reports:
        result.loads.update({module: how for module, how, _ in report["loads"]})
        result.warnings = sorted({*result.warnings, *report["warnings"]})
        result.daemons = sorted({*result.daemons, *report["daemons"]})
        result.lazy = sorted({*result.lazy, *report["lazy"]})


def explain(status: int, hung: bool, said: str, reports: list[Report]) -> str:
    """Return why a process failed, in a line; empty if it did not."""
    where = _crashed_in(said)
    if hung:
        return f"no end after {PATIENCE:.0f} s" + where
    if status < 0:
        return signal.Signals(-status).name + where + _fatal(said)
    for report in reports:
        if report["trouble"]:
            return _last_line(report["trouble"])
    return f"exit status {status}: {_last_line(said)}" if status else ""


def _wait(process: subprocess.Popen[Any]) -> bool:
    """Wait for the end; returns whether the process had to be killed. SIGABRT makes it write its stacks."""
    for how in (signal.SIGABRT, signal.SIGKILL):
        try:
            process.wait(PATIENCE if how is signal.SIGABRT else 20.0)
            return how is signal.SIGKILL
        except subprocess.TimeoutExpired:
            process.send_signal(how)
    process.wait()
    return True


def _crashed_in(said: str) -> str:
    """Return the innermost Python function of the thread that crashed, as faulthandler shows it."""
    found = re.search(r'Current thread .*most recent call first\):\n  File "([^"]+)", line \d+ in (\S+)', said)
    return f" in {found[2]} ({_short(found[1])})" if found else ""


def _short(name: str) -> str:
    return name.rpartition("site-packages/")[2] if "site-packages/" in name else "/".join(name.split("/")[-2:])


def _fatal(said: str) -> str:
    """Return the message of the C library or Python about a crash, if there is more than the signal.

    Python's own words may be cut anywhere: a second thread that crashes meanwhile ends the process.
    """
    found = re.search(
        r"^(Fatal Python error: (?!Segmentation|Aborted).+|.*(?:free\(\)|corrupt|invalid pointer).*)$", said, re.M
    )
    return f": {found[1]}" if found else ""


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.startswith(" ")]
    return lines[-1].strip()[:300] if lines else "no message"
