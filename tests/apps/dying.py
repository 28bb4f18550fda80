"""An ASGI app and a WSGI app that do to their process what an app should not, for the tests of process workers."""

import asyncio
import ctypes
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

for flag in filter(None, [os.environ.get("IMPORT_WAITS_FOR")]):
    print(f"importing in {os.getpid()}", file=sys.stderr, flush=True)
    while not Path(flag).exists():
        time.sleep(0.01)


def say(what):
    print(f"{what} in {os.getpid()}", file=sys.stderr, flush=True)


def pid():
    return os.getpid()


def segfault():
    ctypes.string_at(0)


def exit7():
    os._exit(7)


def exit0():
    os._exit(0)


def spin():
    say("spinning")
    while True:
        pass


def spin_in_c():
    """Keeps the GIL without end."""
    say("spinning")
    re.match(r"(a+)+$", "a" * 60 + "b")


def stdin():
    return [sys.stdin.read(), os.read(0, 10).decode()]


def sockets():
    return sorted(sockets_of("self"))


def sockets_of(process):
    folder = f"/proc/{process}/fd"
    for name in os.listdir(folder):
        try:
            link = os.readlink(f"{folder}/{name}")
        except OSError:
            continue  # the one that lists the folder
        if link.startswith("socket:"):
            yield link


def child_sockets():
    """Those that a program gets which the app starts and gives all that can be inherited."""
    process = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        return sorted(sockets_of(process.pid))
    finally:
        process.kill()
        process.wait()


def fork():
    """A process that outlives this one and has all of its sockets."""
    forked = os.fork()
    if not forked:
        time.sleep(60)
        os._exit(0)
    return forked


ACTIONS = {
    "/" + function.__name__.replace("_", "-"): function
    for function in (pid, segfault, exit7, exit0, spin, spin_in_c, stdin, sockets, child_sockets, fork)
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if path in ACTIONS:
        body = json.dumps(ACTIONS[path]()).encode()
        await send(start)
        await send({"type": "http.response.body", "body": body})
    else:
        begins = path == "/begin-and-hold"
        if begins:
            await send(start)
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        say("holding")
        await asyncio.sleep(float(scope["query_string"] or 60))
        if not begins:
            await send(start)
        await send({"type": "http.response.body", "body": b"held"})


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path in ACTIONS:
        body = json.dumps(ACTIONS[path]()).encode()
        start_response("200 OK", [])
        return [body]
    return wsgi_hold(environ, start_response)


def wsgi_hold(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/begin-and-hold":
        yield b"begun"
    say("holding")
    time.sleep(float(environ["QUERY_STRING"] or 60))
    yield b"held"
