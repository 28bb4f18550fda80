"""A Flask app, a Django app and a bare one that send the file in FILE, and say when they were told that it is over."""

# ruff: noqa: SIM115  # whoever gets the files closes them

import gzip
import os
import sys
import tempfile

from django.conf import settings
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse
from django.urls import path
from flask import Flask, send_file
from werkzeug.middleware.dispatcher import DispatcherMiddleware

FILE = os.environ["FILE"]


def say(what):
    print(what, file=sys.stderr, flush=True)


flask = Flask(__name__)


@flask.get("/file")
def flask_file():
    return send_file(FILE, mimetype="application/octet-stream", conditional=True)


settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="only for tests", ALLOWED_HOSTS=["*"])
urlpatterns = [path("file", lambda request: FileResponse(open(FILE, "rb")))]
request_finished.connect(lambda **_: say("django closed"), weak=False)


class Told:
    """A file as an app may have it, which tells that it is closed."""

    def __init__(self, file):
        self.file = file
        self.read = file.read

    def close(self):
        self.file.close()
        say("bare closed")


def unlinked():
    file = tempfile.TemporaryFile()
    with open(FILE, "rb") as source:
        file.write(source.read())
    file.seek(0)
    return file


def replaced():
    copy = f"{FILE}.copy"
    with open(FILE, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    file = open(copy, "rb")
    with open(f"{copy}.new", "wb") as other:
        other.write(b"something else" * 100_000)
    os.replace(f"{copy}.new", copy)
    return file


def in_the_middle():
    file = open(FILE, "rb")
    file.read(10)
    return file


def packed():
    with gzip.open(f"{FILE}.gz", "wb", compresslevel=1) as target, open(FILE, "rb") as source:
        target.write(source.read())
    return gzip.open(f"{FILE}.gz", "rb")


FILES = {
    "/unlinked": unlinked,
    "/replaced": replaced,
    "/middle": in_the_middle,
    "/packed": packed,
    "/whole": lambda: open(FILE, "rb"),
}


def bare(environ, start_response):
    length = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Length", length)] if length else [])
    result = environ["wsgi.file_wrapper"](Told(FILES[environ["PATH_INFO"]]()), 8192)
    return (block for block in result) if "HTTP_ITERATE" in environ else result


app = DispatcherMiddleware(bare, {"/flask": flask, "/django": get_wsgi_application()})
