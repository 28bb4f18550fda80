"""Where the code of one request is."""

import asyncio
from typing import TYPE_CHECKING

from snakepit.errors import SnakepitError
from snakepit.stacks.text import lines_of, titled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.server.apps.app import App
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.stacks.stack import Stack


def find(apps: "Iterable[App]", number: int) -> "tuple[Exchange, App]":
    """Return the exchange with this number that is in progress, and its app. Raises SnakepitError."""
    for app in apps:
        for exchange in app.pool.queue.exchanges:
            if exchange.number == number:
                return exchange, app
    raise SnakepitError("This request is over")


async def wait_stack(apps: "Iterable[App]", number: int) -> str:
    """Return the stack of the exchange with this number. Raises SnakepitError if there is none."""
    exchange, _ = find(apps, number)
    worker = exchange.home
    if worker is None or not worker.has(exchange):
        raise SnakepitError("No worker has this request")
    answer: tuple[list[Stack], int] | None = await worker.watchdog.wait_stacks()
    if answer is None:
        raise SnakepitError("The worker does not answer: C code keeps its GIL, or the machine has too much to do")
    its = [stack for stack in answer[0] if stack.exchange == number]
    if not its:
        raise SnakepitError("No code runs for this request now: it waits for its turn in the worker")
    return await asyncio.to_thread(_text, its)  # which reads the sources


def _text(stacks: "Iterable[Stack]") -> str:
    """Write stacks for people, without Snakepit's own calls."""
    return "\n\n".join(
        "\n".join([titled(stack.kind, stack.name, stack.tasks), *lines_of(stack.calls, stack.ours, stack.waits_for)])
        for stack in stacks
    )
