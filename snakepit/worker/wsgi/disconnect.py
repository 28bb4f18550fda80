"""What a WSGI app gets when its client goes before the request's body has come: an OSError, as with other servers.

An error it must be: at an end of the body an app would take a part for the whole. But some frameworks log each error
that is not one of their own with a traceback, as a fault of the app. Where such a framework is loaded, the error is
also one of its own: that of a client whose request is no good.
"""

import sys
from functools import cache
from typing import Any

from snakepit.errors import ClientDisconnected

_THEIRS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("werkzeug.exceptions", "ClientDisconnected", ()),  # Flask's
    ("bottle", "HTTPError", (400,)),
)
"""Module, class and arguments. Falcon's have a layout that no OSError can have; Django makes its own of an OSError."""

_TEXT = "the client has closed the connection"


def client_disconnected() -> ClientDisconnected:
    """Make the error, to be raised where the app waits for its client."""
    for module, name, arguments in _THEIRS:
        theirs: Any = getattr(sys.modules.get(module), name, None)
        if theirs is not None:
            error = _of_both(theirs)(_TEXT)
            theirs.__init__(error, *arguments)
            error.args = (_TEXT,)
            return error
    return ClientDisconnected(_TEXT)


@cache
def _of_both(theirs: type) -> type[ClientDisconnected]:
    made: type[ClientDisconnected] = type(
        ClientDisconnected.__name__, (ClientDisconnected, theirs), {"__module__": ClientDisconnected.__module__}
    )
    return made
