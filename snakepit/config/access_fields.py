"""The members of the access log's JSON objects (`--access-log-fields`)."""

import difflib

from snakepit.config.access_format import field_of
from snakepit.errors import ConfigError

DEFAULT_FIELDS = (
    "time", "level", "logger", "client", "message", "method", "path", "query", "http_version", "status", "bytes",
    "queue_ms", "app_ms", "total_ms", "client_left", "request_id", "trace_id", "worker", "app",
)  # fmt: skip
"""Those of each object, in this order, without the ones of which nothing is known."""

FIELDS = (*DEFAULT_FIELDS, "scheme", "host", "user_agent", "referer")
"""All that have names. Others are header fields: `{name}i` of the request, `{name}o` of the response."""


def fields_of(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def check_access_fields(text: str) -> None:
    """Raise ConfigError unless all members of a list exist, and each is named once."""
    names = fields_of(text)
    for name in names:
        if name not in FIELDS and field_of(name) is None:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}, {{name}}i and {{name}}o"
            raise ConfigError(f"access_log_fields: there is no {name!r}; {hint}")
    members = [field[0].decode() if (field := field_of(name)) is not None else name for name in names]
    twice = [name for at, name in enumerate(members) if name in members[:at]]
    if twice:
        raise ConfigError(f"access_log_fields has {twice[0]!r} twice")
