"""The page that a browser shows while no version of the app can start: only with `--reload`, since it shows code."""

from html import escape
from typing import TYPE_CHECKING

from snakepit.http.fields import render
from snakepit.server.responders.responder import Responder
from snakepit.wire.page_script import tag

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.responders.failure_page import FailurePage

_FIELDS = render([(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")])

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


class Unavailable(Responder):
    """A responder that answers every request with 500, and a page that shows the error.

    Args:
        fault: the error's text, with any contents.
        script: the address of a script that reloads the page; empty: there is none.
        shown: what `--debug` shows instead; None: nothing.
    """

    def __init__(self, fault: str, script: str = "", shown: "FailurePage | None" = None) -> None:
        self._shown = shown
        page = _PAGE.format(fault=escape(fault)).encode("utf-8", "backslashreplace")
        self._page = page + tag(script) if script else page

    def takes(self, head: "RequestHead") -> bool:
        return True

    def submit(self, exchange: "Exchange") -> None:
        if self._shown is not None:
            self._shown.answer(exchange, 500)
        else:
            exchange.reply(500, _FIELDS, self._page)

    def withdraw(self, exchange: "Exchange") -> None:
        """Do nothing: no exchange is kept."""
