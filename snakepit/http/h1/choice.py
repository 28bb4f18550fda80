"""The choice of the parser of requests (`--http`)."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Literal

from snakepit.errors import ConfigError
from snakepit.http.events import Limits
from snakepit.http.h1.fast_path import CleanHeadParser
from snakepit.http.h1.known_fields import KnownFields
from snakepit.http.h1.protocol import RequestParser

type ParserFactory = Callable[[], RequestParser]


def parser_factory(name: Literal["auto", "h11", "httptools"], limits: Limits) -> ParserFactory:
    """Return the factory of connections' parsers; auto: httptools if it is installed. Raises ConfigError if not."""
    installed = find_spec("httptools") is not None
    if name == "httptools" and not installed:
        raise ConfigError("http is httptools, which is not installed: pip install 'snakepit-server[fast]'")
    if installed and name != "h11":
        from snakepit.http.h1.httptools_parser import HttptoolsParser

        return partial(HttptoolsParser, limits, KnownFields())
    return partial(CleanHeadParser, limits, KnownFields())
