"""The loggers: `snakepit.server` for what happens, on stderr, and `snakepit.access` for requests, on stdout."""

import json
import logging.config
from pathlib import Path
from typing import Any, TextIO

from snakepit.config import LOG_LEVELS, TRACE, Config
from snakepit.errors import ConfigError

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class AccessHandler(logging.StreamHandler[TextIO]):
    """The default handler of the access log, which also takes ready lines; see `snakepit.server.access_log`."""

    time_format = TIME_FORMAT

    def write(self, text: str) -> None:
        """Write text as it is. A stream that fails is reported as logging does it, and does no other harm."""
        if not self.filter(_NO_RECORD):
            return
        try:
            self.acquire()
            try:
                self.stream.write(text)
                self.flush()
            finally:
                self.release()
        except Exception:  # as logging itself does: whatever is wrong with the stream
            self.handleError(_NO_RECORD)


_NO_RECORD = logging.LogRecord("snakepit.access", logging.INFO, __file__, 0, "access log", None, None)


def default_config(level: int) -> dict[str, Any]:
    """The configuration without `--log-config`, in logging.config's dictConfig format."""
    line = {"format": "%(asctime)s %(levelname)-8s %(message)s", "datefmt": TIME_FORMAT}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {
            "server": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"},
            "access": {"class": "snakepit.logs.AccessHandler", "formatter": "line", "stream": "ext://sys.stdout"},
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
        logging.config.dictConfig(default_config(level))
        return
    try:
        settings = json.loads(Path(config.log_config).read_text(encoding="utf-8"))
        logging.config.dictConfig(settings)
    except Exception as error:  # it may name classes of the app's, which raise what they like
        cause = f": {error.__cause__}" if error.__cause__ is not None else ""
        raise ConfigError(f"log config {config.log_config!r} can't be used: {error}{cause}") from None
    logging.getLogger("snakepit").setLevel(level)
