"""Reads the traceparent field, by which the parts of a trace in several programs find together (W3C Trace Context)."""

import re
from operator import itemgetter
from typing import NamedTuple

from snakepit.http.types import Headers

TRACEPARENT = b"traceparent"

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_name = itemgetter(0)
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_SAMPLED = 1


class TraceParent(NamedTuple):
    """The trace that a request belongs to, and the span in it that the request comes from, as hexadecimal digits.

    `sampled`: whoever sent it keeps the trace.
    """

    trace_id: str
    span_id: str
    sampled: bool


def trace_parent(headers: Headers) -> TraceParent | None:
    """Return what the traceparent field of a request says; None: there is none, several, or one that is not valid.

    Of later versions than 00 the fields that are known are read (section 3.2.4 of the recommendation).
    """
    if TRACEPARENT not in map(_name, headers):  # looking takes half as long as collecting
        return None
    values = [value for name, value in headers if name == TRACEPARENT]
    found = _FORM.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None) or trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return TraceParent(trace.decode(), span.decode(), bool(int(flags, 16) & _SAMPLED))
