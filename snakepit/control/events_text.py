"""What `snakepit events` prints for people, and the moments that it understands."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from snakepit.errors import ConfigError
from snakepit.system.words import printable

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}

_WIDEST = len("certificate-failed")


def line(event: Mapping[str, Any]) -> str:
    """Render an event: its local time, its kind, and what happened."""
    text = printable(event["text"])
    if event["count"] > 1:
        text = f"{text} (since {_local(event['since'], '%H:%M:%S')})"
    return f"{_local(event['time'], '%Y-%m-%d %H:%M:%S')}  {event['kind']:<{_WIDEST}}  {text}"


def short_line(event: Mapping[str, Any], now: float) -> str:
    """Render an event for a place with little room: the time alone if it is of the last day."""
    moment = datetime.fromisoformat(event["time"])
    form = "%H:%M:%S" if now - moment.timestamp() < 86_400 else "%Y-%m-%d %H:%M"
    return f"{_local(event['time'], form)}  {printable(event['text'])}"


def moment(text: str, now: float | None = None) -> str:
    """Return a moment as the times of events are written: `10m` ago, `12:30` today, or a date with a time.

    Without a zone it is local time. Raises ConfigError.
    """
    at = datetime.fromtimestamp(time.time() if now is None else now).astimezone()
    try:
        return _find(text.strip(), at).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, KeyError, OverflowError):
        told = f"since: {text!r} is no moment; write 10m, 2h or 1d, 12:30, or 2026-01-31T12:30"
        raise ConfigError(told) from None


def _find(text: str, now: datetime) -> datetime:
    """Return the moment that a text means. Raises ValueError, KeyError or OverflowError."""
    if ago := re.fullmatch(r"(\d+)\s*([a-z]+)", text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if clock := re.fullmatch(r"(\d\d?):(\d\d)(?::(\d\d))?", text):
        today = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
        return today if today <= now else today - timedelta(days=1)
    return datetime.fromisoformat(text)


def _local(text: str, form: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime(form)
