"""Listening sockets, made and bound, or inherited."""

import encodings.idna  # noqa: F401  # for getaddrinfo, before the app's folder is on the path
import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from typing import Any

from snakepit.errors import ConfigError
from snakepit.server.privileges import group_id

PORT_ATTEMPTS = 10
"""Attempts to find a port that is free on all addresses of a host name: the port that the system picks for the first
address may be in use on another."""

type _Address = tuple[Any, ...]

_REUSE_PORT: int = getattr(socket, "SO_REUSEPORT", 0)

_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # machines without IPv6 may also name "::1 localhost"


def tcp_sockets(
    host: str, port: int, flag: str, reuse_port: bool = False, *, one_of_several: bool = False
) -> list[socket.socket]:
    """Make a socket for each address of this machine that the host resolves to, all with the same port.

    `flag`: the option that says which port. `reuse_port`: other servers may have it, too. `one_of_several`: this server
    has the port with another host, too, so `::` leaves IPv4 to that. Raises ConfigError.
    """
    if reuse_port and not _REUSE_PORT:
        raise ConfigError("this platform has no SO_REUSEPORT, which --reuse-port needs")
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
            return _bound(places, reuse_port, one_of_several or len(places) > 1)
        except OSError as error:
            if not (attempts and error.errno == errno.EADDRINUSE):
                raise ConfigError(f"can't listen on {host}:{port}: {listen_trouble(error, flag)}") from None


def _bound(places: Sequence[tuple[int, _Address]], reuse_port: bool, one_of_several: bool) -> list[socket.socket]:
    """Make sockets bound to those of the addresses that the machine has; raises OSError if it has none."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in places:
            if sockets and not address[1]:  # the first has got a port from the system
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_tcp_socket(family, address, one_of_several, reuse_port))
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


def _tcp_socket(family: int, address: _Address, one_of_several: bool, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # there SO_REUSEADDR would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, _REUSE_PORT, 1)
        if family == socket.AF_INET6 and one_of_several:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # the IPv4 address has a socket of its own
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def listen_trouble(error: OSError, flag: str) -> str:
    """Return why a socket can't be bound or can't listen, for people; `flag`: the option that says which port."""
    if error.errno == errno.EADDRINUSE:
        return f"another process uses this port; stop it, or choose another with {flag}"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    if error.errno == errno.EACCES:
        return (
            "this user may not use that port; choose another, or let systemd hold the socket, or start as root with "
            "--user, or allow all ports to Python: sudo setcap cap_net_bind_service=+ep PYTHON"
        )
    return error.strerror or str(error)


def unix_socket(path: str, mode: int, group: str | None = None) -> socket.socket:
    """Make a Unix socket with this mode, and this group, if one is given. Raises ConfigError."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("this platform has no Unix sockets; use --host and --port")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        if group is not None:
            os.chown(path, -1, group_id(group))
        os.chmod(path, mode)
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


def inherited_socket(descriptor: int) -> socket.socket:
    """Return the listening socket with this descriptor. Raises ConfigError."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ConfigError(f"file descriptor {descriptor} is not a socket: {error.strerror or error}") from None
    return checked(sock, f"file descriptor {descriptor}")


def checked(sock: socket.socket, name: str) -> socket.socket:
    """Return a socket that can listen. `name`: for the message. Raises ConfigError for another."""
    try:
        sock.getsockname()
    except OSError as error:
        raise ConfigError(f"{name} is not a socket: {error.strerror or error}") from None
    if sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise ConfigError(f"{name} is not a stream socket")
    sock.setblocking(False)
    return sock
