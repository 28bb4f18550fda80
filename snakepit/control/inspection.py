"""`snakepit stacks` and `slow`: what a running server tells of the code that it runs."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from snakepit.control.commands import connected
from snakepit.control.slow_text import render as render_slow
from snakepit.control.speedscope import speedscope
from snakepit.control.stacks_text import render as render_stacks
from snakepit.errors import ConfigError
from snakepit.system.version import __version__
from snakepit.system.words import counted


def stacks(
    worker: int | None, app: str | None, show_all: bool, as_json: bool, name: str | None, pid: int | None
) -> None:
    """Print the stacks of the workers."""
    with connected(name, pid) as server:
        answer = server.ask("stacks", **_chosen(worker, app))
        found = {"workers": answer["workers"], "main": answer["main"]}
        print(json.dumps(found, indent=2) if as_json else render_stacks(found, show_all))


def slow(show_all: bool, as_json: bool, name: str | None, pid: int | None) -> None:
    """Print the slowest requests of the last minutes."""
    with connected(name, pid) as server:
        found = server.ask("slow")["requests"]
        print(json.dumps(found, indent=2) if as_json else render_slow(found, show_all))


def profile(
    seconds: float, output: str, worker: int | None, app: str | None, name: str | None, pid: int | None
) -> None:
    """Sample what the workers do, and write that to a file."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # otherwise it ends commands at once
    with connected(name, pid) as server:
        if output.lower().endswith(".svg"):
            raise ConfigError(f"{output}: a profile is JSON for speedscope, which can draw it: use -o NAME.json")
        try:
            answer = server.ask("profile", seconds=seconds, **_chosen(worker, app))
        except KeyboardInterrupt:
            with connected(None, server.entry.pid) as another:
                another.ask("end-profile")
            answer = server.wait_answer()
        workers = answer["workers"]
        missing = [found for found in workers if not found["answered"]]
        for found in missing:
            print(f"Worker {found['number']} of {found['app']} did not answer; the profile lacks it", file=sys.stderr)
        written = speedscope(workers, f"snakepit profile, {len(workers)} workers", f"snakepit {__version__}")
        try:
            Path(output).write_text(json.dumps(written), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{output} can't be written: {error.strerror or error}") from None
        print(f"{output} shows {counted(len(written['profiles']), 'thread')}; open it at https://www.speedscope.app")


def _chosen(worker: int | None, app: str | None) -> dict[str, Any]:
    """Return the arguments of a command that say which workers are meant."""
    given = {"worker": worker, "app": app}
    return {name: value for name, value in given.items() if value is not None}
