"""A WSGI app that starts a daemon thread which never ends, and one that an exit handler ends."""

import atexit
import threading

stop = threading.Event()
threading.Thread(target=threading.Event().wait, daemon=True, name="endless").start()
threading.Thread(target=stop.wait, daemon=True, name="polite").start()
atexit.register(stop.set)


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
