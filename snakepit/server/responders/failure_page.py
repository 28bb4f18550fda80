"""What `--debug` shows of an app that can't be started: the page that its worker has made to browsers, else text."""

from typing import TYPE_CHECKING

from snakepit.errors import AppError
from snakepit.http.accept import names
from snakepit.server.responders.responder import answer
from snakepit.wire.error_page import HTML, fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit.errors import SnakepitError
    from snakepit.server.exchanges.exchange import Exchange


class FailurePage:
    """A page, and the text in its place for clients that do not ask for HTML.

    Args:
        has_script: the page has the server's script that reloads it.
    """

    def __init__(self, page: bytes, text: str, has_script: bool) -> None:
        self._page = page
        self._text = f"{text}\n".encode("utf-8", "backslashreplace")
        self._has_script = has_script

    def answer(self, exchange: "Exchange", status: int, headers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """Answer with this status, and these fields beside those of the page."""
        as_html = names(exchange.head.headers, HTML)
        own = fields(as_html, self._has_script)
        answer(exchange, status, [*headers, *own], self._page if as_html else self._text)


def failure_page(error: "SnakepitError", has_script: bool) -> FailurePage | None:
    """Return what is shown of an error; None: nothing, most likely since there is no `--debug`."""
    page = error.page if isinstance(error, AppError) else b""
    return FailurePage(page, str(error), has_script) if page else None
