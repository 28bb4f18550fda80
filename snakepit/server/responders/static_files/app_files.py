"""Sends the files of apps: those that ASGI's `http.response.pathsend` names, and those that WSGI apps have open.

The worker of an ASGI app waits until they are sent; a thread of a WSGI app, until the file is open here, too, and its
first part has been sent. A file that is open, it sends itself if the same one is not found here.
"""

import asyncio
from typing import TYPE_CHECKING

from snakepit.errors import LocalProtocolError
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.static_files.disk_threads import DiskThreads
from snakepit.server.responders.static_files.files import OpenFile, open_again, open_named
from snakepit.server.responders.static_files.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.http.fields import Fields
    from snakepit.http.types import AppFile
    from snakepit.server.exchanges.exchange import Exchange, OnChange
    from snakepit.server.responders.static_files.ranges import Range

_OPEN = (ExchangeState.ASSIGNED, ExchangeState.RESPONDING)


class AppFiles:
    """Sends the files of apps, at their clients' pace."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._threads = DiskThreads(loop, "snakepit-app-files")

    def send(self, exchange: "Exchange", status: int, fields: "Fields", file: "AppFile") -> "OnChange":
        """Begin to send a file; status 0: the head has been sent."""
        sending = _Sending(exchange, status, fields, self._threads)
        if isinstance(file, str):
            self._threads.run(lambda: open_named(file), sending.opened)
        else:
            source, device, inode, start, end = file
            self._threads.run(
                lambda: open_again(source, device, inode), lambda found: sending.opened_again(found, start, end)
            )
        return sending.changed

    def close(self) -> None:
        """End the threads."""
        self._threads.close()


class _Sending:
    """A file on its way to being sent."""

    def __init__(self, exchange: "Exchange", status: int, fields: "Fields", threads: DiskThreads) -> None:
        self._exchange = exchange
        self._status = status
        self._fields = fields
        self._threads = threads
        self._transfer: AppTransfer | None = None

    def changed(self, exchange: "Exchange") -> None:
        """Hear that the client takes more, or that it is over."""
        if self._transfer is not None:
            self._transfer.go_on(exchange)

    def opened(self, found: tuple[OpenFile, int] | Exception) -> None:
        """Send the file that was opened, of which the size is known."""
        exchange = self._exchange
        if isinstance(found, Exception):
            if exchange.state in _OPEN:
                exchange.break_off(LocalProtocolError(f"the app sent a file that can't be read: {found}"))
            return
        file, size = found
        length = self._fields[2]
        wanted = size if length is None else length
        if exchange.state not in _OPEN:
            self._threads.release(file)
        elif size < wanted:
            self._threads.release(file)
            exchange.break_off(LocalProtocolError(f"the app announced {wanted} bytes of a file that has {size}"))
        else:
            self._send(file, 0, wanted)

    def opened_again(self, found: tuple[OpenFile, int] | Exception, start: int, end: int) -> None:
        """Send these bytes of the file that the app has open, if it has them and was found."""
        exchange = self._exchange
        if isinstance(found, Exception):
            exchange.return_file()
            return
        file, size = found
        if exchange.state in _OPEN and size >= end:
            self._send(file, start, end, exchange.has_file)
        else:
            self._threads.release(file)
            exchange.return_file()

    def _send(self, file: OpenFile, start: int, end: int, begun: "Callable[[], object]" = lambda: None) -> None:
        lines, flags, _ = self._fields
        pieces: list[bytes | Range] = [(start, end)] if start < end else [b""]
        fields = lines, flags, end - start
        self._transfer = AppTransfer(
            self._exchange, self._status, fields, file, pieces, self._threads, lambda exchange: None
        )
        self._transfer.on_begun = begun
        self._transfer.begin()


class AppTransfer(Transfer):
    """The transfer of a file in place of what a worker would send.

    `on_begun` is called when the first of it was sent.
    """

    on_begun: "Callable[[], object]"

    def _is_wanted(self) -> bool:
        return self._exchange.state in _OPEN

    def _fail(self, reason: str) -> None:
        self._exchange.break_off(LocalProtocolError(f"the app sent a file that can't be read: {reason}"))

    def _send(self, data: bytes) -> bool:
        exchange, more = self._exchange, bool(self._pieces)
        if self._begun or not self._status:
            exchange.respond_body(data, more)
        else:
            exchange.respond(self._status, self._fields, data, more)
            self.on_begun()
        self._begun = True
        return more and exchange.add_to_reply(b"") and bool(self._pieces) and not self._reading
