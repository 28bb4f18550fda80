"""Request IDs (`--request-id`): taken from a trusted proxy's X-Request-ID, or made."""

import random
import re
from operator import itemgetter

from snakepit.http.events import RequestHead

NAME = b"x-request-id"

_VALID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")
"""What may be taken over: it goes into logs and other programs, where more than that could do harm."""

_name = itemgetter(0)

_random = random.Random()  # seeded by the system; an app may seed the module's own
"""IDs have to differ, and need not be hard to guess: the system's random numbers would take a call of it for each."""


def new_id() -> bytes:
    """Make an ID: 16 bytes, as hexadecimal digits."""
    return b"%032x" % _random.getrandbits(128)


def identify(head: RequestHead, trusted: bool) -> bytes:
    """See to it that a request has one X-Request-ID field: the client's if it is `trusted` and valid, or a new one.

    Returns the ID.
    """
    headers = head.headers
    if NAME in map(_name, headers):  # which few clients send, and looking takes half as long as collecting
        found = [value for name, value in headers if name == NAME]
        if len(found) == 1 and trusted and _VALID.fullmatch(found[0]):
            return found[0]
        headers = [field for field in headers if field[0] != NAME]
    made = new_id()
    head.headers = [*headers, (NAME, made)]  # a new list: requests with the same header block share one
    return made
