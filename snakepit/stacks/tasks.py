"""The asyncio tasks of this interpreter: where they wait, and which exchanges they and other threads work for."""

import asyncio
import gc
import sys
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType
from typing import Any, cast

from snakepit.stacks.awaiting import chain_of
from snakepit.stacks.stack import Stack, exchange_in, stack_of

MOST_TASKS = 20_000
"""The most tasks that are looked at. Each takes 20 µs or more, and GIL with it."""

_EXCHANGE_VARIABLE = "snakepit_exchange"  # see worker.hangs.asgi_tasks

type Task = asyncio.Task[Any]


def of_tasks(loops: Iterable[asyncio.AbstractEventLoop]) -> tuple[list[Stack], dict[int, int], int]:
    """Return the stacks of the tasks of these loops, equal ones together, unless they work for exchanges.

    And the exchanges that wait for futures, by the futures' identities; and how many tasks are left out.
    """
    tasks = [task for loop in loops for task in _tasks_of(loop)]
    left_out = max(0, len(tasks) - MOST_TASKS)
    chains = {task: _chain_of(task) for task in tasks[:MOST_TASKS]}
    exchanges = {task: exchange_in(frames)[0] for task, (frames, _) in chains.items()}
    begun_first = sorted(chains, key=lambda task: (not exchanges[task], len(task.get_name()), task.get_name()))
    for task, (frames, future) in chains.items():
        for child in _children(frames, future):
            if not exchanges.get(child):
                exchanges[child] = exchanges[task]
    waited: dict[int, int] = {}
    stacks: dict[tuple[object, ...], Stack] = {}
    for task in begun_first:
        frames, future = chains[task]
        exchange = exchanges[task] or _exchange_of_waiting(task, exchanges) or _variable(task)
        if exchange:
            waited |= dict.fromkeys(map(id, _with_shielded(future)), exchange)
        stack = stack_of("task", task.get_name(), 0, frames, waits_for=_said(future))._replace(exchange=exchange)
        key = (exchange, *stack.calls)
        same = stacks.get(key)
        stacks[key] = stack if same is None else same._replace(tasks=same.tasks + 1)
    return list(stacks.values()), waited, left_out


def loops_in(threads: list[list[FrameType]]) -> set[asyncio.AbstractEventLoop]:
    """Find the event loops that run in threads, as far as their frames are Python's."""
    turn = vars(asyncio.BaseEventLoop)["_run_once"].__code__
    return {frame.f_locals["self"] for calls in threads for frame in calls if frame.f_code is turn}


def _variable(task: Task) -> int:
    for variable, value in task.get_context().items():
        if variable.name == _EXCHANGE_VARIABLE and isinstance(value, int):
            return value
    return 0


def _tasks_of(loop: asyncio.AbstractEventLoop) -> list[Task]:
    """Return the tasks of a loop that wait: the one that runs is on the stack of its thread."""
    try:
        running = asyncio.current_task(loop)
        return [task for task in asyncio.all_tasks(loop) if task is not running]
    except RuntimeError:  # 3.13: the set changes all the time
        return []


def _chain_of(task: Task) -> tuple[list[FrameType], "Task | asyncio.Future[Any] | None"]:
    """Return the frames of a waiting task, the outermost first, and the future that the innermost awaits."""
    frames, leaf = chain_of(task)
    found = (leaf, *gc.get_referents(leaf)) if leaf is not None else ()
    return frames, next((value for value in found if isinstance(value, asyncio.Future)), None)


def _children(frames: list[FrameType], future: object) -> list[Task]:
    """Return the tasks that `asyncio.gather` or the end of a task group waits for."""
    found = list(getattr(future, "_children", ()))
    for frame in frames:
        if frame.f_code in _ENDS_OF_GROUPS:
            found += getattr(frame.f_locals["self"], "_tasks", ())
    return [child for child in found if isinstance(child, asyncio.Task)]


_ENDS_OF_GROUPS = [
    vars(asyncio.TaskGroup)[name].__code__ for name in ("__aexit__", "_aexit") if name in vars(asyncio.TaskGroup)
]


def _exchange_of_waiting(task: Task, exchanges: dict[Task, int]) -> int:
    """Return the exchange of the task that waits for this one, in Python 3.14 and later, which keeps that."""
    seen = {task}
    todo = [task]
    while todo:
        for waiting in getattr(todo.pop(), "_asyncio_awaited_by", None) or ():
            if isinstance(waiting, asyncio.Task) and waiting not in seen:
                if exchange := exchanges.get(waiting, 0):
                    return exchange
                seen.add(waiting)
                todo.append(waiting)
    return 0


def _said(future: object) -> str:
    children = getattr(future, "_children", None)
    if isinstance(children, list):
        left = sum(not child.done() for child in children)
        return f"{left} of the {len(children)} that asyncio.gather() was given"
    return ""


# -- threads that work for tasks ---------------------------------------------------------------------------------------


def waiting_exchange(calls: list[FrameType], waited: dict[int, int]) -> int:
    """Return the exchange that waits for what a thread does; 0: none does, or that can't be told."""
    if waited:
        for frame in calls:
            for value in list(frame.f_locals.values()):
                for future in _futures(value):
                    if exchange := waited.get(id(future), 0):
                        return exchange
    return 0


def _with_shielded(future: "asyncio.Future[Any] | None") -> Iterator[object]:
    """Return a future, and those that it was made of by `asyncio.shield`."""
    if future is not None:
        yield future
        for callback, _ in cast("Any", future)._callbacks or ():
            yield from _in_closure(callback)


def _futures(value: Any) -> Iterator[object]:
    """Return the futures of asyncio that a value is, or that are completed when it is."""
    kind = type(value)  # not isinstance(), and no attribute access: some objects are proxies for others
    if kind is asyncio.Future:
        yield value
        return
    thread_pools = sys.modules.get("concurrent.futures.thread")
    if thread_pools is not None and kind is cast("Any", thread_pools)._WorkItem:
        for callback in list(value.future._done_callbacks):
            yield from _in_closure(callback)


def _in_closure(callback: object) -> Iterator[object]:
    for cell in callback.__closure__ or () if type(callback) is FunctionType else ():
        try:
            content = cell.cell_contents
        except ValueError:  # it is empty
            continue
        if isinstance(content, asyncio.Future):
            yield content
