"""A FastAPI app with threads that call functions, and dwell when they have called one that asks for it.

`/anyio` is a function that is no coroutine, and `/asyncio` calls one in an executor of one thread. Threads dwell where
they may be whenever Python changes threads: when they have told the result, and before the next call.
"""

import asyncio
import concurrent.futures
import queue
import threading
import time

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

LOOKED_AT = 0.4
"""Seconds after the time-out of a request, in which the watchdog looks for what runs: after 0.05, 0.15 and 0.35."""

app = FastAPI()
executor = concurrent.futures.ThreadPoolExecutor(1)
thread = threading.local()
dwelling = set()


class Stay:
    """Lasts until it is over."""

    over = False


def after(method):
    """Let a thread dwell after this method, if it is asked to."""

    def called(self, *args):
        method(self, *args)
        stay = vars(thread).pop("stay", None)
        if stay is not None:
            try:
                while not stay.over:
                    time.sleep(0.001)
            finally:
                dwelling.discard(stay)

    return called


queue.Queue.task_done = after(queue.Queue.task_done)
concurrent.futures.Future.set_result = after(concurrent.futures.Future.set_result)


async def late(call):
    stay = Stay()
    dwelling.add(stay)
    await call(lambda: vars(thread).update(stay=stay))
    try:
        await asyncio.sleep(1000)
    finally:
        asyncio.get_running_loop().call_later(LOOKED_AT, lambda: vars(stay).update(over=True))


@app.get("/anyio/late")
async def late_by_anyio():
    await late(run_in_threadpool)


@app.get("/asyncio/late")
async def late_by_asyncio():
    await late(to_thread)


@app.get("/anyio")
def by_anyio():
    return "answered"


@app.get("/asyncio")
async def by_asyncio():
    return await to_thread(by_anyio)


async def to_thread(function):
    asyncio.get_running_loop().set_default_executor(executor)
    return await asyncio.to_thread(function)


@app.get("/dwelling")
async def how_many_dwell():
    return len(dwelling)
