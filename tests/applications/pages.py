"""Pages in a browser, for the clients that need one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from chromium import chromium, wait_for
from selenium import webdriver
from selenium.webdriver.common.by import By

__all__ = ["By", "page", "wait_for"]


@contextmanager
def page(url: str) -> Iterator[webdriver.Chrome]:
    """A page in a browser of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, chromium(folder) as browser:
        browser.get(url)
        yield browser
