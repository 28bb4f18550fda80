"""The rest of a request's body, in a temporary file: written while the client sends it, and then read for the app."""

from typing import IO, TYPE_CHECKING

from snakepit.wire.envelopes import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

type NewFile = Callable[[], IO[bytes]]
"""Makes an unbuffered temporary file, which goes when it is closed. Raises OSError."""


class BodyFile:
    """A file that is written to its end, then read once. The methods raise OSError."""

    def __init__(self, new_file: NewFile) -> None:
        self._file = new_file()
        self._left: int | None = None  # bytes to be read; None: reading has not begun
        self._size = 0

    def write(self, data: bytes) -> None:
        """Put some more into the file."""
        if self._file.write(data) < len(data):
            raise OSError("it was written in part only")
        self._size += len(data)

    def read(self) -> tuple[bytes, bool]:
        """Return the next CHUNK, and whether more is to come; the file is closed after the last one."""
        if self._left is None:
            self._file.seek(0)
            self._left = self._size
        data = self._file.read(min(CHUNK, self._left))
        if not data:
            raise OSError("it has become shorter")
        self._left -= len(data)
        if not self._left:
            self.close()
        return data, self._left > 0

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
