"""The Pythons that servers run on: `3.14`, `3.15`, `3.15-jit`, each in an environment of its own.

With `-jit` a server is started with PYTHON_JIT=1, without it with PYTHON_JIT=0, whatever the build does by itself.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environment import is_current, left_out
from benchmarks.peers.contenders import ROOT

_JIT_CHECK = "import sys; jit = getattr(sys, '_jit', None); sys.exit(not (jit and jit.is_enabled()))"


@dataclass(frozen=True, slots=True)
class Python:
    """An environment with servers. `name`: as on the command line, or nothing for the one that runs this.

    `missing`: what could not be installed there, and why.
    """

    name: str
    bin: Path
    environ: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def executable(self) -> Path:
        """Path of the interpreter."""
        return self.bin / "python"

    def label(self, contender: str) -> str:
        """Name a contender on this Python."""
        return f"{contender} [{self.name}]" if self.name else contender


def running() -> Python:
    """Return the Python that runs this code, with the environment variables as they are."""
    folder = Path(sys.executable).parent
    return Python("", folder, missing=left_out(folder.parent))


def parse(name: str) -> tuple[str, bool]:
    """Parse a name of a Python; returns its version, and whether the JIT is on."""
    found = re.fullmatch(r"(3\.\d+)(-jit)?", name)
    if found is None:
        raise ValueError(f"{name!r} is no name of a Python; they are like 3.15 and 3.15-jit")
    return found[1], found[2] is not None


def set_up(name: str) -> Python:
    """Find a Python by name, and make its environment if there is none, which takes a minute or two."""
    version, jit = parse(name)
    if version == "{}.{}".format(*sys.version_info):
        folder = Path(sys.executable).parent.parent
    else:
        folder = ROOT / f".venv-bench-{version}"
        if not is_current(folder):
            _make(folder, version)
    python = Python(name, folder / "bin", {"PYTHON_JIT": "1" if jit else "0"}, left_out(folder))
    if jit and subprocess.run([python.executable, "-c", _JIT_CHECK], env={**os.environ, **python.environ}).returncode:
        raise ValueError(f"{name}: this Python was built without the JIT")
    return python


def _make(folder: Path, version: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "PYTHONPATH")}
    base = subprocess.run([ROOT / "tools/find-python", version], env=environ, stdout=subprocess.PIPE, text=True)
    if base.returncode:
        raise ValueError(f"there is no Python {version}")
    print(f"Setting up {folder.name} with Snakepit and its peers", file=sys.stderr, flush=True)
    command = [base.stdout.strip(), "-m", "benchmarks.environment", str(folder)]
    if subprocess.run(command, cwd=ROOT, env=environ).returncode:
        raise ValueError(f"{folder} could not be set up")
