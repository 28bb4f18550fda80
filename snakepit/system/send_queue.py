"""How much of what was written to a socket the other side has not taken yet."""

import struct
import sys

_NUMBER = struct.Struct("i")


def send_queue(descriptor: int) -> int:
    """Return the bytes that the kernel holds for the other side of a socket; 0 where it does not say."""
    if sys.platform != "linux":
        return 0
    from fcntl import ioctl  # only where a client does not read
    from termios import TIOCOUTQ

    try:
        found: int
        (found,) = _NUMBER.unpack(ioctl(descriptor, TIOCOUTQ, bytes(_NUMBER.size)))
    except OSError:  # it is closed
        return 0
    return found
