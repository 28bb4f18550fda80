"""Set up an environment with Snakepit and its peers: `python -m benchmarks.environment FOLDER`.

It is for the Python that runs this, which needs nothing but its standard library. Everything is installed in one go;
where pip refuses, which it does for all of it when one package can't be had for this Python, they are installed one by
one, and those that can't be are noted in the environment, with what pip says.
"""

import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

PROJECT = Path(__file__).parents[1]
MADE = "has-bench"  # the file in an environment that says it is complete, as Makefile has it
_LEFT_OUT = "left-out.json"


def set_up(folder: Path) -> None:
    """Make the environment anew, and print the packages that can't be installed to standard error."""
    venv.create(folder, with_pip=True, clear=True)
    _pip(folder, "install", "-U", "pip")
    packages = requirements((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    missing: dict[str, str] = {}
    if _pip(folder, "install", *packages, "-e", str(PROJECT)):
        if trouble := _pip(folder, "install", "-e", str(PROJECT)):
            sys.exit(f"Snakepit can't be installed into {folder}: {trouble}")
        for package in packages:
            if trouble := _pip(folder, "install", package):
                missing[package] = trouble
                print(f"{folder.name} does without {package}: {trouble}", file=sys.stderr, flush=True)
    (folder / _LEFT_OUT).write_text(json.dumps(missing, indent=2) + "\n")
    (folder / MADE).touch()


def requirements(pyproject: str) -> list[str]:
    """Read from the text of pyproject.toml what is installed: peers, frameworks, Snakepit's extra `fast`."""
    project = tomllib.loads(pyproject)
    group: list[str] = project["dependency-groups"]["bench"]
    fast: list[str] = project["project"]["optional-dependencies"]["fast"]
    return group + fast


def is_current(folder: Path) -> bool:
    """Return whether an environment is newer than pyproject.toml."""
    made = folder / MADE
    return made.exists() and made.stat().st_mtime >= (PROJECT / "pyproject.toml").stat().st_mtime


def left_out(folder: Path) -> dict[str, str]:
    """Return the packages that could not be installed into an environment, with pip's reasons."""
    try:
        found: dict[str, str] = json.loads((folder / _LEFT_OUT).read_text())
    except FileNotFoundError:
        return {}
    return found


def _pip(folder: Path, *arguments: str) -> str:
    """Run pip; returns the last line of its output if it fails, otherwise nothing."""
    command = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not result.returncode:
        return ""
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else f"status {result.returncode}"


if __name__ == "__main__":
    set_up(Path(sys.argv[1]))
