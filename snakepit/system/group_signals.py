"""Signals that terminals and service managers send to all processes of a group, and that only the server is to heed."""

import signal
import sys
import time

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    STOP_SIGNALS.append(signal.SIGBREAK)

_OTHERS = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2")

GROUP_SIGNALS = [*STOP_SIGNALS, *(signal.Signals[name] for name in _OTHERS if hasattr(signal, name))]
"""What a process that the server starts must not heed: it has its orders from the server."""

ECHO = 0.2
"""Seconds within which the same signal again is the same request: wrappers such as timeout(1) signal a process and its
group, so it gets one twice. Nobody presses Ctrl+C twice as fast."""


class StopCount:
    """How often this process was asked to stop."""

    def __init__(self) -> None:
        self.value = 0
        self._last = (0, 0.0)  # signal and time of the latest that counted

    def add(self, number: int) -> bool:
        """A signal came; returns whether it counts."""
        last, now = self._last, time.monotonic()
        if last[0] == number and now - last[1] <= ECHO:
            return False
        self._last = number, now
        self.value += 1
        return True
