"""Servers that many tests share: none of these tests may end its server."""

import pytest
from support import running


@pytest.fixture(scope="session")
def asgi():
    with running("behaviors:app") as server:
        yield server


@pytest.fixture(scope="session")
def wsgi():
    with running("wsgi_behaviors:app") as server:
        yield server
