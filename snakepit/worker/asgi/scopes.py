"""What all scopes of requests have in common."""

from typing import Any

ASGI = {"version": "3.0", "spec_version": "2.3"}

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": None,
    "http_version": "",
    "method": "",
    "scheme": "",
    "path": "",
    "raw_path": b"",
    "query_string": b"",
    "root_path": "",
    "headers": (),
    "client": None,
    "server": None,
    "state": None,
}
"""All keys of a scope. To copy it and replace values takes less time than to make a new dict of that size. What an app
could change in place has to be made for each request."""
