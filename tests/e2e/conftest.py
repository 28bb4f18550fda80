"""Servers that many tests share: none of these tests may end its server.

Each test that uses them runs twice: with whatever fast parts are installed, and without them.
"""

import pytest
from support import running

PARTS = {"installed": (), "plain": ("--http", "h11", "--loop", "asyncio")}


@pytest.fixture(scope="session", params=PARTS)
def parts(request):
    return PARTS[request.param]


@pytest.fixture(scope="session")
def asgi(parts):
    with running("behaviors:app", *parts) as server:
        yield server


@pytest.fixture(scope="session")
def wsgi(parts):
    with running("wsgi_behaviors:app", *parts) as server:
        yield server
