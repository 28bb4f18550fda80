"""An app that sets itself up while it answers its first request, as Dash does; and is Dash, as the server sees it."""

import sys
import time
from types import ModuleType

sys.modules["dash.dash"] = ModuleType("dash.dash")
seen = set_up = False


def app(environ, start_response):
    global seen, set_up
    if not seen:
        seen = True
        time.sleep(0.2)
        set_up = True
    start_response("200 OK" if set_up else "500 Internal Server Error", [("Content-Length", "0")])
    return [b""]
