"""Answers that show an exception of the app (`--debug`): a page for browsers, text for whatever else asks.

Making one calls code of the app, such as `__repr__`, and reads files. Where that fails, less is shown; at the worst the
client gets the answer that it would get without `--debug`.
"""

import platform
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from snakepit.errors import AppError, fault
from snakepit.http.accept import names
from snakepit.http.fields import Fields, render
from snakepit.system.version import __version__
from snakepit.wire import page_script
from snakepit.wire.error_page import HTML, fields
from snakepit.worker.error_page import described
from snakepit.worker.error_page.described import Described
from snakepit.worker.error_page.page import CALLERS, Section, page

if TYPE_CHECKING:
    from snakepit.wire.settings import WorkerSettings

type Describe = Callable[[Mapping[str, Any]], Described]
"""Describes the request of a scope or an environ. May raise anything."""


class ErrorPages:
    """Makes answers for one worker.

    Args:
        interface: what the app speaks; empty: that is not known.
    """

    callers = CALLERS
    """The code that calls the app's."""

    def __init__(self, settings: "WorkerSettings", interface: str = "") -> None:
        attribute = settings["attribute"] + ("()" if settings["factory"] else "")
        name = f", {settings['app']}" if settings["app"] else ""
        speaks = f", {interface.upper()}" if interface else ""
        self._script = settings["page_script"]
        self._rows = [
            ("app", f"{settings['module']}:{attribute}{name}{speaks}"),
            ("worker", f"{settings['number']}, runtime {settings['runtime']}"),
            ("Python", f"{platform.python_version()}, {sys.executable}"),
            ("Snakepit", __version__),
        ]

    def for_scope(self, error: BaseException, scope: Mapping[str, Any], is_head: bool) -> tuple[Fields, bytes] | None:
        """Return the fields and the body of an answer for an exception of an ASGI app; None: none can be made."""
        return self._answer(error, described.of_scope, scope, is_head)

    def for_environ(
        self, error: BaseException, environ: Mapping[str, Any], is_head: bool
    ) -> tuple[Fields, bytes] | None:
        """Return the fields and the body of an answer for an exception of a WSGI app; None: none can be made."""
        return self._answer(error, described.of_environ, environ, is_head)

    def _answer(
        self, error: BaseException, describe: Describe, given: Mapping[str, Any], is_head: bool
    ) -> tuple[Fields, bytes] | None:
        try:
            line, rows, accept = _described(describe, given)
            as_html = names([(b"accept", accept)], HTML)
            if as_html:
                body = self._page(error, "", [(line, rows)])
            else:
                body = self._text(error, line).encode("utf-8", "backslashreplace")
            length = (b"content-length", b"%d" % len(body))
            return render([*fields(as_html, bool(self._script)), length]), b"" if is_head else body
        except BaseException:  # of the app, whatever it may be
            return None

    def of_failure(self, error: AppError) -> bytes:
        """Return the page for the exception that kept the app from being served; empty: none can be made."""
        cause = error.__cause__ or error.__context__
        text = str(error)
        try:
            why = f": {text.partition('\n')[0]}" if cause else ""
            return self._page(cause or error, f"The app can't be started{why}", [], text)
        except BaseException:
            return b""

    def _page(self, error: BaseException, headline: str, sections: list[Section], text: str = "") -> bytes:
        end = page_script.tag(self._script) if self._script else b""
        sections = [*sections, ("Server", self._rows)]
        text = text or fault(error)
        try:
            return page(error, headline=headline, sections=sections, text=text, end=end)
        except BaseException:
            return page(error, headline=headline, sections=sections, text=text, variables=False, end=end)

    def _text(self, error: BaseException, line: str) -> str:
        lines = [fault(error), "", line, *(f"{name}: {value}" for name, value in self._rows), ""]
        return "\n".join(lines)


def _described(describe: Describe, given: Mapping[str, Any]) -> Described:
    try:
        return describe(given)
    except BaseException:
        return "(the app has changed what it was given of the request)", [], b""
