"""A snapshot: where all threads and asyncio tasks of this interpreter are, and which exchanges they work for.

A thread or a task works for an exchange if Snakepit's call of the app for it is on its stack. So does a task that such
a task waits for, and a thread that is to complete a future that it waits for (see `snakepit.stacks.tasks`).
"""

import sys
from types import FrameType
from typing import TYPE_CHECKING

from snakepit.stacks.stack import Stack, stack_of
from snakepit.stacks.thread_frames import BOOTSTRAP, calls_of, innermost, thread_of

if TYPE_CHECKING:
    import asyncio

MOST_STACKS = 400
"""The most stacks of a snapshot; what is left out is counted. Equal ones of tasks count as one."""


def snapshot(loop: "asyncio.AbstractEventLoop | None" = None) -> tuple[list[Stack], int]:
    """Return the stacks of this interpreter's other threads, and of tasks; and how many are left out.

    `loop`: one that runs, and whose frames are not Python's. Reads no file, and takes no lock that other threads take.
    """
    threads = [calls_of(frame) for frame in innermost()]
    stacks = [_of_thread(calls) for calls in threads]
    left_out = 0
    if "asyncio" in sys.modules:  # which takes memory in each interpreter
        from snakepit.stacks.tasks import loops_in, of_tasks, waiting_exchange

        found, waited, left_out = of_tasks(loops_in(threads) if loop is None else {*loops_in(threads), loop})
        stacks = [
            stack if stack.exchange else stack._replace(exchange=waiting_exchange(calls, waited))
            for stack, calls in zip(stacks, threads, strict=True)
        ]
        stacks += sorted(found, key=lambda stack: (0, stack.exchange) if stack.exchange else (1, -stack.tasks))
    return stacks[:MOST_STACKS], left_out + sum(stack.tasks for stack in stacks[MOST_STACKS:])


def _of_thread(frames: list[FrameType]) -> Stack:
    outermost = frames[-1]
    thread = thread_of(outermost)
    name, ident = ("that is not Python's", 0) if thread is None else (thread.name, thread.ident or 0)
    return stack_of("thread", name, ident, frames[::-1], is_thread=outermost.f_code is BOOTSTRAP)
