"""The server started by a script. Workers import the script too; the last block keeps them from starting servers.

SNAKEPIT_PORT=8001 python in_code.py
curl http://127.0.0.1:8001
"""

import uuid

import snakepit

WORKER = uuid.uuid4().hex[:8]  # each worker imports this module, so each has its own


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"answered by worker {WORKER}, run as {__name__}\n".encode()]


if __name__ == "__main__":
    snakepit.run(app, interpreters=2)  # options that are not given here come from SNAKEPIT_... variables
