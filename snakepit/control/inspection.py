"""`snakepit stacks`, `slow` and `profile`: what a running server tells of the code that it runs."""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakepit.control.commands import connected
from snakepit.control.flame_graph import flame_graph
from snakepit.control.sampled import SampledThread, threads_of
from snakepit.control.slow_text import render as render_slow
from snakepit.control.speedscope import speedscope
from snakepit.control.stacks_text import render as render_stacks
from snakepit.errors import ConfigError
from snakepit.system.version import __version__
from snakepit.system.words import counted


def stacks(
    worker: int | str | None, app: str | None, show_all: bool, as_json: bool, name: str | None, pid: int | None
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
    seconds: float, output: str, worker: int | str | None, app: str | None, name: str | None, pid: int | None
) -> None:
    """Sample what the workers and the main interpreter do, and write that to a file."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # otherwise it ends commands at once
    with connected(name, pid) as server:
        try:
            answer = server.ask("profile", seconds=seconds, **_chosen(worker, app))
        except KeyboardInterrupt:
            with connected(None, server.entry.pid) as another:
                another.ask("end-profile")
            answer = server.wait_answer()
        threads = threads_of(answer)
        for found in answer["workers"]:
            if trouble := _trouble(found):
                print(f"Worker {found['number']} of {found['app']} {trouble}", file=sys.stderr)
        workers = counted(len(answer["workers"]), "worker")
        is_drawing = output.lower().endswith(".svg")
        try:
            Path(output).write_text((_drawn if is_drawing else _listed)(threads, workers), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{output} can't be written: {error.strerror or error}") from None
        where = "in a browser" if is_drawing else "at https://www.speedscope.app"
        print(f"{output} shows {counted(len(threads), 'thread')}; open it {where}")


def _drawn(threads: list[SampledThread], workers: str) -> str:
    return flame_graph(threads, f"snakepit profile, {workers}")


def _listed(threads: list[SampledThread], workers: str) -> str:
    return json.dumps(speedscope(threads, f"snakepit profile, {workers}", f"snakepit {__version__}"))


def _trouble(worker: Mapping[str, Any]) -> str:
    """Say what the profile lacks of a worker; empty: nothing."""
    if worker["ended_after"] is None:
        return "" if worker["answered"] else "did not answer; the profile lacks it"
    when = f"ended after {worker['ended_after']:.1f} s"
    return f"{when}; the profile has what it did until then" if worker["answered"] else f"{when}; the profile lacks it"


def _chosen(worker: int | str | None, app: str | None) -> dict[str, Any]:
    """Return the arguments of a command that say which workers are meant."""
    given = {"worker": worker, "app": app}
    return {name: value for name, value in given.items() if value is not None}
