"""Which parser reads the requests (`--http`)."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Literal

from snakepit.errors import ConfigError
from snakepit.protocol.clean_heads import CleanHeadParser, KnownFields
from snakepit.protocol.http1 import RequestParser
from snakepit.protocol.interface import Limits

type ParserFactory = Callable[[], RequestParser]


def parser_factory(name: Literal["auto", "h11", "httptools"], limits: Limits) -> ParserFactory:
    """What makes a connection's parser; auto: httptools where it is installed. Raises ConfigError where it is not."""
    installed = find_spec("httptools") is not None
    if name == "httptools" and not installed:
        raise ConfigError("http is httptools, which is not installed: pip install 'snakepit-server[fast]'")
    if installed and name != "h11":
        from snakepit.protocol.httptools_parser import HttptoolsParser

        return partial(HttptoolsParser, limits, KnownFields())
    return partial(CleanHeadParser, limits, KnownFields())
