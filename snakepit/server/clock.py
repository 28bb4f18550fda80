"""The header fields that every response has: made once a second, since that is how often the date changes."""

import time
from email.utils import formatdate

from snakepit.fields import HAS_DATE, HAS_SERVER

_BOTH = HAS_DATE | HAS_SERVER


class CommonFields:
    """The Date and Server fields (RFC 9110 sections 6.6.1 and 10.2.4), as lines, for a response that lacks them."""

    def __init__(self, *, date: bool, server: bool) -> None:
        self._date = date
        self._server = b"server: snakepit\r\n" if server else b""
        self._second = -1
        self._lines: dict[int, bytes] = {}  # by the flags of a response's own fields

    def lines(self, flags: int) -> bytes:
        """The lines to add, each with its line end; `flags` are those of the response's own (`snakepit.fields`)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            # an IMF-fixdate (RFC 9110 section 5.6.7)
            date = b"date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii") if self._date else b""
            self._lines = {
                0: date + self._server,
                HAS_DATE: self._server,
                HAS_SERVER: date,
                _BOTH: b"",
            }
        return self._lines[flags & _BOTH]
