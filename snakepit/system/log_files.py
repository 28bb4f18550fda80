"""Log files that were moved away are opened anew, in whichever interpreter: log rotation asks for it by SIGUSR1."""

import os
import sys


def reopen_log_files() -> tuple[list[str], list[str]]:
    """Open each log file anew that is not where it was opened any more.

    Nothing happens to those that are: one that is truncated when it is opened would lose what it holds.

    Returns the paths of those that were opened, and what went wrong with others, which go on writing to what was moved.
    """
    opened: list[str] = []
    troubles: list[str] = []
    logging = sys.modules.get("logging")
    if logging is None:  # nobody has a log file here
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
        except (OSError, ValueError) as error:  # it can't be made there, or the stream was closed
            troubles.append(f"{handler.baseFilename} can't be opened anew: {error}")
        finally:
            handler.release()
    return opened, troubles


def _was_moved(descriptor: int, path: str) -> bool:
    try:
        return not os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return True
