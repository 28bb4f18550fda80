"""A WSGI app that starts an ordinary thread which does not end for a long time."""

import threading
import time

threading.Thread(target=time.sleep, args=(60,), daemon=False).start()


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
