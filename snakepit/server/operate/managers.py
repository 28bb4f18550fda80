"""Who manages this process: a supervisor, a service manager such as systemd, or nobody.

The server tells it how things stand, and takes sockets and instructions from it.
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
"""Times that a server process says that it is alive within the silence that the supervisor bears: on a busy machine
some of it may come late."""


class Managed(Protocol):
    """What a manager may ask of the server. Called from any thread."""

    def told_to_stop(self, number: int, count: int) -> None:
        """So many stop signals have come, this the latest."""

    def signalled(self, name: str) -> None:
        """A signal came that concerns the workers."""

    def retire(self, successor: int) -> None:
        """Another process serves now: finish what has begun, and end."""

    def not_handed_over(self, reason: str) -> None:
        """No other process could take over."""


class Manager:
    """Nobody: an embedded server."""

    sockets: Sequence[socket.socket] = ()
    """Listening sockets to use in place of what the options say."""

    takes_over = False
    """Another process serves until this one is ready, so that there is no hurry to accept connections."""

    supervisor: int | None = None
    """The process that supervises this one."""

    restarts = 0
    """How many server processes before this one ended unexpectedly."""

    workers = 0
    """How many workers there are to be, in place of what the options say; 0: that."""

    def alive_every(self, silence: float) -> float | None:
        """How often it wants to hear `alive`, where a silence of so many seconds means that the loop hangs (0: none
        does); None: never."""
        return None

    def attach(self, server: Managed) -> None:
        """Let it ask things of the server from now on."""

    def close(self) -> None:
        """Let go of what it holds, where the server has come to no start."""

    def listening(self, sockets: Sequence[socket.socket]) -> None:
        """Connections are accepted on these."""

    def ready(self) -> None:
        """All workers are ready."""

    def alive(self, silence: float) -> None:
        """The event loop turns, and this will be said again before there is such a silence."""

    def ending(self) -> None:
        """The event loop will not turn for much longer: `alive` is not to be expected."""

    def reloading(self) -> None:
        """Workers are being replaced; `reloaded` follows."""

    def reloaded(self) -> None:
        """That is done, or was given up."""

    def scaled(self, workers: int) -> None:
        """There are to be so many workers from now on."""

    def stopping(self) -> None:
        """The server stops for good."""

    def hand_over(self, reason: str) -> bool:
        """Have another process take over; `retire` or `not_handed_over` follows. False: it can't."""
        return False


class ServiceManager(Manager):
    """systemd, or whatever speaks like it; and nobody where there is none."""

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
    """The process that started this one."""

    def __init__(self, origin: Origin) -> None:
        end = socket.socket(fileno=origin.link)
        self.sockets = [socket.socket(fileno=descriptor) for descriptor in origin.sockets]
        for inherited in (end, *self.sockets):
            inherited.set_inheritable(False)  # what the app starts has no business there
        self.takes_over = origin.takes_over
        self.supervisor = origin.supervisor
        self.restarts = origin.restarts
        self.workers = origin.workers
        self._period = systemd.watchdog_seconds(os.environ)  # the supervisor passes on what it hears
        self._given = bool(self.sockets)
        self._link = Link(end)
        self._lock = threading.Lock()
        self._attached = False

    def alive_every(self, silence: float) -> float | None:
        periods = [period for period in (self._period, silence / BEATS) if period]
        return min(periods) if periods else None

    def attach(self, server: Managed) -> None:
        self._attached = True
        # a thread, since it can be told to end at once even if the event loop hangs
        threading.Thread(target=self._listen, args=(server,), name="snakepit-supervisor", daemon=True).start()

    def close(self) -> None:
        if not self._attached:  # or a thread reads from it, to the end of the process
            self._link.close()
            for sock in self.sockets:
                sock.close()

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
    """Who manages this process, as its environment says."""
    origin = Origin.take(os.environ)
    return ServiceManager() if origin is None else SupervisorManager(origin)
