"""A Flask app at /shop, with Flask 3.1."""

from importlib.metadata import version

from flask import Flask, url_for

app = Flask(__name__)
visits = []


@app.get("/")
def index():
    visits.append("shop")
    return {"app": "shop", "flask": version("flask"), "url": url_for("index"), "visits": visits}
