"""Apps that go on only when a test says so, through pipes: the query string holds a file descriptor to write to once
they have begun, and one to read from before they go on. So no test has to guess how long something takes. The file
descriptors of a process are those of its interpreters, too."""

import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["path"] == "/stop-and-hold":  # the loop ends once this turn is over, and does not run again to clean up
        loop = asyncio.get_running_loop()
        loop.stop()
        loop.run_until_complete = no_more
    hold(scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"held"})


def no_more(future):
    raise RuntimeError("the loop is gone")


def wsgi(environ, start_response):
    hold(environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [b"held"]


def hold(query):
    if query:
        begun, go_on = map(int, query.split(","))
        os.write(begun, b"x")
        os.read(go_on, 1)
