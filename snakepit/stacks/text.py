"""Stacks as text for people, as `snakepit stacks`, `snakepit top` and the live page show them."""

import linecache
from collections.abc import Iterator, Sequence

from snakepit.system.words import printable


def titled(kind: str, name: str, tasks: int) -> str:
    """Name a thread or a task, and say how many more tasks are at the same place."""
    shown = f"{kind} {printable(name)}"
    return shown if tasks < 2 else f"{shown}, and {tasks - 1} more at the same place"


def lines_of(
    calls: Sequence[tuple[str, int, str]], ours: Sequence[bool], waits_for: str, show_all: bool = False
) -> Iterator[str]:
    """Yield the calls, each with its line of the source, and what the innermost is at. Reads the sources.

    Args:
        calls: file, line and function of each, the outermost first.
        ours: which of them are not the app's; they are left out, unless there are no others.
        waits_for: as in a `Stack`.
        show_all: leave none out.
    """
    shown = [call for call, hidden in zip(calls, ours, strict=True) if show_all or not hidden] or calls[-1:]
    for file, line, function in shown:
        yield f'  File "{printable(file)}", line {line}, in {function}'
        if source := linecache.getline(file, line).strip():
            yield f"    {source}"
    if calls and ours[-1] and calls[-1] is not shown[-1]:
        yield f"  in Snakepit: {calls[-1][2]}"
    if waits_for:
        yield f"  waits for {waits_for}"
