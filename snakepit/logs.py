"""The loggers: `snakepit.server` for what happens, on stderr, and `snakepit.access` for requests, on stdout."""

import json
import logging.config
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from snakepit.config.choices import LOG_LEVELS, TRACE
from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.system.log_output import LogOutput

LAST_SECONDS = 1.0
"""Seconds that a reader of the log gets at the end for what it has not read."""

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


_RESET = "\x1b[0m"
_LEVELS = {TRACE: 34, logging.DEBUG: 36, logging.INFO: 32, logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 91}
_STATUSES = {1: 97, 2: 32, 3: 33, 4: 31, 5: 91}  # by the first digit


def _code(number: int) -> str:
    return f"\x1b[{number}m"  # ECMA-48 section 8.3.117, Select Graphic Rendition


def colored_level(name: str, level: int) -> str:
    """Return the name of a level, padded to its column and in uvicorn's colour for it."""
    return f"{_code(_LEVELS[level])}{name:<8}{_RESET}" if level in _LEVELS else f"{name:<8}"


def colored_status(status: int) -> str:
    """Return the status of a response, in uvicorn's colour for its class."""
    return f"{_code(_STATUSES[status // 100])}{status}{_RESET}" if status // 100 in _STATUSES else str(status)


def shows_colors(wanted: bool | None, stream: TextIO | None) -> bool:
    """Tell whether to colour logs on a stream: as `wanted`, or else on a terminal, unless NO_COLOR is set
    (no-color.org).

    On Windows not every console understands colours, so it must be one that identifies itself by a variable.
    """
    if wanted is not None or stream is None:
        return bool(wanted)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    return sys.platform != "win32" or "WT_SESSION" in os.environ or "TERM" in os.environ


class ColorFormatter(logging.Formatter):
    """A formatter that colours the level."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        colored = copy(record)  # other handlers get the same one
        colored.levelname = colored_level(record.levelname, record.levelno)
        return super().formatMessage(colored)


class ReadyLines(logging.Handler):
    """A handler that also takes ready lines; see `snakepit.server.net.access_log`."""

    time_format = TIME_FORMAT
    stream: Any

    def write(self, text: str) -> None:
        """Write text unchanged. A failure of the stream is not raised; see `WriteTroubles`."""
        if not self.filter(_NO_RECORD):
            return
        try:
            self.acquire()
            try:
                stream = self.stream
                stream.write(text)
                stream.flush()
            finally:
                self.release()
        except Exception:  # logging itself also catches every error of the stream
            self.handleError(_NO_RECORD)


class AccessHandler(ReadyLines, logging.StreamHandler[TextIO]):
    """The default handler of the access log."""


class AccessFileHandler(ReadyLines, logging.FileHandler):
    """The handler of an access log that is a file."""


def _all_handlers() -> set[logging.Handler]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {handler for logger in loggers for handler in getattr(logger, "handlers", ())}  # some are placeholders


TELL_AGAIN = 60.0
"""Seconds; the least between two lines about logs that can't be written, such as those of a full disk."""


class WriteTroubles:
    """What is said of log handlers whose stream or file takes nothing: a line on standard error now and then.

    The logging module would print a traceback for each line that is lost, which with a full disk are all.
    """

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}  # by what can't be written

    def watch(self) -> None:
        """Speak for all handlers that there are."""
        for handler in _all_handlers():
            if "handleError" not in vars(handler):
                vars(handler)["handleError"] = partial(self._handle, handler, handler.handleError)

    def _handle(
        self, handler: logging.Handler, others: Callable[[logging.LogRecord], None], record: logging.LogRecord
    ) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            others(record)
            return
        what = getattr(handler, "baseFilename", None) or getattr(getattr(handler, "stream", None), "name", handler)
        now = time.monotonic()
        if now - self._told_at.get(str(what), -TELL_AGAIN) < TELL_AGAIN or sys.stderr is None:
            return
        self._told_at[str(what)] = now
        moment = time.strftime(TIME_FORMAT)
        with suppress(OSError, ValueError):  # it may be the one that can't be written, or be closed
            line = f"{moment} ERROR    Log lines are lost: {what} can't be written: {error}"
            print(line, file=sys.stderr, flush=True)


_NO_RECORD = logging.LogRecord("snakepit.access", logging.INFO, __file__, 0, "access log", None, None)


