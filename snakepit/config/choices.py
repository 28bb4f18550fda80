"""What the values of options may be, where that needs names of its own."""

import logging
import re
from typing import Literal

from snakepit.errors import ConfigError

TRACE = 5
"""The number of the log level "trace": below DEBUG, as uvicorn has it."""

LOG_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

type LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
type LogFormat = Literal["auto", "text", "json"]
type InterfaceOption = Literal["auto", "asgi", "wsgi"]
type LoopOption = Literal["auto", "asyncio", "uvloop"]
type HttpOption = Literal["auto", "h11", "httptools"]
type ExtensionsOption = Literal["vetted", "native", "all"]
type RuntimeOption = Literal["interpreter", "process", "thread"]
type WsOption = Literal["auto", "wsproto", "none"]
type LazyImportsOption = Literal["auto", "on", "off"]
type OnChdirOption = Literal["auto", "error", "warn", "allow"]
type LifespanOption = Literal["auto", "on", "off"]


MOST_WORKERS = 1024
"""The most workers of an app, from options, signals and commands."""


def check_name(name: str) -> None:
    """Raise ConfigError for an invalid name of a server."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name must be of letters, digits, '-', '_' and '.', 64 at most, not {name!r}")


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
