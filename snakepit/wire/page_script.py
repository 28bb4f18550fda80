"""The script by which a page reloads itself (`--reload-browser`): where it is, and how a page gets it.

Its address tells of which version of the app the page is, so that the server can tell whether there is a newer one.
The tag comes last, after everything the app sent: that works for whole pages, streamed ones and broken ones alike.
"""

SCRIPT = "/__snakepit__/reload.js"
"""The path of the script."""

EVENTS = "/__snakepit__/reload"
"""The path where it waits for a newer version."""


def address(root_path: str, server: str) -> str:
    """Return where the script is for a server's pages, but for the number of their version, which is to follow.

    `root_path`: under which a proxy publishes the server. `server`: a name that no other has, nor the one before.
    """
    return f"{root_path}{SCRIPT}?{server}."


def tag(script: str, nonce: str = "") -> bytes:
    """Make what a page ends with, to load the script from its address.

    `nonce`: what the page's Content-Security-Policy wants scripts to have. An external script, rather than an inline
    one, needs none where the policy allows for scripts of the page's own origin.
    """
    allowed = f' nonce="{nonce}"' if nonce else ""
    return f'\n<script src="{script}"{allowed} async></script>\n'.encode()
