"""Programs with an embedded server, one for each name. Run as `python embedded.py NAME RUNTIME ARGUMENTS`."""

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
import time

import snakepit

if __name__ != "__main__" and os.environ.get("SLOW_IMPORT"):
    print("importing", file=sys.stderr, flush=True)
    time.sleep(60)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            print(f"lifespan {phase}", file=sys.stderr, flush=True)
            await send({"type": f"lifespan.{phase}.complete"})
        return
    if scope["path"] != "/":
        print("begun", file=sys.stderr, flush=True)
    if scope["path"] == "/wait":
        await asyncio.sleep(60)
    elif scope["path"] == "/hang":
        time.sleep(60)  # in C code: no exception ends it
    elif scope["path"] == "/daemon":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def wsgi(environ, start_response):
    if environ["PATH_INFO"] != "/":
        print("begun", file=sys.stderr, flush=True)
    if environ["PATH_INFO"] == "/hang":
        time.sleep(60)
    start_response("200 OK", [])
    return [b"hello"]


def options(**more):
    return {"port": 0, "interpreters": 1, "runtime": sys.argv[2], **more}


def server(target=app, **more):
    return snakepit.Server(snakepit.Config(target, **options(**more)))


def end_program():
    """Wait until the test says so, which it does by a file, and end in the way that it says."""
    atexit.register(print, "exit handler", file=sys.stderr)
    end = sys.argv[3]
    while not os.path.exists("go"):
        time.sleep(0.01)
    if end == "exit":
        sys.exit(3)
    if end == "raise":
        raise SystemExit("some text")
    if end == "fail":
        raise RuntimeError("the program's own")


def run_in_thread(daemon=True):
    target = globals()[sys.argv[4]] if len(sys.argv) > 4 else app
    threading.Thread(target=lambda: snakepit.run(target, **options()), daemon=daemon).start()
    end_program()


def serve_in_thread():
    embedded = server(globals()[sys.argv[4]] if len(sys.argv) > 4 else app)
    threading.Thread(target=lambda: asyncio.run(embedded.serve()), daemon=True).start()
    end_program()


def run_in_ordinary_thread():
    threading._register_atexit(print, "the main thread waits", file=sys.stderr)
    run_in_thread(daemon=False)


def loop_that_stops():
    """A loop that is left with the server in it, as notebooks may."""
    embedded, loop = server(), asyncio.new_event_loop()
    loop.create_task(embedded.serve())
    loop.run_until_complete(asyncio.to_thread(end_program))


def after_it():
    """The program goes on after a server that could not close everything."""
    snakepit.run(app, **options(timeout_graceful_shutdown=0.2))
    print("returned", file=sys.stderr, flush=True)
    end_program()


async def several():
    """Two servers in one loop, and one in a thread."""
    first, second, third = servers = [server() for _ in range(3)]
    in_thread = threading.Thread(target=lambda: asyncio.run(third.serve()))
    in_thread.start()
    serving = [asyncio.create_task(one.serve()) for one in (first, second)]
    while not all(one.address and one.statistics().state == "serving" for one in servers):
        await asyncio.sleep(0.01)
    print("all serve:", *(one.address for one in servers), file=sys.stderr, flush=True)
    await asyncio.gather(*serving)
    await asyncio.to_thread(in_thread.join)
    print("all have ended", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where a shell runs tests in the background
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
    program = globals()[sys.argv[1]]
    asyncio.run(program()) if program is several else program()
