"""The Date header's value, made once a second."""

import time
from email.utils import formatdate


class HttpDate:
    """The current time as an IMF-fixdate (RFC 9110 section 5.6.7)."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        """The value for a response that is sent now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode("ascii")
        return self._text
