"""`snakepit stacks`, `slow` and `profile`: what a running server tells of the code that it runs."""

import json
from typing import Any

from snakepit.control.commands import connected
from snakepit.control.stacks_text import render as render_stacks


def stacks(
    worker: int | None, app: str | None, show_all: bool, as_json: bool, name: str | None, pid: int | None
) -> None:
    """Print the stacks of the workers."""
    with connected(name, pid) as server:
        answer = server.ask("stacks", **_chosen(worker, app))
        found = {"workers": answer["workers"], "main": answer["main"]}
        print(json.dumps(found, indent=2) if as_json else render_stacks(found, show_all))


def _chosen(worker: int | None, app: str | None) -> dict[str, Any]:
    """Return the arguments of a command that say which workers are meant."""
    given = {"worker": worker, "app": app}
    return {name: value for name, value in given.items() if value is not None}
