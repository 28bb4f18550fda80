"""`snakepit stacks` and `slow`: what a running server tells of the code that it runs."""

import json
from typing import Any

from snakepit.control.commands import connected
from snakepit.control.slow_text import render as render_slow
from snakepit.control.stacks_text import render as render_stacks


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


def _chosen(worker: int | None, app: str | None) -> dict[str, Any]:
    """Return the arguments of a command that say which workers are meant."""
    given = {"worker": worker, "app": app}
    return {name: value for name, value in given.items() if value is not None}
