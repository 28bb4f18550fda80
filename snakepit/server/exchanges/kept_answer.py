"""The rest of answers that clients take more slowly than apps give it, where each answer holds a thread of the app.

A thread of a WSGI app that sends a body waits for whoever reads it. So what a client does not take yet is kept here, in
memory up to a bound, and the thread goes on; where there is an option for it, what is more is kept in a temporary file.
Otherwise the thread waits then.

The event loop writes and reads these files by itself: they are in the system's cache as long as that has room.
"""

from collections import deque
from typing import IO, TYPE_CHECKING

from snakepit.errors import LocalProtocolError
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import CHUNK, cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.server.exchanges.exchange import Exchange

KEPT_AT_ONCE = 32
"""How many answers of the longest kind may be kept in memory at once, in bytes."""


class KeptAnswers:
    """What is kept of the answers of one app.

    Args:
        most: bytes of one answer in memory.
        new_file: makes the temporary file in which what is more is kept; None: nothing more is.
    """

    def __init__(self, most: int, new_file: "Callable[[], IO[bytes]] | None" = None) -> None:
        self.most = most
        self.new_file = new_file
        self.bytes = 0  # in memory, of all of them

    def keep(self, exchange: "Exchange") -> "KeptAnswer":
        """Begin to keep an answer, which has begun."""
        return KeptAnswer(self, exchange)

    def has_room(self, size: int) -> bool:
        """Whether more may be kept in memory of an answer of which so much is."""
        return size < self.most and self.bytes < self.most * KEPT_AT_ONCE


class KeptAnswer:
    """The rest of one answer."""

    def __init__(self, all_of_them: KeptAnswers, exchange: "Exchange") -> None:
        self.complete = False
        self._all = all_of_them
        self._exchange = exchange
        self._pieces: deque[bytes | tuple[int, int]] = deque()  # in memory, or from here to there in the file
        self._size = 0  # what those in memory cost
        self._file: IO[bytes] | None = None
        self._written = 0  # where the file ends
        self._failed = False  # to write to it

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more of the answer, and send what its client takes; returns whether the app may go on."""
        self.complete = not more
        if data and (self._all.has_room(self._size) or not self._write(data)):
            self._pieces.append(data)
            self._grow(cost(data))
        self._send()
        return self._goes_on

    def go_on(self, exchange: "Exchange") -> None:
        """Hear that the client takes more, or that the exchange is over."""
        if exchange.state is ExchangeState.RESPONDING:
            self._send()
        if exchange.state is not ExchangeState.RESPONDING:
            self._close()
        elif self._goes_on:
            exchange.let_app_go_on()

    @property
    def _goes_on(self) -> bool:
        if not self._pieces or self._all.has_room(self._size):
            return True
        return self._all.new_file is not None and not self._failed

    def _grow(self, size: int) -> None:
        self._size += size
        self._all.bytes += size

    def _write(self, data: bytes) -> bool:
        """Put a piece into the file; returns False if there is to be none, or the disk is full."""
        if self._all.new_file is None or self._failed:
            return False
        try:
            if self._file is None:
                self._file = self._all.new_file()
            self._file.seek(self._written)
            self._failed = self._file.write(data) < len(data)
        except OSError:
            self._failed = True
        if self._failed:
            return False
        self._pieces.append((self._written, self._written + len(data)))
        self._written += len(data)
        return True

    def _send(self) -> None:
        exchange, pieces = self._exchange, self._pieces
        while exchange.takes_more or (self.complete and not pieces):
            if not pieces and not self.complete:
                break
            try:
                data = self._take() if pieces else b""
            except OSError as error:
                exchange.break_off(LocalProtocolError(f"what was kept of the answer can't be read: {error}"))
                break
            exchange.add_to_reply(data, bool(pieces) or not self.complete)
            if exchange.state is not ExchangeState.RESPONDING:
                break

    def _take(self) -> bytes:
        """Return the next piece. Raises OSError."""
        piece = self._pieces.popleft()
        if isinstance(piece, bytes):
            self._grow(-cost(piece))
            return piece
        assert self._file is not None
        begin, end = piece
        self._file.seek(begin)
        data = self._file.read(min(CHUNK, end - begin))
        if not data:
            raise OSError("it has become shorter")
        if begin + len(data) < end:
            self._pieces.appendleft((begin + len(data), end))
        elif not any(isinstance(each, tuple) for each in self._pieces):
            self._file.truncate(0)
            self._written, self._failed = 0, False
        return data

    def _close(self) -> None:
        self._grow(-self._size)
        self._pieces.clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()
