"""Whether clients are shown the app's exceptions."""

from typing import TYPE_CHECKING

from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    from snakepit.errors import AppError
    from snakepit.wire.settings import WorkerSettings
    from snakepit.worker.error_page.answers import ErrorPages


def error_pages(settings: "WorkerSettings", interface: str = "") -> "ErrorPages | None":
    """Return what makes answers that show exceptions of an app that speaks this; None without `--debug`."""
    if not settings["debug"]:
        return None
    with StandardLibraryFirst():
        from snakepit.worker.error_page.answers import ErrorPages
    return ErrorPages(settings, interface)


def page_of_failure(settings: "WorkerSettings", error: "AppError") -> bytes:
    """Return the page for what keeps an app from being served; empty without `--debug`, or if none can be made."""
    pages = error_pages(settings)
    return b"" if pages is None else pages.of_failure(error)
