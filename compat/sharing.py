"""The rule for packages that keep a database in a file: what was acknowledged is there.

Copies of a package's C code do not know of each other, and locks that belong to the process (fcntl's) do not keep them
apart: two workers can have a file open each as if it were alone, and where one closes it, the locks of all are gone,
for other processes, too. So some interpreters and a process beside them write to one file, all at once, now and then
open it anew, and note each write that the package says is done. Afterwards another process reads the file. What is
missing then was lost without an error. A package may refuse: to open the file twice, or to write while others do.

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
"""By each. The first few were enough to lose some, wherever any were lost."""

REOPENED = 20
"""Writes after which each opens the file anew."""

PAUSE = 0.005
"""Seconds that one waits that was refused, so that it does not try in vain while another has the file."""

TOGETHER = 20.0
"""Seconds that an interpreter waits for the others before it goes on."""


def path_in(folder: str) -> str:
    """The file that is shared."""
    return str(Path(folder) / "shared")


def write(file: SharedFile, folder: str, place: int, places: int) -> tuple[list[str], list[str]]:
    """Write to the file beside the others; returns the keys that were acknowledged, and what was refused."""
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
    """What is wrong, if anything, given the process that read the file and what was acknowledged."""
    if not acknowledged:
        return "nothing could be written to a file at all"
    if reading.returncode:
        said = reading.stderr.strip().splitlines() or [f"exit status {reading.returncode}"]
        return f"a file that several wrote to can't be read: {said[-1]}"
    missing = set(acknowledged) - set(json.loads(reading.stdout))
    return "acknowledged writes to a file are lost" if missing else ""


def _meet(folder: str, stage: str, place: int, places: int) -> None:
    """Wait until all have come as far."""
    (Path(folder) / f"{stage}-{place}").touch()
    end = time.monotonic() + TOGETHER
    while len(list(Path(folder).glob(f"{stage}-*"))) < places and time.monotonic() < end:
        time.sleep(0.01)


def main(module: str, case: str, folder: str, places: str = "") -> None:
    """See the module."""
    importlib.import_module(module)
    file = CASES[case].file
    assert file is not None
    said = write(file, folder, int(places) - 1, int(places))[0] if places else list(file.read(path_in(folder)))
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
