"""A FastAPI app that functions are called for in threads, which dwell when they have called one that asks for that.

`/anyio` is what a function that is no coroutine is, and `/asgiref` how Django calls one. They dwell where a thread
of the pool may be whenever Python changes threads: when the result has been told, and before the next call.
"""

import asyncio
import concurrent.futures
import queue
import threading
import time

from asgiref.sync import sync_to_async
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

LOOKED_AT = 0.4
"""Seconds after the time-out of a request, in which the watchdog looks for what runs: after 0.05, 0.15 and 0.35."""

app = FastAPI()
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


@app.get("/asgiref/late")
async def late_by_asgiref():
    await late(lambda function: sync_to_async(function)())


@app.get("/anyio")
def by_anyio():
    return "answered"


@app.get("/asgiref")
async def by_asgiref():
    return await sync_to_async(by_anyio)()


@app.get("/dwelling")
async def how_many_dwell():
    return len(dwelling)
