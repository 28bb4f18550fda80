"""What a browser shows while no version of the app can be started: only with `--reload`, for it tells of the code."""

from html import escape

from snakepit.http.fields import render
from snakepit.wire.page_script import tag

FIELDS = render([(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")])

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The app can't be started</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 60rem; padding: 0 1rem }}
pre {{ background: #f4f4f4; color: #222; overflow-x: auto; padding: 1rem }}
</style>
</head>
<body>
<h1>The app can't be started</h1>
<pre>{fault}</pre>
<p>Snakepit tries again when a file changes.</p>
</body>
</html>
"""


def body(fault: str, script: str = "") -> bytes:
    """The page that shows a fault, which may hold anything. `script`: the address of one that reloads it."""
    page = _PAGE.format(fault=escape(fault)).encode("utf-8", "backslashreplace")
    return page + tag(script) if script else page
