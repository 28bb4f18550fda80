"""The rule for packages that keep a database in a file: acknowledged writes are not lost.

Copies of a package's C code do not know of each other, and locks that belong to the process (fcntl's) do not work
between them: two workers can have a file open, each as if it were alone, and when one closes it, all lose their locks,
also towards other processes. So some interpreters and a separate process write to one file at the same time, reopen it
from time to time, and note each acknowledged write. Afterwards another process reads the file. Writes that are missing
then were lost without an error. A package may refuse to open the file twice, or to write while others do.

`python -m compat.sharing MODULE CASE FOLDER PLACES` is the process beside them, and without PLACES the one that reads;
both print what they found as JSON.
"""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

from compat.registry import CASES, SharedFile

WRITES = 100
"""Writes by each writer. If any were lost at all, some of the first few were."""

REOPENED = 20
"""Writes after which each writer reopens the file."""

PAUSE = 0.005
"""Seconds that a refused writer waits, so that it does not try in vain while another has the file."""

TOGETHER = 20.0
"""Seconds that an interpreter waits for the others before it goes on."""


def path_in(folder: str) -> str:
    """Return the path of the shared file."""
    return str(Path(folder) / "shared")


def write(file: SharedFile, folder: str, place: int, places: int) -> tuple[list[str], list[str]]:
    """Write to the file beside the others; returns the acknowledged keys, and the refusals."""
    acknowledged: list[str] = []
    refused: list[str] = []
    _meet(folder, "begin", place, places)
    opened = None
    for number in range(WRITES):
        key = f"{place}-{number}"
        try:
            if opened is None:
                opened = file.open(path_in(folder))
            opened[0](key)
            acknowledged.append(key)
            if number % REOPENED == REOPENED - 1:
                opened[1]()
                opened = None
        except Exception as error:
            refused.append(f"{type(error).__name__}: {error}")
            time.sleep(PAUSE)
        if number == 0:
            _meet(folder, "begun", place, places)
    _meet(folder, "written", place, places)
    if opened is not None:
        opened[1]()
    return acknowledged, refused


def lost(reading: subprocess.CompletedProcess[str], acknowledged: list[str]) -> str:
    """Return what was lost, if anything, given the process that read the file and the acknowledged keys."""
    if not acknowledged:
        return "nothing could be written to a file at all"
    if reading.returncode:
        said = reading.stderr.strip().splitlines() or [f"exit status {reading.returncode}"]
        return f"a file that several wrote to can't be read: {said[-1]}"
    missing = set(acknowledged) - set(json.loads(reading.stdout))
    return "acknowledged writes to a file are lost" if missing else ""


def _meet(folder: str, stage: str, place: int, places: int) -> None:
    """Wait until all have reached this point."""
    (Path(folder) / f"{stage}-{place}").touch()
    end = time.monotonic() + TOGETHER
    while len(list(Path(folder).glob(f"{stage}-*"))) < places and time.monotonic() < end:
        time.sleep(0.01)


def main(module: str, case: str, folder: str, places: str = "") -> None:
    """Run the command that the module's docstring describes."""
    importlib.import_module(module)
    file = CASES[case].file
    assert file is not None
    said = write(file, folder, int(places) - 1, int(places))[0] if places else list(file.read(path_in(folder)))
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
