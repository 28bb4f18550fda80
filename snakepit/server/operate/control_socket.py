"""The control socket: receives the commands of `snakepit status`, `reload` and so on.

It is a Unix socket that only its user can connect to; or, if there can be none (Windows, or a path that is too long), a
port on 127.0.0.1 together with a secret token in the server's entry. snakepit.control.client describes the protocol. A
client's error ends only its own connection.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from snakepit.control.client import HOST, is_gone
from snakepit.control.entry import Entry, here, new_id
from snakepit.control.folder import Folder
from snakepit.errors import ConfigError, SnakepitError, fault
from snakepit.system.version import __version__

type Carrier = Literal["unix", "loopback"]
type Command = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""A function that takes the request and returns the answer, without "ok". It raises SnakepitError to refuse."""
type Stream = Callable[[Mapping[str, Any]], AsyncGenerator[dict[str, Any]]]
"""A function that does the same with any number of answers. One that the client does not take ends the connection, so
there must be one now and then: otherwise it is not noticed that a client has gone."""

REQUEST_BYTES = 65_536
"""The most bytes of a request."""

CLIENT_SECONDS = 10.0
"""Seconds for a client to send its request, and again to take the answer."""

REFRESH = 3600.0
"""Seconds between updates of the files' times: older than six hours, they may be deleted (XDG Base Directory)."""

STRANGERS = 32
"""The most connected clients that have not sent a valid request yet; on 127.0.0.1 any user can connect."""

PATH_LIMIT = 103
"""The most bytes of a Unix socket's path: 104 with the final zero on macOS, 108 on Linux."""

DEFAULT: Carrier = "loopback" if sys.platform == "win32" else "unix"

_log = logging.getLogger("snakepit.server")


@dataclass(frozen=True, slots=True)
class Identity:
    """The attributes by which commands find a server; see snakepit.control.entry."""

    key: int
    name: str | None
    app: str
    address: str


class ControlSocket:
    """The socket on which a running server answers commands.

    One that is opened with the key of another replaces it in one step; when the other is closed, it does not touch the
    new one.
    """

    def __init__(
        self,
        identity: Identity,
        commands: Mapping[str, Command],
        carrier: Carrier = DEFAULT,
        streams: Mapping[str, Stream] = MappingProxyType({}),
    ) -> None:
        self._streams = streams
        self._identity = identity
        self._commands = commands
        self._carrier = carrier
        self._tasks: set[asyncio.Task[None]] = set()
        self._unheard = 0
        self._opened: tuple[Folder, Entry] | None = None
        self._server: asyncio.Server | None = None
        self._refresh: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Listen, and write the server's entry. Raises ConfigError if that fails, or if another server has the name."""
        folder = Folder.make()
        try:
            with folder.locked():
                folder.clean(self._identity.key)
                self._check_name(folder)
                sock, entry = self._bind(folder)
                self._opened = folder, entry
                folder.put(entry)
            if entry.path:
                self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=REQUEST_BYTES)
            else:
                self._server = await asyncio.start_server(self._serve, sock=sock, limit=REQUEST_BYTES)
            self._refresh = asyncio.get_running_loop().call_later(REFRESH, self._keep)
        except OSError as error:
            await self.close()
            raise ConfigError(f"no control socket in {folder.path}: {error.strerror or error}") from None

    async def close(self) -> None:
        """Remove the entry, and close every connection."""
        if self._opened is not None:
            folder, entry = self._opened
            self._opened = None
            try:
                with folder.locked():
                    folder.remove(entry)
            except OSError as error:
                _log.warning("The entry of the control socket can't be removed: %s", error)
        if self._refresh is not None:
            self._refresh.cancel()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self) -> None:
        if self._opened is not None:
            folder, entry = self._opened
            with suppress(OSError), folder.locked(patience=0):  # the loop can't wait; the next refresh tries again
                folder.keep(entry)
            self._refresh = asyncio.get_running_loop().call_later(REFRESH, self._keep)

    def _check_name(self, folder: Folder) -> None:
        key, name = self._identity.key, self._identity.name
        for entry in folder.entries():
            if name is not None and entry.name == name and entry.key != key and not is_gone(entry):
                raise ConfigError(
                    f"a server with the name {name!r} runs already, pid {entry.pid}; stop it, or choose another --name"
                )

    def _bind(self, folder: Folder) -> tuple[socket.socket, Entry]:
        id, identity = new_id(), self._identity
        path = folder.socket_path(id)
        unix = self._carrier == "unix" and len(os.fsencode(path)) <= PATH_LIMIT
        sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind(path if unix else (HOST, 0))
            if unix:
                os.chmod(path, 0o600)
            sock.listen()
            entry = Entry(
                id=id,
                key=identity.key,
                pid=os.getpid(),
                name=identity.name,
                cwd=here(),
                app=identity.app,
                address=identity.address,
                path=path if unix else "",
                port=0 if unix else sock.getsockname()[1],
                token="" if unix else secrets.token_hex(32),
            )
        except OSError:
            sock.close()
            raise
        return sock, entry

    # -- one client ------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
            writer.close()
        except OSError:  # it has gone, or does not read
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()  # has no effect on closed connections

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._opened is None:
            return
        entry = self._opened[1]
        writer.transport.set_write_buffer_limits(high=0)  # so that drain() waits until all is written
        await _send(writer, {"snakepit": __version__, "id": entry.id})
        self._unheard += 1
        try:
            request = await self._request(reader, entry)
        except SnakepitError as error:
            await _send(writer, {"ok": False, "error": str(error)})
            return
        finally:
            self._unheard -= 1
        if request is not None:
            async with aclosing(self._answers(request)) as answers:
                async for answer in answers:
                    await _send(writer, answer)
            await reader.read(1)  # the client closes the connection: `snakepit stop` waits for the end of the server

    async def _request(self, reader: asyncio.StreamReader, entry: Entry) -> dict[str, Any] | None:
        """Read a client's request; None if the client has gone."""
        if self._unheard > STRANGERS:
            raise SnakepitError("too many connections")
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                line = await reader.readline()
        except TimeoutError:
            raise SnakepitError(f"no command came in {CLIENT_SECONDS:g} s") from None
        except ValueError:
            raise SnakepitError(f"a command has {REQUEST_BYTES} bytes at most") from None
        if not line.endswith(b"\n"):
            return None
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise SnakepitError("a command must be JSON") from None
        if not isinstance(request, dict):
            raise SnakepitError("a command must be a JSON object")
        if not hmac.compare_digest(str(request.get("token", "")).encode("utf-8", "replace"), entry.token.encode()):
            raise SnakepitError("wrong token")
        return request

    async def _answers(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        name = str(request.get("command"))
        command, stream = self._commands.get(name), self._streams.get(name)
        try:
            if command is not None:
                yield {"ok": True, **await command(request)}
            elif stream is not None:
                async with aclosing(stream(request)) as answers:
                    async for answer in answers:
                        yield {"ok": True, **answer}
            else:
                known = ", ".join((*self._commands, *self._streams))
                raise SnakepitError(f"there is no command {request.get('command')!r}; there are {known}")
        except SnakepitError as error:
            yield {"ok": False, "error": str(error)}
        except Exception as error:  # a bug; the client gets an error, too
            _log.exception("Error in the command %s", name)
            yield {"ok": False, "error": fault(error)}


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    """Send an answer. Raises OSError if the client does not read it."""
    writer.write(json.dumps(answer).encode() + b"\n")
    async with asyncio.timeout(CLIENT_SECONDS):
        await writer.drain()
