"""Moments in machine-readable form."""

import time
from functools import lru_cache


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
