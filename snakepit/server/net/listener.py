"""The listening sockets: created first, so that a port in use is reported before the app is imported."""

import asyncio
import encodings.idna  # noqa: F401  # for getaddrinfo, before the app's folder is on the path
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakepit.config.options import Config
from snakepit.errors import ConfigError

PORT_ATTEMPTS = 10
"""Attempts to find a port that is free on all addresses of a host name: the port that the system picks for the first
address may be in use on another."""

type _Address = tuple[Any, ...]

type NewConnection = Callable[[], asyncio.Protocol]

_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # machines without IPv6 may also name "::1 localhost"

SOCKET_MODE = 0o666  # of a Unix socket: a proxy of another user must reach it; the folder's permissions restrict access


class Listener:
    """Bound sockets, which accept connections after `serve`.

    `address` is the address of the first one, as a URL or as "unix:" and the path of a Unix socket; `inherited` are
    sockets to use instead of those of the options.
    """

    def __init__(self, config: Config, inherited: Sequence[socket.socket] = ()) -> None:
        self._backlog = config.backlog
        self._servers: list[asyncio.Server] = []
        self._accepting: list[tuple[socket.socket, NewConnection]] = []
        self._path: Path | None = None
        if config.uds is not None:
            self._path = Path(config.uds).absolute()  # an app may change the working directory
        if inherited:
            self.sockets = [_checked(sock, f"inherited socket {sock.fileno()}") for sock in inherited]
            bound = self.sockets[0].getsockname()
            if self._path is not None and isinstance(bound, str):
                self._path = Path(bound).absolute()  # the option may have changed since it was bound
        elif config.fd is not None:
            self.sockets = [_inherited(config.fd)]
        elif config.uds is not None:
            self.sockets = [_unix_socket(config.uds)]
        else:
            self.sockets = _tcp_sockets(config.host, config.port)
        self._redirecting = self._find_redirecting(config)
        scheme = "https" if config.speaks_tls else "http"
        self.addresses = [_address(sock, "http" if sock in self._redirecting else scheme) for sock in self.sockets]
        self.address = self.addresses[0]

    @property
    def port(self) -> int:
        """The port of the first socket; 0 for a Unix socket."""
        return _port(self.sockets[0])

    def _find_redirecting(self, config: Config) -> list[socket.socket]:
        """Return the sockets whose clients are sent to HTTPS: inherited ones with that port, or else new ones."""
        port = config.redirect_http
        if port is None:
            return []
        found = [sock for sock in self.sockets if _port(sock) == port]
        if len(found) == len(self.sockets):
            raise ConfigError(f"redirect_http is {port}, the port for HTTPS itself", ("redirect_http", "port"))
        if not found:
            try:
                found = _tcp_sockets(config.host, port, "--redirect-http")
            except ConfigError:
                self.close()
                raise
            self.sockets = [*self.sockets, *found]
        else:
            self.sockets.sort(key=lambda sock: sock in found)
        return found

    async def serve(
        self, loop: asyncio.AbstractEventLoop, connection: NewConnection, redirected: NewConnection | None = None
    ) -> None:
        """Accept connections from now on; `redirected` makes those whose clients are sent to HTTPS."""
        for sock in self.sockets:
            of_this = redirected if redirected is not None and sock in self._redirecting else connection
            self._accepting.append((sock, of_this))
        for sock, connection in self._accepting:
            if sock.family == getattr(socket, "AF_UNIX", None):
                # the server removes the file itself: another process may serve there when this one ends
                server = await loop.create_unix_server(
                    connection, sock=sock, backlog=self._backlog, cleanup_socket=False
                )
            else:
                server = await loop.create_server(connection, sock=sock, backlog=self._backlog)
            self._servers.append(server)

    async def close_empty(self, loop: asyncio.AbstractEventLoop, keep_path: bool = False) -> None:
        """Accept the connections that wait in the backlog, which `close` would reset; then accept no more."""
        last = [(sock.dup(), connection) for sock, connection in self._accepting if self._servers]
        self.close(keep_path)
        for listening, connection in last:
            with listening:
                listening.setblocking(False)
                while True:
                    try:
                        accepted = listening.accept()[0]
                        accepted.setblocking(False)
                        await loop.connect_accepted_socket(connection, accepted)
                    except OSError:  # the backlog is empty, or the system is out of files
                        break

    def close(self, keep_path: bool = False) -> None:
        """Accept no more, and remove the Unix socket's file, unless another process serves there."""
        for server in self._servers:
            server.close()
        for sock in self.sockets:
            sock.close()
        if self._path is not None and not keep_path:
            self._path.unlink(missing_ok=True)
        self._path = None


def _address(sock: socket.socket, scheme: str) -> str:
    name = sock.getsockname()
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    return f"unix:{name}"


def _port(sock: socket.socket) -> int:
    """Return a socket's port; 0 for a Unix socket."""
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def _tcp_sockets(host: str, port: int, flag: str = "--port") -> list[socket.socket]:
    """Make a socket for each address of this machine that the host resolves to, all with the same port."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host {host!r} can't be resolved: {getattr(error, 'strerror', None) or error}") from None
    # IPv4 first: then every client can use the address that is shown for a name
    places = sorted(dict.fromkeys((info[0], info[4]) for info in found), key=lambda place: place[0] != socket.AF_INET)
    attempts = 1 if port else PORT_ATTEMPTS
    while True:
        attempts -= 1
        try:
            return _bound(places)
        except OSError as error:
            if not (attempts and error.errno == errno.EADDRINUSE):
                raise ConfigError(f"can't listen on {host}:{port}: {_bind_trouble(error, flag)}") from None


def _bound(places: Sequence[tuple[int, _Address]]) -> list[socket.socket]:
    """Make sockets bound to those of the addresses that the machine has; raises OSError if it has none."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in places:
            if sockets and not address[1]:  # the first has got a port from the system
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_tcp_socket(family, address, one_of_several=len(places) > 1))
            except OSError as error:
                if error.errno not in _MISSING:
                    raise
                missing = error
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    if not sockets and missing is not None:
        raise missing
    return sockets


def _tcp_socket(family: int, address: _Address, one_of_several: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # there SO_REUSEADDR would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and one_of_several:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # the IPv4 address has a socket of its own
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _bind_trouble(error: OSError, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another process uses this port; stop it, or choose another with {flag}"
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
    except ConfigError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that has ended. If a process listens on it, it stays, and bind() fails.

    Raises ConfigError if the path is not a socket.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise ConfigError(f"can't listen on the Unix socket {path!r}: that is a folder; name a file in it")
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"can't listen on the Unix socket {path!r}: there is another file of that name; remove it, or choose "
            "another path"
        )
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
