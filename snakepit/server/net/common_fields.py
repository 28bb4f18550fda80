"""The header fields that every response has: rendered once a second, when the date changes."""

import time
from collections.abc import Sequence
from email.utils import formatdate

from snakepit.http.fields import HAS_DATE, HAS_HSTS, HAS_SERVER

_FLAGS = HAS_DATE | HAS_SERVER | HAS_HSTS
_ONCE = (b"date", b"server", b"strict-transport-security")


class CommonFields:
    """The Date and Server fields (RFC 9110 sections 6.6.1 and 10.2.4), as lines, for a response that lacks them.

    `extra`: fields for all responses, as names in lower case and values. But a response has only one Date, one Server
    and one Strict-Transport-Security field (RFC 6797 section 7.1): its own, or else the one given here, or else the
    usual one.
    """

    def __init__(self, *, date: bool, server: bool, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
        lines = [(name, b"%b: %b\r\n" % (name, value)) for name, value in extra]
        given = dict(lines)
        self._given_date = given.get(b"date", b"")
        self._date = date and not self._given_date
        self._server = given.get(b"server", b"server: snakepit\r\n" if server else b"")
        self._hsts = given.get(b"strict-transport-security", b"")
        self._extra = b"".join(line for name, line in lines if name not in _ONCE)
        self._second = -1
        self._lines: dict[int, bytes] = {}  # by the flags of a response's own fields

    def lines(self, flags: int) -> bytes:
        """Return the lines to add, with line ends; `flags`: of the response's own fields (see `http.fields`)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            # an IMF-fixdate (RFC 9110 section 5.6.7)
            date = b"date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii") if self._date else self._given_date
            once = ((HAS_DATE, date), (HAS_SERVER, self._server), (HAS_HSTS, self._hsts))
            self._lines = {
                has: b"".join(line for flag, line in once if not has & flag) + self._extra
                for has in range(_FLAGS + 1)
                if not has & ~_FLAGS
            }
        return self._lines[flags & _FLAGS]
