"""Signals that terminals and service managers send to all processes of a group, and that only the server is to heed."""

import signal

_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR2")

GROUP_SIGNALS = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
"""What a process that the server starts must not heed: it has its orders from the server."""
