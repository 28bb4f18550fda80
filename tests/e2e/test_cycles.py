"""Snakepit's memory does not wait for the garbage collector: it is freed when an exchange ends, with every setting of
gc.

The sockets, loops and parsers are the real ones, and both sides are in one interpreter, which counts its objects.
"""

import json
import subprocess
import sys

import pytest
from support import APPS, ONE_RUNTIME, PATIENCE

pytestmark = ONE_RUNTIME

HTTP = ["get", "keep", "upload", "chunks", "refused", "fails", "gone"]


@pytest.mark.parametrize(("loop", "http"), [("asyncio", "h11"), ("uvloop", "httptools")])
@pytest.mark.parametrize(
    ("app", "kinds"),
    [
        ("behaviors:app", [*HTTP, "context"]),
        ("wsgi_behaviors:app", HTTP),
        ("websocket_behaviors:app", ["websocket"]),
    ],
)
def test_nothing_is_left_in_a_cycle(app, kinds, loop, http):
    command = [sys.executable, "counting.py", app, loop, http, *kinds]
    result = subprocess.run(command, cwd=APPS, capture_output=True, text=True, timeout=3 * PATIENCE)
    assert result.stdout, result.stderr
    assert json.loads(result.stdout) == {kind: {} for kind in kinds}
