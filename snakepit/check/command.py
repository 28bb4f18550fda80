"""The parent process of a check: runs the check in a child process, which may crash, and prints the result."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakepit.c_extensions.copies import CopiesFolder, remove_left_over
from snakepit.check import gather, text
from snakepit.check.findings import Report
from snakepit.check.progress import FAULTS, INTERPRETERS, path_of, read
from snakepit.config import virtual_environment
from snakepit.config.app_reference import AppReference, find
from snakepit.config.environment import environ_of_app
from snakepit.config.options import Config
from snakepit.config.sources import ConfigFile
from snakepit.errors import AppError, ConfigError, SnakepitError
from snakepit.lazy_imports.tried import EXIST, Mode, chosen
from snakepit.system import working_directory
from snakepit.system.import_order import (
    add_folder,
    path_of_workers,
    standard_first,
    standard_modules,
    without_installed,
)

if TYPE_CHECKING:
    from snakepit.check.sandbox import ChildSettings

_CHILD = """
import json, sys
settings = json.load(sys.stdin)
if hasattr(sys, "set_lazy_imports"):
    sys.set_lazy_imports("normal")
sys.path[:] = settings["inside"]["own_path"]
from snakepit.check.sandbox import run
run(settings)
"""


def main(
    app: str | None,
    *,
    as_json: bool,
    verbose: bool,
    timeout: float,
    given: Mapping[str, Any],
    file: ConfigFile | None = None,
) -> int:
    """Check an app and print the findings on stdout; returns the exit status: 0, 2 or 3.

    Args:
        timeout: seconds that it may take.
        given: options of `Config`.
        file: the configuration file.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that Ctrl+C also removes folder and child
    try:
        config = Config.resolve(app, given, file)
        _refuse_several(config)
        folder = config.app_dir or working_directory.name()
        if folder:
            add_folder(folder)
        report = check(config, timeout)
    except SnakepitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    shown = json.dumps(report.as_json(), indent=2) + "\n" if as_json else text.render(report, verbose)
    sys.stdout.buffer.write(shown.encode(sys.stdout.encoding, "backslashreplace"))
    sys.stdout.flush()
    return 0 if report.ok else AppError.exit_status


def _refuse_several(config: Config) -> None:
    """Raise ConfigError for a configuration with several apps."""
    if config.apps:
        one = config.apps[0].config
        raise ConfigError(
            "the configuration file has several apps; name the one to check and its folder, as in "
            f"snakepit check {one.app} --app-dir {one.app_dir or '.'}"
        )


def check(config: Config, timeout: float) -> Report:
    """Import an app in isolated interpreters of another process. Raises ConfigError."""
    reference = find(config.app)
    remove_left_over()
    try:
        folder = CopiesFolder()
    except OSError as error:
        raise ConfigError(
            f"no temporary folder can be made: {error}; set TMPDIR to one that can be written to"
        ) from None
    try:
        lazy = chosen(config.lazy_imports)
        status = _run_child(config, reference, folder.path, timeout, lazy, INTERPRETERS)
        stories = list(_stories(folder.path))
        faults = Path(folder.path, FAULTS)
        told = faults.read_text(encoding="utf-8", errors="replace") if faults.exists() else ""
        if config.venv:  # from here on what is installed is looked up only to name it
            sys.path[:] = [*without_installed(sys.path), *virtual_environment.find(config.venv)["packages"]]
        crash = gather.crash(status, timeout, stories, told)
        report = gather.report(str(reference), config.extensions, stories, crash)
        return _with_lazy_imports(report, lazy[0], partial(_story, config, reference, folder.path, timeout))
    finally:
        folder.remove()


def _with_lazy_imports(report: Report, option: Mode, story: Callable[[Mode], gather.Story]) -> Report:
    """Add what lazy imports save, or a note if they prevent the app from being imported.

    `story` imports the app again with the given value of the option.
    """
    if not EXIST or (not report.ok and option == "off"):
        return report
    eager = story("off")
    if report.ok:
        compared: Mode = "auto" if option == "off" else option
        return replace(report, lazy_imports=gather.lazy_imports(option, compared, eager, story(compared)))
    if eager.interface is None:
        return report
    note = "With --lazy-imports off the app can be imported: it needs something at once that was lazy."
    return replace(report, notes=(*report.notes, note))


def _story(config: Config, reference: AppReference, folder: str, timeout: float, option: Mode) -> gather.Story:
    """Import the app in one interpreter of another process, with the given value of `--lazy-imports`."""
    folder = os.path.join(folder, option)
    os.mkdir(folder)
    _run_child(config, reference, folder, timeout, chosen(option), 1)
    return gather.story(1, read(path_of(folder, 1)))


def _stories(folder: str) -> Iterator[gather.Story]:
    """Return what happened in each interpreter: in the first two, and in those that were tried in place of one."""
    for number in count(1):
        path = path_of(folder, number)
        if number > INTERPRETERS and not os.path.exists(path):
            return
        yield gather.story(number, read(path))


def _run_child(
    config: Config,
    reference: AppReference,
    folder: str,
    timeout: float,
    lazy: tuple[Mode, list[str]],
    interpreters: int,
) -> int | None:
    """Run the child and return its exit status, as `subprocess` reports it; None if it had to be killed.

    Hide what the app prints if there is one interpreter, which only measures.
    """
    path = path_of_workers()
    venv = virtual_environment.find(config.venv) if config.venv else None
    settings: ChildSettings = {
        "inside": {
            "sys_path": without_installed(path) if venv is not None else path,
            "own_path": standard_first(path),
            "own_modules": standard_modules(),
            "venv": venv,
            "argv": list(sys.argv),
            "environ": environ_of_app(config),
            "module": reference.module,
            "attribute": reference.attribute,
            "factory": config.factory,
            "interface": config.interface,
            "extensions": config.extensions,
            "copies": folder,
            "lazy_imports": lazy[0],
            "lazy_libraries": lazy[1],
        },
        "folder": folder,
        "timeout": timeout,
        "interpreters": interpreters,
    }
    # -P: a file json.py in the working directory must not be imported. What the app prints goes to stderr, out of the
    # way.
    shown = interpreters > 1
    command = [sys.executable, "-P", "-c", _CHILD]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=2 if shown else subprocess.DEVNULL,
        stderr=None if shown else subprocess.DEVNULL,
    )
    try:
        child.communicate(json.dumps(settings).encode(), timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return child.returncode
