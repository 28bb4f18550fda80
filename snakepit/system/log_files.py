"""Reopens log files that were moved away, in any interpreter: log rotation asks for this by SIGUSR1."""

import os
import sys


def reopen_log_files() -> tuple[list[str], list[str]]:
    """Reopen each log file that is not at its path any more.

    Files that are still there stay open: one that is opened with mode "w" would lose its contents.

    Returns the paths of the reopened files, and the errors with others, which go on writing to the moved files.
    """
    opened: list[str] = []
    troubles: list[str] = []
    logging = sys.modules.get("logging")
    if logging is None:  # without logging there are no log files
        return opened, troubles
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = {handler for logger in loggers for handler in getattr(logger, "handlers", ())}  # some are placeholders
    for handler in handlers:
        if not isinstance(handler, logging.FileHandler):
            continue
        handler.acquire()
        try:
            if handler.stream is not None and _was_moved(handler.stream.fileno(), handler.baseFilename):
                former, handler.stream = handler.stream, handler._open()
                former.close()
                opened.append(handler.baseFilename)
        except (OSError, ValueError) as error:  # it can't be created there, or the stream was closed
            troubles.append(f"{handler.baseFilename} can't be opened anew: {error}")
        finally:
            handler.release()
    return opened, troubles


def _was_moved(descriptor: int, path: str) -> bool:
    try:
        return not os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return True
