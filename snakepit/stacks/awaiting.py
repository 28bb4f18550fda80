"""Finds the stack of a waiting task: its coroutine, what that awaits, and so on to the innermost.

A suspended coroutine has an attribute for what it awaits, and so do generators. Objects between them (`anext()`, a
future's own iterator, objects with an `__await__`) have none, but the garbage collector knows what they refer to.

Imported only if code hangs.
"""

import asyncio
import gc
from traceback import FrameSummary
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

MOST_CALLS = 1000
"""The most calls that are followed: Python's own recursion limit."""

type Link = CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]


def stack_of(task: "asyncio.Task[Any]") -> list[FrameSummary]:
    """Return the stack of a waiting task, the outermost call first. Reads no file."""
    found, _ = chain_of(task)
    return [
        FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, lookup_line=False)
        for frame in found
    ]


def chain_of(task: "asyncio.Task[Any]") -> tuple[list[FrameType], object]:
    """Return the frames of a waiting task, the outermost first, and what the innermost awaits."""
    found: list[FrameType] = []
    link: object = task
    for _ in range(MOST_CALLS):  # tasks may wait for each other in a cycle
        suspended = _link(link)
        if suspended is None:
            break
        frame, link = _frame_and_next(suspended)
        if frame is not None:
            found.append(frame)
    return found, link


def _frame_and_next(link: Link) -> tuple[FrameType | None, object]:
    """Return the frame of a suspended object, and the object that it waits for."""
    if isinstance(link, CoroutineType):
        return link.cr_frame, link.cr_await
    if isinstance(link, GeneratorType):
        return link.gi_frame, link.gi_yieldfrom
    return link.ag_frame, link.ag_await


def _link(awaited: object) -> Link | None:
    """Return the coroutine or generator that this object is, or refers to."""
    for found in (awaited, *gc.get_referents(awaited)):
        if isinstance(found, asyncio.Task):
            found = found.get_coro()
        if isinstance(found, (CoroutineType, GeneratorType, AsyncGeneratorType)):
            return found
    return None
