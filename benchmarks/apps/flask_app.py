import time

from flask import Flask

from benchmarks.apps.work import burn, worker_slowly

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, world!"


@app.get("/wait")
def wait():
    time.sleep(0.02)
    return "Hello, world!"


@app.get("/burn-20ms")
def burn_20ms():
    burn(0.02)
    return "Hello, world!"


@app.get("/worker")
def worker():
    return worker_slowly()
