"""Managers of this process: a supervisor, a service manager such as systemd, or none.

The server reports its state to the manager, and takes sockets and instructions from it.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Protocol

from snakepit.supervisor import link
from snakepit.supervisor.link import Link, Origin
from snakepit.system import systemd

BEATS = 4
"""Heartbeats of a server process within the longest silence that the supervisor accepts: on a busy machine some may
come late."""


class Managed(Protocol):
    """The methods of the server that a manager calls, from any thread."""

    def told_to_stop(self, number: int, count: int) -> None:
        """Note how many stop signals have come; `number` is the latest."""

    def restarted(self, why: str) -> None:
        """Note that this process was started because another ended; `why`: which, and how."""

    def signalled(self, name: str) -> None:
        """Handle a signal that concerns the workers."""

    def retire(self, successor: int) -> None:
        """Finish what has begun, and end, since another process serves now."""

    def not_handed_over(self, reason: str) -> None:
        """Note that no other process could take over."""


class Manager:
    """The default manager: an embedded server has none. Every notification is a no-op."""

    sockets: Sequence[socket.socket] = ()
    """Listening sockets to use instead of those of the options."""

    takes_over = False
    """Whether another process serves until this one is ready, so that this one need not accept connections yet."""

    supervisor: int | None = None
    """The pid of this process's supervisor."""

    restarts = 0
    """The number of earlier server processes that ended unexpectedly."""

    workers = 0
    """The number of workers, instead of the options' number; 0: as the options say."""

    def alive_every(self, silence: float) -> float | None:
        """Return the seconds between calls of `alive`, if a silence of `seconds` means that the loop hangs (0: no
        limit); None: never call it."""
        return None

    def attach(self, server: Managed) -> None:
        """Connect the manager with the server, whose methods it may call from now on."""

    def close(self) -> None:
        """Release resources, if the server did not start."""

    def logs_as(self, log_format: str) -> None:
        """Report the format of the log: "text" or "json"."""

    def listening(self, sockets: Sequence[socket.socket]) -> None:
        """Report the sockets on which connections are accepted."""

    def ready(self) -> None:
        """Report that all workers are ready."""

    def alive(self, silence: float) -> None:
        """Report that the event loop runs; the next report comes before such a silence."""

    def ending(self) -> None:
        """Report that the event loop ends soon: no more calls of `alive` will come."""

    def reloading(self) -> None:
        """Report that workers are being replaced; `reloaded` follows."""

    def reloaded(self) -> None:
        """Report that the replacement is complete, or was given up."""

    def scaled(self, workers: int) -> None:
        """Report the new number of workers."""

    def stopping(self) -> None:
        """Report that the server stops."""

    def hand_over(self, reason: str) -> bool:
        """Start another process that takes over; `retire` or `not_handed_over` follows. False: it can't."""
        return False


class ServiceManager(Manager):
    """systemd, or another manager with its protocol; a no-op without one."""

    def __init__(self) -> None:
        self.sockets = systemd.take_sockets(os.environ)
        self._notifier = systemd.Notifier(os.environ)
        self._period = systemd.watchdog_seconds(os.environ)

    def alive_every(self, silence: float) -> float | None:
        return self._period

    def listening(self, sockets: Sequence[socket.socket]) -> None:
        self._notifier.ready()

    def alive(self, silence: float) -> None:
        self._notifier.alive()

    def reloading(self) -> None:
        self._notifier.reloading()

    def reloaded(self) -> None:
        self._notifier.ready()

    def stopping(self) -> None:
        self._notifier.stopping()


class SupervisorManager(Manager):
    """The supervisor: the process that started this one."""

    def __init__(self, origin: Origin) -> None:
        end = socket.socket(fileno=origin.link)
        self.sockets = [socket.socket(fileno=descriptor) for descriptor in origin.sockets]
        for inherited in (end, *self.sockets):
            inherited.set_inheritable(False)  # processes that the app starts must not use it
        self.takes_over = origin.takes_over
        self.supervisor = origin.supervisor
        self.restarts = origin.restarts
        self.workers = origin.workers
        self._period = systemd.watchdog_seconds(os.environ)  # the supervisor forwards signals
        self._given = bool(self.sockets)
        self._link = Link(end)
        self._lock = threading.Lock()
        self._attached = False

    def alive_every(self, silence: float) -> float | None:
        periods = [period for period in (self._period, silence / BEATS) if period]
        return min(periods) if periods else None

    def attach(self, server: Managed) -> None:
        self._attached = True
        # a thread: an order to end at once must work even if the event loop hangs
        threading.Thread(target=self._listen, args=(server,), name="snakepit-supervisor", daemon=True).start()

    def close(self) -> None:
        if not self._attached:  # or a thread reads from it, to the end of the process
            self._link.close()
            for sock in self.sockets:
                sock.close()

    def logs_as(self, log_format: str) -> None:
        self._send(link.LOG_FORMAT, log_format)

    def listening(self, sockets: Sequence[socket.socket]) -> None:
        self._send(link.LISTENING, sockets=() if self._given else sockets)

    def ready(self) -> None:
        self._send(link.READY)

    def alive(self, silence: float) -> None:
        self._send(link.ALIVE, f"{silence:g}")

    def ending(self) -> None:
        self._send(link.ALIVE, "0")

    def reloading(self) -> None:
        self._send(link.RELOADING)

    def reloaded(self) -> None:
        self._send(link.RELOADED)

    def scaled(self, workers: int) -> None:
        self._send(link.SCALED, str(workers))

    def stopping(self) -> None:
        self._send(link.STOPPING)

    def hand_over(self, reason: str) -> bool:
        self._send(link.HAND_OVER, reason)
        return True

    def _send(self, word: str, text: str = "", sockets: Sequence[socket.socket] = ()) -> None:
        with self._lock:
            self._link.send(word, text, sockets, self.supervisor or 0)

    def _listen(self, server: Managed) -> None:
        while (lines := self._link.receive()) is not None:
            for word, text in lines:
                if word == link.STOP:
                    number, count = map(int, text.split())
                    server.told_to_stop(number, count)
                elif word == link.RESTARTED:
                    server.restarted(text)
                elif word == link.SIGNAL:
                    server.signalled(text)
                elif word == link.RETIRE:
                    server.retire(int(text))
                elif word == link.NOT_HANDED_OVER:
                    server.not_handed_over(text)
        if not sys.is_finalizing():
            logging.getLogger("snakepit.server").warning("The supervisor has gone")
            server.told_to_stop(signal.SIGTERM, 1)


def find_manager() -> Manager:
    """Return the manager of this process, by the environment."""
    origin = Origin.take(os.environ)
    return ServiceManager() if origin is None else SupervisorManager(origin)
