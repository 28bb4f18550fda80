"""Flask: a module's global counts the requests of its own worker only.

pip install flask
snakepit run flask_app:app --interpreters 2
curl http://127.0.0.1:8000/hello/Ada
"""

import itertools
import uuid

from flask import Flask

app = Flask(__name__)
worker = uuid.uuid4().hex[:8]  # each worker imports this module, so each has its own
count = itertools.count(1)


@app.get("/")
@app.get("/hello/<name>")
def hello(name="world"):
    return {"hello": name, "worker": worker, "requests": next(count)}
