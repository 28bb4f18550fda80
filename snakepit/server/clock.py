"""The header fields that every response has: made once a second, since that is how often the date changes."""

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


class CommonFields:
    """The Date and Server fields (RFC 9110 sections 6.6.1 and 10.2.4), as lines, for a response that lacks them."""

    def __init__(self, *, date: bool, server: bool) -> None:
        self._date = HttpDate() if date else None
        self._server = b"server: snakepit\r\n" if server else b""

    def lines(self, *, has_date: bool, has_server: bool) -> bytes:
        """The lines to add, each with its line end."""
        lines = b"" if has_server else self._server
        if self._date is not None and not has_date:
            lines = b"date: %b\r\n%b" % (self._date.now(), lines)
        return lines
