"""A connection to a server's control socket.

The server speaks first: one line with its version and its id. Then it gets one request and answers it, both of them one
JSON object on a line of its own.
"""

import json
import socket
from typing import Any

from snakepit.control.entry import Entry
from snakepit.errors import SnakepitError

ANSWER_SECONDS = 5.0
"""Seconds for a server to accept a connection and send its greeting: its event loop may be busy. On Windows it takes
two seconds to find out that no process listens on a port."""

GREETING = 1024
"""The most bytes of the greeting; a process that sends more, on a reused port, is not a server."""

HOST = "127.0.0.1"


class Gone(Exception):
    """The server of an entry is no more."""


class ControlClient:
    """The client's side of a connection. Raises Gone, or OSError (TimeoutError) if a server is there but does not
    answer."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._sock = _connect(entry)
        self._file = self._sock.makefile("rb")
        try:
            greeting = self._read(GREETING)
            if greeting.get("id") != entry.id:
                raise Gone(entry)
            self.version = str(greeting.get("snakepit"))
        except (ConnectionError, ValueError):
            self.close()
            raise Gone(entry) from None
        except (Gone, OSError):
            self.close()
            raise

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for the answer, without a limit. Raises SnakepitError if the server refuses."""
        request = {"command": command, **arguments}
        if self.entry.token:
            request["token"] = self.entry.token
        try:
            self._sock.settimeout(None)
            self._sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise SnakepitError(f"the server ended before it answered (pid {self.entry.pid})") from None
        return self.wait_answer()

    def wait_answer(self) -> dict[str, Any]:
        """Wait for the answer to a command, also if Ctrl+C broke `ask` off."""
        try:
            answer = self._read()
        except (OSError, ValueError):
            raise SnakepitError(f"the server ended before it answered (pid {self.entry.pid})") from None
        if not answer.get("ok"):
            raise SnakepitError(str(answer.get("error", "the server did not say why")))
        return answer

    def wait_closed(self) -> None:
        """Return when the server is gone."""
        try:
            while self._file.read(1):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._sock.close()

    def _read(self, most: int = -1) -> dict[str, Any]:
        found = json.loads(self._file.readline(most))
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


def _connect(entry: Entry) -> socket.socket:
    try:
        if not entry.path:
            return socket.create_connection((HOST, entry.port), timeout=ANSWER_SECONDS)
        return _connect_unix(entry.path)
    except (ConnectionError, FileNotFoundError):
        raise Gone(entry) from None


def _connect_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(ANSWER_SECONDS)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def is_gone(entry: Entry) -> bool:
    """Tell whether the server has ended; one that does not answer may be busy."""
    if entry.path:
        return is_left_over(entry.path)
    try:
        ControlClient(entry).close()
    except Gone:
        return True
    except OSError:
        pass
    return False


def is_left_over(path: str) -> bool:
    """Tell whether no process listens on a Unix socket any more."""
    try:
        _connect_unix(path).close()
    except (ConnectionError, FileNotFoundError):
        return True
    except OSError:
        pass
    return False
