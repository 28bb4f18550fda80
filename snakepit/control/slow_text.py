"""What `snakepit slow` prints for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from snakepit.control.text import duration
from snakepit.system.table import aligned
from snakepit.system.words import counted

MOST_LINES = 30
"""The most requests that are shown; --json has all."""

_HEADINGS = ("SECONDS", "STATUS", "STATE", "WORKER", "ENDED", "REQUEST")


def render(requests: Sequence[Mapping[str, Any]], show_all: bool) -> str:
    """Render a line for each request, the slowest first; `show_all`: those too that were being answered in time."""
    chosen = [request for request in requests if show_all or not request["streams"]]
    lines = aligned([_HEADINGS, *map(_row, chosen[:MOST_LINES])]) if chosen else ["No slow requests"]
    more = len(chosen) - MOST_LINES
    hints = [f"{more} more; --json has all"] if more > 0 else []
    if streams := len(requests) - len(chosen):
        hints.append(f"{counted(streams, 'request')} left out whose answers began in time; --all shows all")
    if any(request["ended_ago"] is None for request in chosen):
        hints.append("snakepit stacks shows where those in progress are")
    return "\n".join([*lines, *([""] if hints else []), *hints])


def _row(request: Mapping[str, Any]) -> tuple[str, ...]:
    ended = request["ended_ago"]
    return (
        f"{request['seconds']:.1f}",
        str(request["status"] or ""),
        request["state"],
        request["worker"],
        "" if ended is None else f"{duration(ended)} ago",
        _printable(f"{request['method']} {request['path']}"),
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
