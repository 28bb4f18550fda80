"""Moments in machine-readable form."""

import time
from functools import lru_cache


def timestamp(seconds: float) -> str:
    """Return a moment as RFC 3339 has it, in UTC, with milliseconds. `seconds`: since 1970."""
    whole, thousandths = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{thousandths:03}Z"


@lru_cache(4)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
