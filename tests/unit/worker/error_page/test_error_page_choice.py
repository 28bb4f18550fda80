"""worker.error_page.choice: nothing without `--debug`."""

import error_pages

from snakepit.errors import AppImportError
from snakepit.worker.error_page.choice import page_of_failure


def test_without_the_option_there_is_none():
    assert error_pages.make(debug=False) is None
    assert page_of_failure(error_pages.SETTINGS | {"debug": False}, AppImportError("no")) == b""


def test_with_it_there_is_one():
    assert error_pages.make() is not None
    assert b"AppImportError" in page_of_failure(error_pages.SETTINGS, AppImportError("no"))
