"""Output for logs that nobody waits for: what a pipe or a terminal does not take is kept, and in the end dropped.

Standard output is often a pipe. Once its reader stands still and it is full, a write to it blocks, and that in the
thread which serves all connections. So this writes without blocking where the system can; what is left over is kept,
and a thread writes it when the reader goes on.

The descriptor itself must stay as it is, since "not to block" would hold for all processes that share it: a pipe and a
terminal are opened a second time, and a socket has a flag for each call.
"""

import os
import socket
import stat
import sys
from collections import deque
from collections.abc import Callable
from io import TextIOWrapper
from select import select
from threading import Lock, Thread

KEPT = 1024 * 1024
"""Bytes that are kept for a reader that stands still; then new lines are dropped. About ten thousand requests."""

type WriteNow = Callable[[bytes], int]
"""Writes as much as can be written at once; returns how much that was. Raises BlockingIOError if it is nothing."""


class LogOutput:
    """A stream that writes to where another one leads, and never blocks.

    Args:
        stream: a standard stream of this process.
        notice: makes the line that tells how many were dropped, without its end.
    """

    def __init__(self, stream: TextIOWrapper, notice: Callable[[int], str]) -> None:
        stream.flush()
        self.name = stream.name
        """What it leads to, for people."""
        self._stream = stream
        self._notice = notice
        self._descriptor, self._write_now, self._close = _without_blocking(stream.fileno())
        self._lock = Lock()  # for what follows
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0  # lines
        self._thread: Thread | None = None

    def write(self, text: str) -> None:
        """Write text, now or when that can be done. Raises OSError if it never can."""
        data = text.encode(self._stream.encoding, "backslashreplace")
        with self._lock:
            written = 0
            if self._write_now is not None and not self._kept:
                try:
                    written = self._write_now(data)
                except BlockingIOError:
                    pass
                if written == len(data):
                    return
            self._keep(data, written)

    def flush(self) -> None:
        """Do nothing: what can be written has been written."""

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._stream.fileno()

    def close(self) -> None:
        """Write no more than what is left: the handler has another stream now."""
        self.finish(0.0)

    def finish(self, seconds: float) -> bool:
        """Wait so long for what is left to be written. If it is, close, and return True: there is the stream again."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
            if thread.is_alive():
                return False
        close, self._close = self._close, lambda: None  # two handlers may have this one
        close()
        return True

    def _keep(self, data: bytes, written: int) -> None:
        """Keep what was not written. A line that has begun is kept in any case."""
        rest = data[written:]
        most = KEPT // 2 if self._dropped else KEPT  # not a line here and there: one gap, and then lines again
        if self._size + len(rest) > most and not written:
            self._dropped += data.count(b"\n")
            return
        if self._dropped:
            self._tell_dropped()
        self._add(rest)
        if self._thread is None:
            self._thread = Thread(target=self._write_kept, name="snakepit-log", daemon=True)
            self._thread.start()

    def _add(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)

    def _tell_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        self._add(f"{self._notice(dropped)}\n".encode(self._stream.encoding, "backslashreplace"))

    def _write_kept(self) -> None:
        while True:
            with self._lock:
                if not self._kept:
                    if not self._dropped:
                        self._thread = None
                        return
                    self._tell_dropped()
                data = self._kept[0]
            try:
                written = self._wait_written(data)
            except (OSError, ValueError):  # nobody will ever read it
                with self._lock:
                    self._kept.clear()
                    self._size = self._dropped = 0
                    self._thread = None
                return
            with self._lock:
                self._size -= written
                if written == len(data):
                    self._kept.popleft()
                else:
                    self._kept[0] = data[written:]

    def _wait_written(self, data: bytes) -> int:
        """Write at least some of it; returns how much."""
        if self._write_now is None:
            self._stream.buffer.write(data.replace(b"\n", os.linesep.encode()))
            self._stream.buffer.flush()
            return len(data)
        while True:
            select([], [self._descriptor], [])
            try:
                return self._write_now(data)
            except BlockingIOError:  # another process was faster, or there is less room than it needs
                continue


def _without_blocking(descriptor: int) -> tuple[int, WriteNow | None, Callable[[], None]]:
    """Return a descriptor that leads to the same place, what writes there without blocking, and what closes it.

    None: nothing can write there like that.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor, lambda data: os.write(descriptor, data), lambda: None
    if stat.S_ISSOCK(kind) and sys.platform != "win32":
        sock = socket.socket(fileno=os.dup(descriptor))
        return sock.fileno(), lambda data: sock.send(data, socket.MSG_DONTWAIT), sock.close
    if (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)) and sys.platform == "linux":
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # a terminal of another user, or no /proc
            return descriptor, None, lambda: None
        return own, lambda data: os.write(own, data), lambda: os.close(own)
    return descriptor, None, lambda: None
