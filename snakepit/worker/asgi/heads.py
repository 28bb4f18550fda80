"""The heads of an app's responses, made of what it says in `http.response.start`.

An app has many responses and few heads: the same status, type and length, again and again. So a head is kept with what
it was made of, for the next response that says the same. It is looked up by all of that, and made anew where something
of it could change later, such as a `bytearray`, or can't be looked up, such as a list.
"""

from itertools import chain
from typing import Any

from snakepit.errors import LocalProtocolError
from snakepit.http.fields import NO_BODY, Fields, render
from snakepit.http.types import Headers
from snakepit.worker.asgi.lifespan import Message

type Head = tuple[int, Fields, int | None]
"""Status and fields, and how many bytes the body has to have: NOTHING if the head is all there is, None if any."""

NOTHING = -1
"""In place of a length: whatever the app gives for a body, none is sent."""

_HEADS_KEPT = 256
"""Heads that are kept. An app can have one of its own for each response; that must not cost more than to make it."""

_MADE_BEFORE_NEW_ONES = 2048
"""Heads that are made anew, once so many are kept, before all those are forgotten and new ones kept. Heads that come
often are among the first again."""

_KEPT_SIZE = 1024
"""Bytes of the largest head that is kept. What is longer has cookies or the like, and hardly comes again."""

_heads: dict[tuple[object, ...], Head] = {}
_made = 0  # since as many are kept as may be


def head_of(message: Message, is_head: bool) -> Head:
    """Make a response's head of an app's message; `is_head`: it answers a HEAD request.

    Raises LocalProtocolError for what can't be sent.
    """
    status: Any = message.get("status")
    try:
        headers = tuple(message.get("headers") or ())
    except TypeError:
        raise LocalProtocolError("a response's headers must be pairs of bytes") from None
    key = is_head, type(status), status, headers  # the type, since 200.0 equals 200
    try:
        head = _heads.get(key)
    except TypeError:
        return _new_head(status, headers, is_head)
    if head is None:
        head = _new_head(status, headers, is_head)
        if len(_heads) >= _HEADS_KEPT:
            _count_made()
        elif len(head[1][0]) <= _KEPT_SIZE and _can_not_change(headers):
            _heads[key] = head
    return head


def _count_made() -> None:
    global _made
    _made += 1
    if _made >= _MADE_BEFORE_NEW_ONES:
        _made = 0
        _heads.clear()


def _can_not_change(headers: tuple[Any, ...]) -> bool:
    return {tuple}.issuperset(map(type, headers)) and {bytes}.issuperset(map(type, chain.from_iterable(headers)))


def _new_head(status: Any, headers: tuple[Any, ...], is_head: bool) -> Head:
    """Make builtin types of status and fields: others could not cross, and must fail where the app can see it."""
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise LocalProtocolError(f"a response's status must be a number from 200 to 999, not {status!r}")
    try:
        fields = render(headers)
    except (TypeError, ValueError, AttributeError):
        fields = render(as_pairs(headers))
    return int(status), fields, NOTHING if is_head or status in NO_BODY else fields[2]


def as_pairs(headers: Any) -> Headers:
    """Make pairs of bytes of header fields. Raises LocalProtocolError where that can't be."""
    try:
        return [(as_bytes(name, "a header's name"), as_bytes(value, "a header's value")) for name, value in headers]
    except (TypeError, ValueError):
        raise LocalProtocolError("a response's headers must be pairs of bytes") from None


def as_bytes(value: Any, what: str) -> bytes:
    """Make bytes of a buffer. Raises LocalProtocolError, which says `what` has to be bytes, for anything else."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise LocalProtocolError(f"{what} must be bytes, not {type(value).__name__}")
