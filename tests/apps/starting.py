"""What never gets ready, as STARTING says: in its import, or in its lifespan start-up. It says when it has begun."""

import asyncio
import os
import socket
import sys
import time

HOW = os.environ["STARTING"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def wait(how):
    say("begun")
    if how == "sleeps":
        time.sleep(600)
    elif how == "tries":
        while True:
            time.sleep(0.05)
    elif how == "connects":  # to a database that does not answer
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
            sock.recv(1)


if HOW.startswith("import"):
    try:
        wait(HOW.removeprefix("import "))
    finally:
        say("tidied up")


async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    try:
        if HOW == "lifespan waits" or HOW == "lifespan tidies up slowly":
            say("begun")
            await asyncio.sleep(600)
        else:
            wait(HOW.removeprefix("lifespan "))
    finally:
        if HOW == "lifespan tidies up slowly":
            await asyncio.sleep(1.5)
        say("tidied up")
