"""Plain WSGI: the answer is a generator, so it is streamed.

snakepit run wsgi:app --interpreters 2
curl http://127.0.0.1:8000
"""

import threading
import uuid

WORKER = uuid.uuid4().hex[:8]  # each worker imports this module, so each has its own


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}\n".encode()
    yield f"answered by worker {WORKER}, thread {threading.get_ident()}\n".encode()
