"""Makes an input shorter for which a target fails, so that a person can see why."""

import time

from fuzz.target import load

LONGEST = 10.0
"""Seconds that this may take."""


def shrunk(name: str, data: bytes) -> bytes:
    """Return a shorter input for which the target raises an error of the same kind."""
    check = load(name).check

    def fails(data: bytes) -> type[BaseException] | None:
        try:
            check(data)
        except Exception as error:
            return type(error)
        return None

    kind = fails(data)
    if kind is None:  # it depends on earlier inputs
        return data
    until = time.monotonic() + LONGEST
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data) and time.monotonic() < until:
            shorter = data[:at] + data[at + size :]
            if fails(shorter) is kind:
                data = shorter
            else:
                at += size
        size //= 2
    return data
