"""Entries: what a running server writes into a file about itself, so that commands find it."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Entry:
    """One server.

    Args:
        id: made up by the server process; it says the same when it is connected to, so it can't be taken for another.
        key: what stays the same when a new process takes over from an old one: the supervisor's pid, or its own.
        pid: of the process that serves.
        name: what `--name` says.
        cwd: the working directory, without symbolic links.
        app: the app's reference.
        address: where the app is served.
        path: of the Unix socket that takes commands; empty if there is none.
        port: on 127.0.0.1, that takes them otherwise.
        token: what a client must send there, since all users can connect. A user who can read the entry may give
            commands.
    """

    id: str
    key: int
    pid: int
    name: str | None
    cwd: str
    app: str
    address: str
    path: str
    port: int
    token: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what `dump` returned; unknown keys are ignored. Raises ValueError."""
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = values[field.name] = found.get(field.name)
            right = int if field.name in ("key", "pid", "port") else str
            if type(value) is not right and not (field.name == "name" and value is None):
                raise ValueError(f"{field.name} is {value!r}")
        return cls(**values)

    def dump(self) -> str:
        """Return the entry as JSON."""
        return json.dumps(asdict(self), indent=1)

    def __str__(self) -> str:
        name = f"{self.name}, " if self.name is not None else ""
        return f"{name}pid {self.pid}, {self.address}, app {self.app}, in {self.cwd}"


def here() -> str:
    """Return the working directory, as in an entry; empty if it has been removed."""
    try:
        return os.path.normcase(os.path.realpath(os.getcwd()))
    except OSError:
        return ""


def new_id() -> str:
    """Make an id that no other server has."""
    return secrets.token_hex(8)
