"""A real browser for tests, Chromium without a window.

It needs Debian's packages chromium and chromium-driver (tools/install-debian-packages). Where CI says that they must
be there, by SNAKEPIT_TEST_BROWSER=required, their lack is an error.
"""

import os
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.support.wait import WebDriverWait
from support import PATIENCE

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
MISSING = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
REQUIRED = os.environ.get("SNAKEPIT_TEST_BROWSER") == "required"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-proxy-server",
)

NEEDS_BROWSER = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED, reason=f"no {' and no '.join(MISSING)}; run tools/install-debian-packages"
)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    assert not MISSING, f"there must be {MISSING}"
    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    yield browser
    browser.quit()


def wait_for(browser, what):
    """Wait for something to be so; meanwhile the page may go away under whoever looks at it."""
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(what)
