"""A Flask app at /blog that has not moved on from Flask 2.3 yet."""

from importlib.metadata import version

from flask import Flask, url_for

app = Flask(__name__)
visits = []


@app.get("/")
def index():
    visits.append("blog")
    return {"app": "blog", "flask": version("flask"), "url": url_for("index"), "visits": visits}
