"""The access log in other forms than the default one: a line for each request when it is over, with all that is known.

That is after the end of the response, while the default line, as uvicorn's, is written when the response begins.
"""

import asyncio
import logging
import time
from time import monotonic
from typing import TYPE_CHECKING

from snakepit.config.access_fields import fields_of
from snakepit.logs import ReadyLines
from snakepit.server.exchanges.websocket import SWITCHED
from snakepit.server.net.access_log import Sample
from snakepit.server.net.request_facts import MakeLine, status_of
from snakepit.server.net.request_formats import lines_by_format
from snakepit.server.net.request_json import lines_as_json

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.exchanges.watched import WatchedExchange


class RequestLog:
    """An access log that gets all that is known of a request. The lines of one turn of the loop are one text.

    With handlers of the operator's own each line is a record of the logger `snakepit.access`.
    """

    def __init__(
        self,
        logger: logging.Logger,
        make_line: MakeLine,
        loop: asyncio.AbstractEventLoop,
        sample: Sample | None = None,
    ) -> None:
        self._logger = logger
        self._make_line = make_line
        self._loop = loop
        self._sample = sample
        self._requests: list[WatchedExchange] = []
        handler = logger.handlers[0] if len(logger.handlers) == 1 else None
        self._handler = handler if isinstance(handler, ReadyLines) and not logger.filters else None

    def switched(self, exchange: "WatchedExchange") -> None:
        """Log a session on a WebSocket: that begins now, and is as long as its client likes."""
        self._add(exchange)

    def over(self, exchange: "WatchedExchange") -> None:
        """Log a request."""
        if exchange.status != SWITCHED:
            self._add(exchange)

    def flush(self) -> None:
        """Write the lines of what is over."""
        requests, self._requests = self._requests, []
        since = time.time() - monotonic()
        make_line = self._make_line
        lines = [make_line(each, since + (each.ended_at or monotonic())) for each in requests]
        if self._handler is not None:
            self._handler.write("\n".join([*lines, ""]))
            return
        for line in lines:
            self._logger.info("%s", line)

    def _add(self, exchange: "WatchedExchange") -> None:
        if exchange.is_logged and (self._sample is None or self._sample.takes(status_of(exchange))):
            if not self._requests:
                self._loop.call_soon(self.flush)  # by then, what is sent in an app's stead is known, too
            self._requests.append(exchange)


def _line_maker(config: "Config") -> MakeLine | None:
    """Return what makes lines of the access log, if not the default ones are asked for."""
    if not config.access_log:
        return None
    if config.access_log_format:
        return lines_by_format(config.access_log_format, config.request_id)
    if config.log_format != "json" or config.log_config is not None:
        return None
    return lines_as_json(fields_of(config.access_log_fields), config.request_id, config.access_log_sample)


def request_log(config: "Config", loop: asyncio.AbstractEventLoop) -> RequestLog | None:
    """Make the access log that the options ask for; None: it has the default lines, or nobody would write it."""
    logger, make_line = logging.getLogger("snakepit.access"), _line_maker(config)
    if make_line is None or not logger.isEnabledFor(logging.INFO):
        return None
    share = config.access_log_sample
    return RequestLog(logger, make_line, loop, Sample(share) if share < 1.0 else None)
