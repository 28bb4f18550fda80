"""The app of one tenant."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"app": "acme", "tenant": os.environ["TENANT"]}
