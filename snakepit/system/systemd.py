"""systemd's protocol for services: readiness (sd_notify(3)) and socket activation (sd_listen_fds(3)).

Both are a few lines over environment variables, so no library is needed; without systemd, nothing happens.
"""

import os
import socket
import sys
import time
from collections.abc import MutableMapping

FIRST = 3
"""The first file descriptor that systemd passes (SD_LISTEN_FDS_START)."""

PATIENCE = 1.0
"""Seconds to wait for a service manager that is behind: with reports that it can't do without, since it would take a
start for one that failed."""


class Notifier:
    """The connection to the service manager. Removes its address from the environment, so that child processes do not
    use it."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        period = environ.get("WATCHDOG_USEC", "")
        if environ.pop("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not period.isdecimal():
            environ.pop("WATCHDOG_USEC", None)

    def ready(self) -> None:
        """Report that the server answers requests, for the first time or again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that workers are being replaced; `ready` follows (Type=notify-reload)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Report that the server's event loop runs."""
        self._send("WATCHDOG=1", can_wait=False)  # the next one will do, too

    def _send(self, message: str, can_wait: bool = True) -> None:
        """Send a message, if there is a service manager.

        Linux keeps few messages for a manager that does not read them, and who sends more would wait.
        """
        if not self._address or sys.platform == "win32":
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(PATIENCE if can_wait else 0)
                sock.sendto(message.encode(), address)
        except OSError:
            pass  # the manager is not listening; serving matters more


def watchdog_seconds(environ: MutableMapping[str, str]) -> float | None:
    """Return the seconds between reports that the server is alive, with a margin; None if the manager wants none."""
    period = environ.get("WATCHDOG_USEC", "")
    return int(period) / 1e6 / 3 if period.isdecimal() and int(period) else None


def take_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets that were passed to this process. Variables for other processes stay."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    found = []
    for descriptor in range(FIRST, FIRST + (int(count) if count.isdecimal() else 0)):
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)
        found.append(sock)
    return found
