"""What an app logs, prints and warns of as JSON (`--log-format json`): one object for each, with the worker's number.

A worker has a logging module of its own, which nobody has configured, and the app may do that. So no handler is put
anywhere: `logging.basicConfig()` would do nothing then. The handler of last resort is replaced, which logging uses
where the app has configured none, and `basicConfig` gives its handlers for stdout and stderr the format. Whatever else
is written to these is taken line by line.
"""

import io
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from typing import Any, TextIO, cast

from snakepit.system.json_lines import JsonFormatter, json_line
from snakepit.system.moments import timestamp
from snakepit.worker.request_ids import current

LONGEST = 64 * 1024
"""Characters of a text without a line end that are kept; a longer one goes out as it is."""


class WorkerFormatter(JsonFormatter):
    """A formatter that also says which request is being served."""

    def more(self) -> dict[str, Any]:
        return _with_request(super().more())


def _with_request(more: dict[str, Any]) -> dict[str, Any]:
    request_id = current.get()
    return {**more, "request_id": request_id} if request_id else more


class PrintedLines:
    """A stream that writes an object for each text that ends with a line end, to another stream. The rest of it is that
    stream's: its encoding, its file descriptor, and its buffer, for bytes that are to go out as they are.

    What a thread has printed without one is kept until it comes, apart from what other threads print.

    Args:
        name: the value of "logger".
        more: further members of each object.
    """

    def __init__(self, stream: TextIO, name: str, more: dict[str, Any]) -> None:
        self.stream = stream
        self._name = name
        self._more = more
        self._begun = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str, /) -> int:
        begun = getattr(self._begun, "text", "") + text
        if begun.endswith("\n") or len(begun) > LONGEST:
            self._begun.text = ""
            self.say("INFO", self._name, begun.removesuffix("\n"))
        else:
            self._begun.text = begun
        return len(text)

    def writelines(self, texts: Iterable[str], /) -> None:
        for text in texts:
            self.write(text)

    def say(self, level: str, logger: str, message: str) -> None:
        """Write an object with this message; none if it is empty."""
        if message:
            first = {"time": timestamp(time.time()), "level": level, "logger": logger, "message": message}
            self.stream.write(json_line({**first, **_with_request(self._more)}) + "\n")

    def end(self) -> None:
        """Write what this thread has begun, and has not ended."""
        if getattr(self._begun, "text", ""):
            self.write("\n")


def install(worker: int, app: str) -> None:
    """Make JSON of all that this interpreter logs and prints. `app`: its name; empty if the server has no other."""
    more = {"worker": worker, **({"app": app} if app else {})}
    formatter = WorkerFormatter(**more)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = cast("TextIO", PrintedLines(sys.stdout, "stdout", more))
    if not isinstance(sys.stderr, io.TextIOWrapper):  # closed, or a program's own
        return
    errors = PrintedLines(sys.stderr, "stderr", more)
    last = logging.StreamHandler(errors.stream)
    last.setLevel(logging.WARNING)
    last.setFormatter(formatter)
    logging.lastResort = last
    sys.stderr = cast("TextIO", errors)
    _format_basic_config(formatter)

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        if file is None:
            errors.say("WARNING", "py.warnings", text.rstrip("\n"))
        else:
            file.write(text)

    warnings.showwarning = show_warning


def _format_basic_config(formatter: logging.Formatter) -> None:
    basic_config = logging.basicConfig

    def basic_config_with_json(**options: Any) -> None:
        before = logging.root.handlers[:]
        basic_config(**options)
        for handler in logging.root.handlers:
            stream = getattr(handler, "stream", None)
            if isinstance(stream, PrintedLines) and handler not in before:
                cast("logging.StreamHandler[TextIO]", handler).setStream(stream.stream)
                handler.setFormatter(formatter)

    logging.basicConfig = basic_config_with_json


def end() -> None:
    """Write the last texts that have no line end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, PrintedLines):
            stream.end()
