"""The listening sockets: made before anything else, so that a port in use is known before the app is imported."""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from snakepit.config import Config
from snakepit.errors import ConfigError

SOCKET_MODE = 0o666  # of a Unix socket: a proxy under another user must reach it; the folder guards it


class Listener:
    """Sockets that are bound, and after `serve` accept connections.

    `address` is where clients reach the first, as a URL or as "unix:" and the path of a Unix socket; `inherited` are
    sockets to use in place of what the options say.
    """

    def __init__(self, config: Config, inherited: Sequence[socket.socket] = ()) -> None:
        self._backlog = config.backlog
        self._servers: list[asyncio.Server] = []
        self._connection: Callable[[], asyncio.Protocol] | None = None
        self._path: Path | None = None
        if config.uds is not None:
            self._path = Path(config.uds)
        if inherited:
            self.sockets = [_checked(sock, f"inherited socket {sock.fileno()}") for sock in inherited]
        elif config.fd is not None:
            self.sockets = [_inherited(config.fd)]
        elif config.uds is not None:
            self.sockets = [_unix_socket(config.uds)]
        else:
            self.sockets = [_tcp_socket(config.host, config.port)]
        self.addresses = [_address(sock) for sock in self.sockets]
        self.address = self.addresses[0]

    async def serve(self, loop: asyncio.AbstractEventLoop, connection: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections from now on."""
        self._connection = connection
        for sock in self.sockets:
            if sock.family == getattr(socket, "AF_UNIX", None):
                # its file is ours to remove: another process may serve there when this one ends
                server = await loop.create_unix_server(
                    connection, sock=sock, backlog=self._backlog, cleanup_socket=False
                )
            else:
                server = await loop.create_server(connection, sock=sock, backlog=self._backlog)
            self._servers.append(server)

    async def close_empty(self, loop: asyncio.AbstractEventLoop, keep_path: bool = False) -> None:
        """Accept the connections that wait in the backlog, which `close` would reset, and then nothing more."""
        last = [sock.dup() for sock in self.sockets if self._servers]
        self.close(keep_path)
        for listening in last:
            with listening:
                listening.setblocking(False)
                while self._connection is not None:
                    try:
                        accepted = listening.accept()[0]
                        accepted.setblocking(False)
                        await loop.connect_accepted_socket(self._connection, accepted)
                    except OSError:  # that was all; or the system is out of files
                        break

    def close(self, keep_path: bool = False) -> None:
        """Accept nothing more, and remove the Unix socket's file, unless another process serves there."""
        for server in self._servers:
            server.close()
        for sock in self.sockets:
            sock.close()
        if self._path is not None and not keep_path:
            self._path.unlink(missing_ok=True)
        self._path = None


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"unix:{name}"


def _tcp_socket(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host {host!r} can't be resolved: {getattr(error, 'strerror', None) or error}") from None
    # of a name with several addresses, IPv4: what a client tries first or falls back to
    family, kind, proto, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    sock = socket.socket(family, kind, proto)
    try:
        if sys.platform == "win32":
            # there SO_REUSEADDR would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigError(f"can't listen on {host}:{port}: {_bind_trouble(error)}") from None
    sock.setblocking(False)
    return sock


def _bind_trouble(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process uses this port; stop it, or choose another with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    if error.errno == errno.EACCES:
        return "this user may not use that port"
    return error.strerror or str(error)


def _unix_socket(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("this platform has no Unix sockets; use --host and --port")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        os.chmod(path, SOCKET_MODE)
    except OSError as error:
        sock.close()
        reason = "another process uses it" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ConfigError(f"can't listen on the Unix socket {path!r}: {reason}") from None
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone; one that somebody listens on stays, and bind() will say so."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            pass


def _inherited(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ConfigError(f"file descriptor {descriptor} is not a socket: {error.strerror or error}") from None
    return _checked(sock, f"file descriptor {descriptor}")


def _checked(sock: socket.socket, name: str) -> socket.socket:
    try:
        sock.getsockname()
    except OSError as error:
        raise ConfigError(f"{name} is not a socket: {error.strerror or error}") from None
    if sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise ConfigError(f"{name} is not a stream socket")
    sock.setblocking(False)
    return sock
