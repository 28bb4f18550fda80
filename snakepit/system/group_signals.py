"""Signals that terminals and service managers send to all processes of a group, and that only the server handles."""

import signal
import sys
import time

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    STOP_SIGNALS.append(signal.SIGBREAK)

_OTHERS = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2")

GROUP_SIGNALS = [*STOP_SIGNALS, *(signal.Signals[name] for name in _OTHERS if hasattr(signal, name))]
"""Signals that a process that the server starts must ignore: the server tells it what to do."""

ECHO = 0.2
"""Seconds within which a repeated signal counts as the same request: wrappers such as timeout(1) signal a process and
its group, so it gets each signal twice. People don't press Ctrl+C twice that fast."""


class StopCount:
    """A counter of requests to stop this process."""

    def __init__(self) -> None:
        self.value = 0
        self._last = (0, 0.0)  # signal and time of the latest that counted

    def add(self, number: int) -> bool:
        """Note a signal; returns whether it counts."""
        last, now = self._last, time.monotonic()
        if last[0] == number and now - last[1] <= ECHO:
            return False
        self._last = number, now
        self.value += 1
        return True
