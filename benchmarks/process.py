"""A measured process and its descendants: CPU time, memory, end. It reads /proc, so it works only on Linux."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

PATIENCE = 30.0  # seconds that a server may take to come up
_ENDING = 10.0  # seconds that it may take to end by itself
# places among the fields that follow the name in /proc/PID/stat; the times are user, system, and both of ended children
_PARENT, _SESSION, _TIMES, _STARTED = 1, 3, slice(11, 15), 19


class Spent(NamedTuple):
    """CPU time of one process so far, in seconds: all of it, and what its main thread has of it."""

    total: float
    main_user: float
    main_system: float


class ProcessTree:
    """A process in a session of its own, with its descendants and with the processes of that session."""

    def __init__(
        self,
        command: list[str],
        *,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def cpu_seconds(self) -> float:
        """Return user and system time so far, including children that have ended and were waited for."""
        return sum(sum(map(int, fields[_TIMES])) for fields in self._members().values()) / os.sysconf("SC_CLK_TCK")

    def spent(self) -> dict[int, Spent]:
        """Return the CPU time of each process that lives, without that of its children, by PID."""
        tick = 1 / os.sysconf("SC_CLK_TCK")
        found = {}
        for pid, fields in self._members().items():
            try:
                main = _fields(Path(f"/proc/{pid}/task/{pid}/stat"))
            except OSError:
                continue
            user, system = int(main[_TIMES][0]) * tick, int(main[_TIMES][1]) * tick
            found[pid] = Spent(sum(map(int, fields[_TIMES][:2])) * tick, user, system)
        return found

    def rss(self) -> int:
        """Return resident memory in bytes; shared memory counts for each process."""
        return sum(int(text.split()[1]) for text in self._read_all("statm")) * os.sysconf("SC_PAGE_SIZE")

    def pss(self) -> int:
        """Return proportional memory in bytes: shared memory is divided among its processes, so it counts once."""
        found = [re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE) for text in self._read_all("smaps_rollup")]
        return sum(int(kib[1]) * 1024 for kib in found if kib)

    def stop(self) -> int:
        """End the process, then its remaining descendants; returns its exit status."""
        members = self._members()
        self._signal_group(signal.SIGTERM)
        try:
            self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            pass
        self._signal_group(signal.SIGKILL)
        now = _all_processes()
        for pid, fields in members.items():  # those that had left the group
            if pid != self.process.pid and pid in now and now[pid][_STARTED] == fields[_STARTED]:
                _kill(pid)
        return self.process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def _members(self) -> dict[int, list[str]]:
        """Return the fields of /proc/PID/stat after the name, by PID."""
        everyone = _all_processes()
        children: dict[int, list[int]] = {}
        for pid, fields in everyone.items():
            children.setdefault(int(fields[_PARENT]), []).append(pid)
        root = self.process.pid
        todo = [root, *(pid for pid, fields in everyone.items() if int(fields[_SESSION]) == root)]
        found: dict[int, list[str]] = {}
        while todo:
            pid = todo.pop()
            if pid in everyone and pid not in found:
                found[pid] = everyone[pid]
                todo += children.get(pid, [])
        return found

    def _read_all(self, name: str) -> Iterator[str]:
        for pid in self._members():
            try:
                yield Path(f"/proc/{pid}/{name}").read_text()
            except OSError:
                continue


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _all_processes() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = _fields(entry / "stat")
            except OSError:
                continue
    return found


def _fields(stat: Path) -> list[str]:
    """Read the fields after the name, which is in parentheses and may contain any character."""
    return stat.read_text().rpartition(")")[2].split()
