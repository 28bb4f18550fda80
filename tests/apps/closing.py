"""An app whose interpreter can't be closed, since a finalizer, called then, does not end. It has an open file, and a
thread that still writes into it.

The query says what is done, and to which file: /?thread&FOLDER/file.
"""

import os
import threading
import time

file = None


class Lasting:
    def __del__(self):
        time.sleep(600)


def write_later():
    for count in range(5):
        time.sleep(0.1)
        file.write(f"and later {count}\n")


async def app(scope, receive, send):
    global file
    if scope["type"] != "http":
        raise RuntimeError("HTTP alone")
    what, _, path = scope["query_string"].decode().partition("&")
    if path:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT), "w")
        file.write("written\n")
        if what == "thread":
            threading.Thread(target=write_later).start()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


lasting = Lasting()
