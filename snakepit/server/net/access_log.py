"""The access log: a line for each request.

A log record for each request costs as much as the rest of the request, and all requests pass through one interpreter.
So with the default configuration, the lines of one turn of the event loop are written as one text, with the time of the
turn; under load that is a dozen lines in one write. With the operator's own configuration, each request is a record of
the logger `snakepit.access`, as its handlers and filters expect.
"""

import asyncio
import logging
import random
import time
from typing import Protocol

from snakepit.http.events import RequestHead
from snakepit.logs import ColorFormatter, ReadyLines, colored_level, colored_status


class AccessLog(Protocol):
    """The interface of access logs: one line for each request."""

    def add(self, peer: str, head: RequestHead, status: int) -> None:
        """Log a request whose response has begun."""


class RecordLog:
    """An access log that makes a record of each request."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def add(self, peer: str, head: RequestHead, status: int) -> None:
        target = head.target.decode("latin-1")
        self._logger.info('%s - "%s %s HTTP/%s" %d', peer, head.method, target, head.http_version, status)


class BatchLog:
    """An access log that writes the requests of one turn as one text, in the default format."""

    def __init__(self, handler: ReadyLines, loop: asyncio.AbstractEventLoop) -> None:
        self._handler = handler
        self._loop = loop
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""
        self._level = "INFO    "

    def add(self, peer: str, head: RequestHead, status: int) -> None:
        if not self._lines:
            self._loop.call_soon(self.flush)
        target = head.target.decode("latin-1")
        self._lines.append(f'{peer} - "{head.method} {target} HTTP/{head.http_version}" {status}\n')

    def flush(self) -> None:
        """Write the collected lines."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime(f"{self._handler.time_format} {self._level} ", time.localtime(second))
        text = self._stamp + self._stamp.join(self._lines)
        self._lines.clear()
        self._handler.write(text)


class ColorBatchLog(BatchLog):
    """An access log that writes the requests of one turn as one text, in colours."""

    def __init__(self, handler: ReadyLines, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(handler, loop)
        self._level = colored_level("INFO", logging.INFO)

    def add(self, peer: str, head: RequestHead, status: int) -> None:
        if not self._lines:
            self._loop.call_soon(self.flush)
        target = head.target.decode("latin-1")
        line = f'{peer} - "{head.method} {target} HTTP/{head.http_version}" {colored_status(status)}\n'
        self._lines.append(line)


class Sample:
    """Chooses the requests that are logged where not all are: this share of those that went well, and all others."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random()  # an app may seed the module's own

    def takes(self, status: int) -> bool:
        """Tell whether to log a request that was answered with this status."""
        return status >= 400 or self._random.random() < self._share


class SampledLog:
    """An access log of some of the requests."""

    def __init__(self, sample: Sample, log: AccessLog) -> None:
        self._sample = sample
        self._log = log

    def add(self, peer: str, head: RequestHead, status: int) -> None:
        if self._sample.takes(status):
            self._log.add(peer, head, status)


def access_log(enabled: bool, loop: asyncio.AbstractEventLoop, share: float = 1.0) -> AccessLog | None:
    """Make the access log that the logging configuration asks for; None if no handler would write it.

    Args:
        share: of the requests that went well.
    """
    log = _all_requests(enabled, loop)
    return SampledLog(Sample(share), log) if log is not None and share < 1.0 else log


def _all_requests(enabled: bool, loop: asyncio.AbstractEventLoop) -> AccessLog | None:
    logger = logging.getLogger("snakepit.access")
    if not enabled or not logger.isEnabledFor(logging.INFO):
        return None
    if len(logger.handlers) == 1 and not logger.propagate and not logger.filters:
        handler = logger.handlers[0]
        if isinstance(handler, ReadyLines):
            return (ColorBatchLog if isinstance(handler.formatter, ColorFormatter) else BatchLog)(handler, loop)
    return RecordLog(logger)
