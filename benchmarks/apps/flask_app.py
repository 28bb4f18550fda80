import time

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, world!"


@app.get("/wait")
def wait():
    time.sleep(0.02)
    return "Hello, world!"