def default_config(
    level: int,
    server_colors: bool = False,
    access_colors: bool = False,
    json_lines: bool = False,
    file: str | None = None,
) -> dict[str, Any]:
    """Return the configuration for a server without `--log-config`, in logging.config's dictConfig format."""
    line: dict[str, Any] = {"format": "%(asctime)s %(levelname)-8s %(message)s", "datefmt": TIME_FORMAT}
    colored = {**line, "class": "snakepit.logs.ColorFormatter"}
    formatters = {"server": colored if server_colors else line, "access": colored if access_colors else line}
    if json_lines:
        formatters = {name: {"()": "snakepit.system.json_lines.JsonFormatter"} for name in formatters}
    access = {"class": "snakepit.logs.AccessHandler", "stream": "ext://sys.stdout"}
    if file is not None:
        access = {"class": "snakepit.logs.AccessFileHandler", "filename": file, "encoding": "utf-8"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": {
            "server": {"class": "logging.StreamHandler", "formatter": "server", "stream": "ext://sys.stderr"},
            "access": {**access, "formatter": "access"},
        },
        "loggers": {
            "snakepit": {"handlers": ["server"], "level": level, "propagate": False},
            "snakepit.access": {"handlers": ["access"], "level": level, "propagate": False},
        },
    }


def configure(config: Config) -> None:
    """Set logging up. Raises ConfigError for a `--log-config` that can't be used.

    The app's folder is on `sys.path` by now, since handlers and formatters may be classes of the app's.
    """
    logging.addLevelName(TRACE, "TRACE")
    level = LOG_LEVELS[config.log_level]
    if config.log_config is None:
        _configure_by_options(config, level)
    else:
        _configure_by_file(config.log_config, config.access_log_file)
        logging.getLogger("snakepit").setLevel(level)
    _never_block()
    WriteTroubles().watch()


def _configure_by_options(config: Config, level: int) -> None:
    file = config.access_log_file
    on_stderr, on_stdout = (shows_colors(config.use_colors, stream) for stream in (sys.stderr, sys.stdout))
    settings = default_config(level, on_stderr, on_stdout and file is None, config.log_format == "json", file)
    try:
        logging.config.dictConfig(settings)
    except ValueError as error:  # the file is all that can fail
        reason = f"access_log_file can't be used: {error.__cause__ or error}"
        raise ConfigError(reason, ("access_log_file",)) from None


def _configure_by_file(path: str, access_log_file: str | None) -> None:
    if access_log_file is not None:
        raise ConfigError(
            "access_log_file can't be used with log_config, which says where requests go",
            ("access_log_file", "log_config"),
        )
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
        logging.config.dictConfig(settings)
    except json.JSONDecodeError as error:
        raise ConfigError(f"log config {path!r} can't be used: it must be a JSON file: {error}") from None
    except Exception as error:  # it may name classes of the app, which may raise anything
        cause = f": {error.__cause__}" if error.__cause__ is not None else ""
        raise ConfigError(f"log config {path!r} can't be used: {error}{cause}") from None


_outputs: list[tuple[logging.StreamHandler[Any], TextIO, LogOutput]] = []


def _never_block() -> None:
    """Have all handlers for stdout and stderr, and for files that are pipes or terminals, write without blocking."""
    for handler in _all_handlers():
        stream = getattr(handler, "stream", None)
        if type(stream) is not TextIOWrapper:  # a program may have its own
            continue
        if stream not in (sys.stdout, sys.stderr) and not (isinstance(handler, logging.FileHandler) and _waits(stream)):
            continue
        if isinstance(handler, logging.StreamHandler):
            output = _output_to(stream) or LogOutput(stream, partial(_notice, handler))
            handler.setStream(output)
            _outputs.append((handler, stream, output))


def _waits(stream: TextIO) -> bool:
    """Tell whether writing there may wait for a reader; /dev/stdout is such a file where containers run."""
    return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


def _output_to(stream: TextIO) -> LogOutput | None:
    """Return the output that leads to the same pipe or file as a stream, so that lines stay whole and in order."""
    place = os.fstat(stream.fileno())
    return next((one for _, other, one in _outputs if os.path.samestat(os.fstat(other.fileno()), place)), None)


def _notice(handler: logging.Handler, dropped: int) -> str:
    """Make the line that tells of dropped ones, in the handler's format."""
    text = "%d lines of the log were dropped here: they were not read as fast as they came"
    return handler.format(logging.LogRecord("snakepit.server", logging.WARNING, __file__, 0, text, (dropped,), None))


def finish() -> None:
    """Write what is left of the logs, as far as that can be done soon."""
    for handler, stream, output in _outputs:
        if not output.finish(LAST_SECONDS):
            continue
        if handler.stream is output:
            handler.setStream(stream)
        elif stream not in (sys.stdout, sys.stderr):  # a file that was moved: the handler has another one
            stream.close()
    _outputs.clear()
