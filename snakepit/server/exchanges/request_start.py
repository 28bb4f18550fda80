"""Reads `X-Request-Start`: when the first of the proxies before the server got a request.

There is no standard for it. nginx writes `t=` and seconds with a fraction, Heroku milliseconds, others microseconds or
nanoseconds, all since 1970.
"""

import re
from typing import Final

from snakepit.http.types import Headers

NAME: Final = b"x-request-start"

LONGEST: Final = 3600.0
"""Seconds; no proxy keeps a request for longer. What says so has another meaning, or comes of a clock that is wrong."""

AHEAD: Final = 1.0
"""Seconds by which a proxy's clock may be ahead of ours."""

_MOMENT = re.compile(rb"(?:t=)?(\d{10})(\d{0,9})(?:\.\d{1,9})?")
"""Seconds have ten digits until 2286, so what follows them is their fraction."""


def seconds_before(headers: Headers, now: float) -> float | None:
    """Return for how long a request was with proxies, if their first says so; `now`: when it came, since 1970.

    None where it does not, or where that can't be true.
    """
    for name, value in headers:
        if name == NAME:
            return _seconds(value, now)
    return None


def _seconds(value: bytes, now: float) -> float | None:
    found = _MOMENT.fullmatch(value.strip())
    if found is None:
        return None
    whole, more = found.groups()
    fraction = value.strip().partition(b".")[2] if not more else b""
    passed = now - float(b"%b.%b" % (whole, more or fraction or b"0"))
    return max(0.0, passed) if -AHEAD <= passed <= LONGEST else None
