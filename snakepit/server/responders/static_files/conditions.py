"""Conditional requests (RFC 9110 section 13): what a client has already, or what it expects to be there."""

import re
from calendar import timegm
from email.utils import parsedate_tz

from snakepit.server.responders.static_files.request_fields import Asked

_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LONGEST_DATE = 64  # characters

SETTLED = 1
"""Seconds; a file that was changed less long ago may change once more within the same second, so that its date says
too little to put parts together (RFC 9110 section 8.8.2.2)."""


def failed_condition(asked: Asked, tag: bytes, modified: int) -> int:
    """Return the status of the answer, 304 or 412, if a condition is not met, in the order of RFC 9110 section 13.2.2.

    0: all are met. `tag` is the file's strong ETag, `modified` its date in seconds since 1970. For GET and HEAD.
    """
    if asked.match is not None:
        if not _among(asked.match, tag, weak=False):
            return 412
    elif asked.unmodified_since is not None:
        date = read_date(asked.unmodified_since)
        if date is not None and modified > date:
            return 412
    if asked.none_match is not None:
        if _among(asked.none_match, tag, weak=True):
            return 304
    elif asked.modified_since is not None:
        date = read_date(asked.modified_since)
        if date is not None and modified <= date:
            return 304
    return 0


def range_counts(asked: Asked, tag: bytes, modified: int, now: float) -> bool:
    """Tell whether the Range field counts: If-Range, if there is one, names what the file is now (section 13.1.5)."""
    if asked.range is None:
        return False
    value = asked.if_range
    if value is None or value == tag:
        return True
    return not value.startswith((b'"', b"W/")) and read_date(value) == modified and now - modified >= SETTLED


def read_date(value: bytes) -> int | None:
    """Return a date in one of the three forms of RFC 9110 section 5.6.7, in seconds since 1970; None: it is none."""
    if len(value) > _LONGEST_DATE:
        return None
    try:
        parts = parsedate_tz(value.decode("ascii"))
        return None if parts is None else timegm(parts[:6]) - (parts[9] or 0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _among(value: bytes, tag: bytes, weak: bool) -> bool:
    """Tell whether a list of ETags has this one, or is `*`; `weak`: the list's own may be weak."""
    if value.strip() == b"*":
        return True
    listed = _TAG.findall(value)
    return tag in listed or (weak and b"W/" + tag in listed)
