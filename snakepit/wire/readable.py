"""How a thread waits for a socket, with a limit on the time."""

import select
import socket
import sys


def wait_readable(waited_for: socket.socket, seconds: float) -> bool:
    """Wait until there is something to read, so long at most; returns whether there is."""
    if sys.platform == "win32":
        return bool(select.select([waited_for], [], [], seconds)[0])
    poll = select.poll()  # select() can't have descriptors from 1024
    poll.register(waited_for, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
