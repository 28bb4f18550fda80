"""Renders a response's header fields as bytes (RFC 9112 section 5), in the interpreter that runs the app.

The fields go out as the app gave them, except those that frame the message: the server writes these, so they are only
noted. Workers render, so that the main interpreter, which all workers share, only has to put a block of bytes between
its own lines. Each field name is checked once and remembered, since apps use a few dozen.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto

from snakepit.errors import LocalProtocolError

type Fields = tuple[bytes, int, int | None]
"""The lines, what the server must know of them (the flags below), and the length of the body, if it is known."""

ANNOUNCED, HAS_DATE, HAS_SERVER, CLOSE, HAS_HSTS = 1, 2, 4, 8, 16
"""Flags: the app announced the body's length; there is a Date, a Server field; the app wants the connection closed;
there is a Strict-Transport-Security field."""

_ORDINARY = bytes([*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0x100)])
"""The bytes of a head: all except control characters (RFC 9110 section 5.5), and CR and LF at line ends."""

_MARKED = bytes(byte if byte in _ORDINARY else ord("\n") for byte in range(256))
"""A translation that turns each forbidden character of a head into a line end, so that the count of lines is wrong."""

NO_BODY = (204, 304)
"""Statuses of responses that have no body (RFC 9110 section 6.4.1), as those to HEAD have none."""

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token, such as the name of a field (RFC 9110 section 5.6.2)."""

_NAMES_KEPT = 1024  # bounded, since an app may use any number of names


class _Kind(Enum):
    CONTENT_LENGTH = auto()
    TRANSFER_ENCODING = auto()
    CONNECTION = auto()
    DATE = auto()
    SERVER = auto()
    HSTS = auto()


_KINDS = {
    b"content-length": _Kind.CONTENT_LENGTH,
    b"transfer-encoding": _Kind.TRANSFER_ENCODING,
    b"connection": _Kind.CONNECTION,
    b"date": _Kind.DATE,
    b"server": _Kind.SERVER,
    b"strict-transport-security": _Kind.HSTS,
}
_FLAGS = {_Kind.DATE: HAS_DATE, _Kind.SERVER: HAS_SERVER, _Kind.HSTS: HAS_HSTS}
_names: dict[bytes, tuple[bytes, _Kind | None]] = {}

NONE: Fields = (b"", 0, None)
"""No fields at all."""


def render(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Write header fields as lines. Raises LocalProtocolError for those that can't be sent.

    Raises TypeError and ValueError where the headers are not pairs of bytes.
    """
    lines: list[bytes] = []
    flags = 0
    length: int | None = None
    for name, value in headers:
        prefix, kind = _names.get(name) or _learn(name)
        if kind is not None:
            if kind is _Kind.CONTENT_LENGTH:
                flags |= ANNOUNCED
                length = _content_length(value, length)
                continue
            if kind is _Kind.TRANSFER_ENCODING:
                _check_coding(value)
                continue
            if kind is _Kind.CONNECTION:
                options = [option.strip() for option in value.lower().split(b",")]
                if b"close" in options:
                    flags |= CLOSE
                if b"close" in options or b"keep-alive" in options:
                    continue
            else:
                flags |= _FLAGS[kind]
        lines.append(prefix + value + b"\r\n")
    block = b"".join(lines)
    count = len(lines)
    if block.translate(_MARKED).count(b"\n") != count or block.count(b"\r") != count:
        raise _illegal(f"Illegal header value {_culprit(lines)!r}")
    return block, flags, length


def has_controls(data: bytes) -> bool:
    """Tell whether there are control characters in a head or a part of it, except tabs and line ends."""
    return data.translate(_MARKED).count(b"\n") != data.count(b"\n")


def of_length(fields: Fields, length: int) -> Fields:
    """Add a body's length to fields that do not announce one; a length that the app announced stays."""
    lines, flags, announced = fields
    return lines, flags, length if announced is None else announced


def wrong_length(too_long: bool) -> LocalProtocolError:
    """Make the error for a body that is longer, or shorter, than announced."""
    return _illegal(f"Too {'much' if too_long else 'little'} data for declared Content-Length")


def _learn(name: bytes) -> tuple[bytes, _Kind | None]:
    if not TOKEN.fullmatch(name):
        raise _illegal(f"Illegal header name {name!r}")
    name = bytes(name)
    known = (name + b": ", _KINDS.get(name.lower()))
    if len(_names) < _NAMES_KEPT:
        _names[name] = known
    return known


def _content_length(value: bytes, before: int | None) -> int:
    try:
        length = int(value) if value.isdigit() else -1
    except ValueError:  # thousands of digits
        length = -1
    if length < 0 or (before is not None and length != before):
        raise _illegal(f"bad Content-Length {bytes(value[:100])!r}")
    return length


def _check_coding(value: bytes) -> None:
    if value.lower() != b"chunked":
        raise _illegal("Only Transfer-Encoding: chunked is supported")


def _culprit(lines: list[bytes]) -> bytes:
    values = (line.partition(b": ")[2][:-2] for line in lines)
    return next((value for value in values if b"\r" in value or b"\n" in value or has_controls(value)), b"")


def _illegal(what: str) -> LocalProtocolError:
    return LocalProtocolError(f"the app sent an illegal response: {what}")
