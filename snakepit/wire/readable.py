"""Waits for a socket in a thread, with a time limit."""

import select
import socket
import sys


def wait_readable(waited_for: socket.socket, seconds: float) -> bool:
    """Wait until there is something to read, or until the time limit; returns whether there is."""
    if sys.platform == "win32":
        return bool(select.select([waited_for], [], [], seconds)[0])
    poll = select.poll()  # select() does not support descriptors from 1024 on
    poll.register(waited_for, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
