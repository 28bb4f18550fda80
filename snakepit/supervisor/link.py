"""The link between the supervisor and a server process: a socket that carries messages, each of them one line.

A line is a word, and perhaps a space and more. From a server process: LOG_FORMAT and "text" or "json"; LISTENING, with
its listening sockets where it made them itself; READY; ALIVE, and within how many seconds it will say so again (0, or
nothing from an older version: whenever); RELOADING, RELOADED; SCALED and to how many workers; STOPPING; HAND_OVER and
why. From the supervisor: RESTARTED and how the process before ended; STOP, the signal's number and how many such
signals there have been; SIGNAL and the name of another; RETIRE and the process that took over; NOT_HANDED_OVER and why.

Sockets cross as file descriptors, on Windows as what `socket.share` makes for the supervisor's process.
"""

import socket
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence

ENVIRONMENT = "SNAKEPIT_SUPERVISED"
"""The environment variable that tells a server process of its supervisor."""

LISTENING, READY, ALIVE, STOPPING, HAND_OVER = "listening", "ready", "alive", "stopping", "hand-over"
RELOADING, RELOADED, SCALED, LOG_FORMAT = "reloading", "reloaded", "scaled", "log-format"
STOP, SIGNAL, RETIRE, NOT_HANDED_OVER = "stop", "signal", "retire", "not-handed-over"
RESTARTED = "restarted"

_READ = 65536  # bytes
_MOST = 64  # sockets in one message


class Link:
    """One end of the link. Writing never waits: a process that does not read these few bytes has ended."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.sockets: list[socket.socket] = []
        """Listening sockets that were received, in order."""
        self._buffer = b""

    def send(self, word: str, text: object = "", sockets: Iterable[socket.socket] = (), to: int = 0) -> None:
        """Send a line, with `sockets` for the process `to`. Does nothing if the other end has gone."""
        line = f"{word} {text}"
        given = list(sockets)
        if sys.platform == "win32" and given:
            line += " ".join(sock.share(to).hex() for sock in given)
        data = line.replace("\n", " ").strip().encode("utf-8", "backslashreplace") + b"\n"
        try:
            if given and sys.platform != "win32":
                socket.send_fds(self.socket, [data], [sock.fileno() for sock in given])
            else:
                self.socket.sendall(data)
        except OSError:
            pass

    def receive(self) -> list[tuple[str, str]] | None:
        """Return the next lines, as word and text; waits if the socket is blocking. None: the other end has gone."""
        try:
            if sys.platform == "win32":
                data = self.socket.recv(_READ)
            else:
                data, descriptors, _, _ = socket.recv_fds(self.socket, _READ, _MOST)
                for descriptor in descriptors:
                    self.sockets.append(sock := socket.socket(fileno=descriptor))
                    sock.set_inheritable(False)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        parts = (line.decode("utf-8", "replace").partition(" ") for line in lines)
        return [self._unpacked(word, text) for word, _, text in parts]

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _unpacked(self, word: str, text: str) -> tuple[str, str]:
        if sys.platform == "win32" and word == LISTENING:
            self.sockets += [socket.fromshare(bytes.fromhex(shared)) for shared in text.split()]
        return word, text


class Origin:
    """What the environment tells a server process about its supervisor.

    Args:
        link: the file descriptor (on Windows, the handle) of its end of the link.
        supervisor: the process that started it.
        restarts: how many earlier ones ended unexpectedly.
        takes_over: from another that serves until this one can.
        workers: how many it is to have, whatever the options say; 0: what these say.
        sockets: listening sockets that it is to use, as descriptors.
    """

    def __init__(
        self, link: int, supervisor: int, restarts: int, takes_over: bool, workers: int, sockets: Sequence[int]
    ) -> None:
        self.link = link
        self.supervisor = supervisor
        self.restarts = restarts
        self.takes_over = takes_over
        self.workers = workers
        self.sockets = sockets

    def __str__(self) -> str:
        numbers = self.link, self.supervisor, self.restarts, int(self.takes_over), self.workers, *self.sockets
        return " ".join(map(str, numbers))

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Origin | None":
        """Read the variable and remove it, since processes that this one starts have no supervisor. None: no
        supervisor."""
        text = environ.pop(ENVIRONMENT, None)
        if text is None:
            return None
        link, supervisor, restarts, takes_over, workers, *sockets = map(int, text.split())
        return cls(link, supervisor, restarts, bool(takes_over), workers, sockets)


def is_supervised(environ: Mapping[str, str]) -> bool:
    """Tell whether a process with this environment has a supervisor already."""
    return ENVIRONMENT in environ
