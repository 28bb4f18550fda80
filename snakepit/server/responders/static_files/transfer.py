"""Sends a file to a client, at its pace, with reading in a thread.

asyncio's `sendfile` would read in the event loop, which then waits for the disk, and uvloop has none.
"""

from collections import deque
from typing import TYPE_CHECKING

from snakepit.http.fields import Fields
from snakepit.server.lifecycle import ExchangeState

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.responders.static_files.disk_threads import DiskThreads
    from snakepit.server.responders.static_files.files import OpenFile
    from snakepit.server.responders.static_files.ranges import Range

PIECE = 256 * 1024
"""Bytes that are read at once: as many as may be on their way of a body from a worker, so a client that does not read
costs no more here than there."""


class Transfer:
    """One answer that is read from a file.

    Args:
        file: released when the transfer is over.
        pieces: what is sent: bytes as they are, and ranges of the file.
        over: called when the transfer is over.
    """

    def __init__(
        self,
        exchange: "Exchange",
        status: int,
        fields: Fields,
        file: "OpenFile",
        pieces: "list[bytes | Range]",
        threads: "DiskThreads",
        over: "Callable[[Exchange], object]",
    ) -> None:
        self._exchange = exchange
        self._status = status
        self._fields = fields
        self._file: OpenFile | None = file
        self._pieces = deque(pieces)
        self._threads = threads
        self._over = over
        self._reading = False
        self._begun = False

    def begin(self) -> None:
        """Read the first piece; the answer begins when it is there."""
        self._read()

    def cancel(self) -> None:
        """Close the file: the client has gone."""
        self._pieces.clear()
        if not self._reading:
            self._end()

    def go_on(self, exchange: "Exchange") -> None:
        """Hear that the client takes more, or that it is over."""
        if exchange.state is not ExchangeState.RESPONDING:
            self.cancel()
        elif not self._reading and self._pieces:
            self._read()

    def _read(self) -> None:
        begin, start, end = self._next()
        file = self._file
        assert file is not None, "nothing is read once it is over"
        self._reading = True
        self._threads.run(
            lambda: begin + file.read(start, end - start) if begin else file.read(start, end - start),
            lambda data: self._came(data, len(begin) + end - start),
        )

    def _next(self) -> tuple[bytes, int, int]:
        """Take what is sent next: bytes as they are, and a range of the file behind them."""
        begin = b""
        while self._pieces:
            piece = self._pieces.popleft()
            if not isinstance(piece, bytes):
                start, end = piece
                middle = min(end, start + PIECE)
                if middle < end:
                    self._pieces.appendleft((middle, end))
                return begin, start, middle
            begin += piece
        return begin, 0, 0

    def _came(self, data: bytes | Exception, size: int) -> None:
        self._reading = False
        if not self._is_wanted():
            self._end()  # the client has gone meanwhile
        elif isinstance(data, Exception) or len(data) < size:
            self._end()
            self._fail(str(data) if isinstance(data, Exception) else "it has become shorter")
        elif self._send(data):
            self._read()
        elif not self._pieces and not self._reading:
            self._end()

    def _is_wanted(self) -> bool:
        return self._exchange.state is (ExchangeState.RESPONDING if self._begun else ExchangeState.NEW)

    def _fail(self, reason: str) -> None:
        """Answer with an error, or break off an answer that has begun: the file can't be read."""
        self._exchange.refuse(500, "The file can't be read", [])

    def _send(self, data: bytes) -> bool:
        """Send some of it, and the head before the first; returns whether more is wanted now."""
        more = bool(self._pieces)
        if self._begun:
            takes_more = self._exchange.add_to_reply(data, more)
        elif more:
            self._begun = True
            takes_more = self._exchange.begin_reply(self._status, self._fields, data, self.go_on)
        else:
            self._exchange.reply(self._status, self._fields, data)
            return False
        return takes_more and bool(self._pieces) and not self._reading

    def _end(self) -> None:
        self._pieces.clear()
        file, self._file = self._file, None
        if file is not None:
            self._over(self._exchange)
            self._threads.release(file)
