"""Log messages as JSON, one object a line: the server's own messages, and what apps in workers log and print."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from snakepit.system.moments import timestamp

_OF_EACH = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}

_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode  # json.dumps makes an encoder for each call


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
