"""The app of another tenant."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"app": "globex", "tenant": os.environ["TENANT"]}
