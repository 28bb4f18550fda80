"""Where all workers and the main interpreter are: `snakepit stacks`."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError
from snakepit.server.inspection.requests import described
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.watchdog_line import STACK_SECONDS
from snakepit.stacks.stack import Stack
from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.server.apps.app import App
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.workers.worker import WorkerHandle

type Found = list[tuple["App", "WorkerHandle"]]


def workers_of(apps: "Iterable[App]", number: int | None, name: str | None) -> Found:
    """Return the workers that have not ended: all, or those of an app, or with a number. Raises SnakepitError."""
    apps = list(apps)
    chosen = [app for app in apps if name is None or app.name == name]
    if not chosen:
        names = ", ".join(app.name for app in apps) or "none now"
        raise SnakepitError(f"There is no app called {name!r}; the apps are: {names}")
    workers = [(app, worker) for app in chosen for worker in app.pool.unended]
    found = [(app, worker) for app, worker in workers if number is None or worker.number == number]
    if number is not None and not found:
        numbers = sorted({worker.number for _, worker in workers})
        raise SnakepitError(f"There is no worker {number}; there are: {', '.join(map(str, numbers)) or 'none now'}")
    return found


async def wait_stacks(workers: Found, loop: asyncio.AbstractEventLoop, with_main: bool) -> dict[str, Any]:
    """Return the stacks of workers, each beside the request that it works for, and those of the main interpreter.

    With the runtime "thread", these are among those of the workers.
    """
    told = await asyncio.gather(*(worker.watchdog.wait_stacks() for _, worker in workers))
    main: list[Stack] = []
    if with_main and not any(app.config.runtime == "thread" for app, _ in workers):
        with StandardLibraryFirst():
            from snakepit.stacks.snapshot import snapshot  # and with it ctypes
        main, _ = snapshot(loop)
    seen: set[int] = set()  # threads: with the runtime "thread" each worker sees all
    found = []
    for (app, worker), answer in zip(workers, told, strict=True):
        stacks, left_out = ([], 0) if answer is None else answer
        if app.config.runtime == "thread":
            stacks = _own(stacks, worker, seen)
        found.append(_of_worker(app, worker, stacks, left_out, answer is not None))
    return {"workers": found, "main": [_told(stack, {}) for stack in main]}


def _own(stacks: list[Stack], worker: "WorkerHandle", seen: set[int]) -> list[Stack]:
    """Leave out what belongs to another worker of this process, or was told of it already."""
    own = [
        stack
        for stack in stacks
        if stack.exchange in worker.exchanges or not (stack.exchange or (stack.ident and stack.ident in seen))
    ]
    seen.update(stack.ident for stack in own if stack.ident)
    return own


def _of_worker(
    app: "App", worker: "WorkerHandle", stacks: list[Stack], left_out: int, answered: bool
) -> dict[str, Any]:
    at = {stack.exchange for stack in stacks}
    waiting = [exchange for number, exchange in worker.exchanges.items() if number not in at]
    return {
        "number": worker.number,
        "app": app.name,
        "state": worker.state.name.lower(),
        "pid": worker.thread.process or os.getpid(),
        "answered": answered,
        "trouble": "" if answered else _trouble(worker),
        "stacks": [_told(stack, worker.exchanges) for stack in stacks],
        "left_out": left_out,
        "requests_without_stack": [described(exchange) for exchange in waiting],
    }


def _trouble(worker: "WorkerHandle") -> str:
    if worker.state is WorkerState.STARTING:
        return f"it is starting, and did not answer within {STACK_SECONDS:g} s"
    pid = worker.thread.process or os.getpid()
    return (
        f"it did not answer within {STACK_SECONDS:g} s: most likely C code keeps its GIL. From outside, "
        f"its stacks can be seen by: pystack remote --native {pid}, or gdb -p {pid} -batch -ex 'thread apply all bt'"
    )


def _told(stack: Stack, exchanges: "dict[int, Exchange]") -> dict[str, Any]:
    exchange = exchanges.get(stack.exchange)
    return {
        "kind": stack.kind,
        "name": stack.name,
        "tasks": stack.tasks if stack.kind == "task" else 0,
        "idle": stack.is_idle,
        "request": None if exchange is None else described(exchange),
        "waits_for": stack.waits_for,
        "calls": [
            {"file": file, "line": line, "function": function, "ours": ours}
            for (file, line, function), ours in zip(stack.calls, stack.ours, strict=True)
        ],
    }
