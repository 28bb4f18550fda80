"""Log messages as JSON, one object a line: the server's own messages, and what apps in workers log and print."""

import json
import logging
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_OF_EACH = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}

_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode  # json.dumps makes an encoder for each call


def timestamp(seconds: float) -> str:
    """Return a moment as RFC 3339 has it, in UTC, with milliseconds. `seconds`: since 1970."""
    return timestamp_of(int(seconds * 1000))


@lru_cache(16)
def timestamp_of(milliseconds: int) -> str:
    """Return the same of milliseconds since 1970. Of requests that are logged together, many have the same."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{_second(whole)}.{rest:03}Z"


@lru_cache(4)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def json_line(fields: Mapping[str, Any]) -> str:
    """Return an object as JSON in one line, without its end. What JSON has no form for is there as text."""
    return _encode(fields)


class JsonFormatter(logging.Formatter):
    """A formatter that makes a JSON object of each record: time, level, logger, message, exception, and what the record
    has by `extra`.

    Args:
        more: the names and values of further members of each object, such as the worker.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self._more = more

    def more(self) -> dict[str, Any]:
        """Return the further members of the object that is made now."""
        return self._more

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.more(),
        }
        fields.update((name, value) for name, value in vars(record).items() if name not in _OF_EACH | fields.keys())
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        try:
            return json_line(fields)
        except (TypeError, ValueError, RecursionError):  # keys of other types, or a value within itself
            return json_line({name: str(value) for name, value in fields.items()})
