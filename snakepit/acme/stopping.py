"""How work in threads ends at once when the server stops: pauses are cut short, and sockets shut down."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from snakepit.acme.problems import AcmeStopped


class Stop:
    """The stop that all threads look at. Its methods raise AcmeStopped once it is set."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def set(self) -> None:
        """Stop everything."""
        self._set.set()
        with self._lock:
            for one in self._sockets:
                shut_down(one)

    def check(self) -> None:
        """Raise AcmeStopped if the stop is set."""
        if self._set.is_set():
            raise AcmeStopped

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        if self._set.wait(seconds):
            raise AcmeStopped

    @contextlib.contextmanager
    def cutting(self, connected: socket.socket, seconds: float) -> Iterator[None]:
        """Shut a socket down if the stop is set, or after so many seconds, within this block."""
        timer = threading.Timer(seconds, shut_down, (connected,))
        timer.daemon = True
        with self._lock:
            self.check()
            self._sockets.add(connected)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._sockets.discard(connected)


def shut_down(connected: socket.socket) -> None:
    """Shut a socket down: reads in other threads end, which closing it would not bring about."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not that of an SSLSocket, which unwraps it first
