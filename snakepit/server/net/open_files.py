"""The limit on open files: each connection is one, and each worker's channels take a few.

When no descriptors are left, a connection can't be accepted. asyncio then reports this and tries again a second later;
uvloop (libuv) closes new connections silently. This module logs both in the same words: when a connection gets the last
descriptor, when asyncio reports that none was left, and when a check, once a second, finds none.
"""

import asyncio
import errno
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPTED_AT_ONCE = 4
"""Connections that asyncio accepts in a turn, in place of as many as the backlog holds: a refused one is closed four
turns later, and descriptors must not run out meanwhile."""

LOOK = 1.0
"""Seconds between two checks, and between two lines in the log. A check is two system calls."""

# What asyncio's loop reports (selector_events.py): once for each connection that the backlog may hold, each time with a
# timer to listen again, and these timers fail if the socket has been closed by then (CPython issue 151615).
_NOT_ACCEPTED = "socket.accept() out of system resource"
_NOT_LISTENING = "_start_serving("
_RETRY = 1.0  # seconds until asyncio listens again (constants.ACCEPT_RETRY_DELAY)


def raise_open_files_limit() -> tuple[int, int] | None:
    """Raise the soft limit to the hard one, as far as the platform has such limits and allows it.

    Returns the limit before and after; None if it did not change.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return None  # macOS reports "unlimited" and then refuses that; the soft limit stays
    return soft, hard


class OpenFiles:
    """The monitor that logs when descriptors run out; `raised` is the result of `raise_open_files_limit`.

    `last` is the highest number that a descriptor can have. A new one gets the lowest free number, so when this one is
    given out, no more are left. Those above `scarce` are not for connections.
    """

    def __init__(
        self, log: logging.Logger, loop: asyncio.AbstractEventLoop, raised: tuple[int, int] | None = None
    ) -> None:
        self.last = self.scarce = sys.maxsize
        self._log = log
        self._loop = loop
        self._raised = raised
        self._told = -LOOK  # when the last line was logged, by the loop's clock
        self._others: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Check now, and then periodically until `close`."""
        if sys.platform != "win32":  # which has no such limit
            self._others = self._loop.get_exception_handler()
            self._loop.set_exception_handler(self._handle)
            self._look()

    def close(self) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._loop.call_later(_RETRY + LOOK, self._hand_back)  # asyncio's timers still run

    def accepted(self, transport: asyncio.BaseTransport) -> bool:
        """Note an accepted connection; log it if it got the last descriptor. Returns whether it got a reserved one."""
        sock = transport.get_extra_info("socket")
        if sock is None or sock.fileno() < self.scarce:
            return False
        if sock.fileno() >= self.last:
            self.ran_out()
        return True

    def nearly_out(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a connection got one of the second half of those that are reserved."""
        sock = transport.get_extra_info("socket")
        return sock is not None and sock.fileno() > (self.scarce + self.last) // 2

    def ran_out(self, number: int = errno.EMFILE) -> None:
        """Log that no descriptors are left; `number`: the system's error, if there was one."""
        now = self._loop.time()
        if now - self._told < LOOK:
            return
        self._told = now
        if number == errno.EMFILE:
            self._log.error(
                "No descriptors left: this process may have %d files open, and has; connections that come are closed, "
                "or have to wait. Raise the limit (ulimit -n, or LimitNOFILE= with systemd)",
                self.last + 1,
            )
        else:
            self._log.error("Connections that come are closed, or have to wait: %s", os.strerror(number))

    def _hand_back(self) -> None:
        if self._loop.get_exception_handler() == self._handle:
            self._loop.set_exception_handler(self._others)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, error = str(context.get("message")), context.get("exception")
        if message == _NOT_ACCEPTED and isinstance(error, OSError):
            self.ran_out(error.errno or errno.EMFILE)
        elif _NOT_LISTENING in message and isinstance(error, ValueError):
            pass
        elif self._others is not None:
            self._others(loop, context)
        else:
            loop.default_exception_handler(context)

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)
        limit = self._limit()  # it may have been changed
        self.last = limit - 1
        self.scarce = limit - reserve(limit) if limit != sys.maxsize else sys.maxsize
        number = _trouble()
        if number:
            self.ran_out(number)

    def _limit(self) -> int:
        """Return the soft limit.

        A worker lowers it for a moment while it starts a process (`snakepit.worker.children`). If it is still low, for
        instance because a thread was interrupted just then, it is raised again.
        """
        if sys.platform == "win32":
            return sys.maxsize
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if self._raised is not None and soft == self._raised[0]:
            soft = self._raised[1]
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            except (ValueError, OSError):
                pass  # the app has lowered the hard limit
        return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def reserve(limit: int) -> int:
    """Return how many of so many descriptors are not for connections: an eighth, at most 1024 and if possible 32.

    They are for workers that start, files, log files, the sockets of the app, and connections that are being refused.
    """
    return min(max(limit // 8, 32), limit // 4, 1024)


def _trouble() -> int:
    """Return the system's error if no file can be opened for lack of descriptors or memory; 0 if one can."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM) else 0
    return 0
