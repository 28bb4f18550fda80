"""The script with which a page reloads itself (`--reload-browser`): its address, and the tag that loads it.

Its address contains the version of the app that made the page, so that the server knows whether there is a newer one.
The tag comes last, after everything that the app sent: this works for whole pages, streamed ones and broken ones.
"""

SCRIPT = "/__snakepit__/reload.js"
"""The path of the script."""

EVENTS = "/__snakepit__/reload"
"""The path at which the script waits for a newer version."""


def address(root_path: str, server: str) -> str:
    """Return the address of the script for a server's pages, without the number of their version, which the caller
    adds.

    `root_path`: the path under which a proxy publishes the server. `server`: a name that no other or earlier server
    has.
    """
    return f"{root_path}{SCRIPT}?{server}."


def tag(script: str, nonce: str = "") -> bytes:
    """Make the tag at the end of a page that loads the script from its address.

    `nonce`: the one that the page's Content-Security-Policy demands of scripts. Unlike an inline script, an external
    one needs no nonce if the policy allows scripts of the page's own origin.
    """
    allowed = f' nonce="{nonce}"' if nonce else ""
    return f'\n<script src="{script}"{allowed} async></script>\n'.encode()
