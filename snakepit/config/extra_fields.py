"""Header fields that the operator adds to each response: `--header`."""

import re
from collections.abc import Sequence

from snakepit.errors import ConfigError
from snakepit.http.fields import TOKEN

_VALUE = re.compile(r"[\t -~\x80-\xff]*")  # RFC 9110 section 5.5

_THE_SERVERS = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
    | {"sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"}
)
"""Fields that determine how this message or connection is parsed (RFC 9110 section 7.6.1, RFC 6455)."""


def parse_field(text: str) -> tuple[bytes, bytes]:
    """Return the name, in lower case, and the value of a field given as NAME:VALUE. Raises ConfigError."""
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip(" \t")
    if not colon or not TOKEN.fullmatch(name.encode("utf-8", "replace")):
        raise ConfigError(f"header must look like NAME:VALUE, as in X-Frame-Options:DENY, not {text!r}")
    if not _VALUE.fullmatch(value):
        raise ConfigError(f"header {name} must be in Latin-1, without line breaks and control codes, not {value!r}")
    if name in _THE_SERVERS:
        raise ConfigError(f"header {name} can't be set: the server sends it where it belongs")
    return name.encode("ascii"), value.encode("latin-1")


def check_fields(texts: Sequence[str]) -> None:
    """Raise ConfigError unless each text is a field that may be sent."""
    for text in texts:
        parse_field(text)
