"""A real browser for tests, Chromium without a window.

It needs Debian's packages chromium and chromium-driver (tools/install-debian-packages). Where CI says that they must
be there, by SNAKEPIT_TEST_BROWSER=required, their lack is an error.
"""

import os

import pytest
from chromium import ENVIRONMENT, MISSING, chromium, wait_for

__all__ = ["NEEDS_BROWSER", "browser", "wait_for"]

REQUIRED = os.environ.get("SNAKEPIT_TEST_BROWSER") == "required"

NEEDS_BROWSER = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED, reason=f"no {' and no '.join(MISSING)}; run tools/install-debian-packages"
)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    assert not MISSING, f"there must be {MISSING}"
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with chromium(tmp_path) as browser:
        yield browser
