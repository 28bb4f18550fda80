"""The loggers: `snakepit.server` for what happens, on stderr, and `snakepit.access` for requests, on stdout."""

import json
import logging.config
from pathlib import Path
from typing import Any

from snakepit.config import LOG_LEVELS, TRACE, Config
from snakepit.errors import ConfigError


def default_config(level: int) -> dict[str, Any]:
    """The configuration without `--log-config`, in logging.config's dictConfig format."""
    line = {"format": "%(asctime)s %(levelname)-8s %(message)s", "datefmt": "%Y-%m-%d %H:%M:%S"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {
            "server": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"},
            "access": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"},
        },
        "loggers": {
            "snakepit": {"handlers": ["server"], "level": level, "propagate": False},
            "snakepit.access": {"handlers": ["access"], "level": level, "propagate": False},
        },
    }


def configure(config: Config) -> None:
    """Set logging up. Raises ConfigError for a `--log-config` that can't be used."""
    logging.addLevelName(TRACE, "TRACE")
    level = LOG_LEVELS[config.log_level]
    if config.log_config is None:
        logging.config.dictConfig(default_config(level))
        return
    try:
        settings = json.loads(Path(config.log_config).read_text(encoding="utf-8"))
        logging.config.dictConfig(settings)
    except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise ConfigError(f"log config {config.log_config!r} can't be used: {error}") from None
    logging.getLogger("snakepit").setLevel(level)
