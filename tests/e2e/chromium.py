"""Chromium without a window, driven by Selenium: Debian's packages chromium and chromium-driver."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.support.wait import WebDriverWait
from waiting import PATIENCE

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
MISSING = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
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
ENVIRONMENT = {"SE_OFFLINE": "true", "NO_PROXY": "localhost,127.0.0.1"}
"""Variables that keep Selenium from downloading anything."""


@contextmanager
def chromium(folder: Path | str) -> Iterator[webdriver.Chrome]:
    """A browser with its profile in a folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    try:
        yield browser
    finally:
        browser.quit()


def wait_for[T](browser: webdriver.Chrome, what: Callable[[webdriver.Chrome], T]) -> T:
    """Wait until a condition holds; meanwhile the page may navigate away."""
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(what)
