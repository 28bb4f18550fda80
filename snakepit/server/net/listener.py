"""The listening sockets: created first, so that a port in use is reported before the app is imported."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from snakepit.config.bind import Bind, includes, mode_of
from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.server.net.open_files import ACCEPTED_AT_ONCE
from snakepit.server.net.sockets import checked, inherited_socket, listen_trouble, tcp_sockets, unix_socket
from snakepit.server.net.transport import NewConnection

SOCKET_MODE = 0o666  # of a Unix socket: a proxy of another user must reach it; the folder's permissions restrict access


class Speaks(Enum):
    """What clients have to speak on a socket."""

    HTTP = "http"
    HTTPS = "https"
    REDIRECT = "redirect"
    """Plain HTTP, to be sent to HTTPS."""
    METRICS = "metrics"
    """Plain HTTP, to be answered with metrics."""


_BESIDE = (Speaks.REDIRECT, Speaks.METRICS)
"""What is spoken on sockets that are not for the requests of apps."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket."""

    sock: socket.socket
    speaks: Speaks

    @property
    def port(self) -> int:
        """Its port; 0 for a Unix socket."""
        name = self.sock.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    def __str__(self) -> str:
        name, scheme = self.sock.getsockname(), "https" if self.speaks is Speaks.HTTPS else "http"
        if isinstance(name, tuple):
            host, port = name[:2]
            what = " (metrics)" if self.speaks is Speaks.METRICS else ""
            return f"{scheme}://[{host}]:{port}{what}" if ":" in host else f"{scheme}://{host}:{port}{what}"
        return f"unix:{name}"


_TURNS_TO_BEGIN = 2
"""Turns of asyncio's loop in which a connection that was accepted gets its transport."""


class Listener:
    """Bound sockets, which accept connections after `serve`.

    `address` is the address of the first one, as a URL or as "unix:" and the path of a Unix socket; `inherited` are
    sockets to use instead of those of the options.
    """

    def __init__(self, config: Config, inherited: Sequence[socket.socket] = ()) -> None:
        self._config = config
        self._backlog = config.backlog
        self._servers: list[asyncio.Server] = []
        self._accepting: list[tuple[socket.socket, NewConnection]] = []
        self._paths: list[Path] = []
        self._listening: list[Listening] = []
        try:
            if inherited:
                self._inherit([checked(sock, f"inherited socket {sock.fileno()}") for sock in inherited])
            else:
                for bind in config.binds:
                    self._bind(bind)
            self._redirect()
            self._serve_metrics()
        except ConfigError:
            self.close()
            raise
        self.sockets = [each.sock for each in self._listening]
        self.addresses = [str(each) for each in self._listening]
        self.address = self.addresses[0]

    @property
    def https_port(self) -> int | None:
        """The first port on which HTTPS is spoken; None: on none."""
        return next((each.port for each in self._listening if each.speaks is Speaks.HTTPS), None)

    @property
    def _flag(self) -> str:
        """The option that says which port."""
        return "--bind" if self._config.bind else "--port"

    def _bind(self, bind: Bind) -> None:
        config = self._config
        if bind.path is not None:
            mode = mode_of(config.uds_mode) if config.uds_mode else SOCKET_MODE
            made = [unix_socket(bind.path, mode, config.uds_group)]
            self._paths.append(Path(bind.path).absolute())  # an app may change the working directory
        elif bind.fd is not None:
            made = [inherited_socket(bind.fd)]
        else:
            beside = any(other != bind and other.is_tcp and other.port == bind.port for other in config.binds)
            made = tcp_sockets(bind.host, bind.port, self._flag, config.reuse_port, one_of_several=beside)
        self._listening += [Listening(sock, Speaks.HTTPS if bind.tls else Speaks.HTTP) for sock in made]

    def _inherit(self, sockets: Sequence[socket.socket]) -> None:
        """Use sockets that were bound before, perhaps with other options; what is spoken there follows from these."""
        binds, metrics = self._config.binds, self._config.metrics_socket
        free = [bind for bind in binds if bind.is_tcp and bind.port == 0]  # bound to ports that were free
        for sock in sockets:
            each = Listening(sock, Speaks.HTTP)
            name = sock.getsockname()
            host, path = (str(name[0]), None) if isinstance(name, tuple) else ("", str(name))
            alike = [bind for bind in binds if (bind.path == path if path else bind.port == each.port and each.port)]
            alike.sort(key=lambda bind: bind.host != host)
            if not alike and each.port and each.port == self._config.redirect_http:
                self._listening.append(Listening(sock, Speaks.REDIRECT))
                continue
            if not alike and metrics is not None and each.port == metrics.port:
                self._listening.append(Listening(sock, Speaks.METRICS))
                continue
            bind = alike[0] if alike else free.pop(0) if free and each.port else None
            tls = bind.tls if bind is not None else any(bind.tls for bind in binds)
            self._listening.append(Listening(sock, Speaks.HTTPS if tls else Speaks.HTTP))
            if path and not path.startswith("\0") and any(bind.path is not None for bind in binds):
                self._paths.append(Path(path).absolute())  # the option may have changed since it was bound
        self._listening.sort(key=lambda each: each.speaks in _BESIDE)

    def _redirect(self) -> None:
        """Listen on the port whose clients are sent to HTTPS."""
        port = self._config.redirect_http
        if port is not None:
            hosts = dict.fromkeys(bind.host for bind in self._config.binds if bind.is_tcp and bind.tls)
            widest = [host for host in hosts if not any(includes(wide, host) for wide in hosts)]
            what = f"redirect_http is {port}"
            self._listen_beside(Speaks.REDIRECT, widest or [self._config.host or ""], port, "redirect_http", what)

    def _serve_metrics(self) -> None:
        """Listen where metrics are asked for."""
        bind = self._config.metrics_socket
        if bind is not None:
            what = f"metrics_bind has port {bind.port}"
            self._listen_beside(Speaks.METRICS, [bind.host], bind.port, "metrics_bind", what)

    def _listen_beside(self, speaks: Speaks, hosts: Sequence[str], port: int, option: str, what: str) -> None:
        """Listen on a port that is not for the requests of apps, unless such a socket was inherited.

        `what`: what the option says, for the message.
        """
        if any(each.speaks is speaks for each in self._listening):
            return
        if any(each.port == port for each in self._listening):
            raise ConfigError(f"{what}, where the server listens already", (option,))
        flag = f"--{option.replace('_', '-')}"
        for host in hosts:
            made = tcp_sockets(host, port, flag, self._config.reuse_port, one_of_several=len(hosts) > 1)
            self._listening += [Listening(sock, speaks) for sock in made]

    async def serve(self, loop: asyncio.AbstractEventLoop, connections: Mapping[Speaks, NewConnection]) -> None:
        """Accept connections from now on. Raises ConfigError: a port may be bound twice, but only one can listen."""
        for each in self._listening:
            try:
                each.sock.listen(self._backlog)
            except OSError as error:
                where = str(each).rpartition("//")[2]
                raise ConfigError(f"can't listen on {where}: {listen_trouble(error, self._flag)}") from None
        self._accepting = [(each.sock, connections[each.speaks]) for each in self._listening]
        at_once = min(self._backlog, ACCEPTED_AT_ONCE)
        for sock, connection in self._accepting:
            if sock.family == getattr(socket, "AF_UNIX", None):
                # the server removes the file itself: another process may serve there when this one ends
                server = await loop.create_unix_server(connection, sock=sock, backlog=at_once, cleanup_socket=False)
            else:
                server = await loop.create_server(connection, sock=sock, backlog=at_once)
            sock.listen(self._backlog)  # asyncio takes the backlog for both
            self._servers.append(server)

    async def pause(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept no more, and let those connections begin that were accepted.

        asyncio makes the transport of a connection one turn after it has accepted it, and drops the connection if its
        server was closed meanwhile (`Server._attach`). uvloop makes it at once.
        """
        if isinstance(loop, asyncio.SelectorEventLoop):
            for server in self._servers:
                for sock in server.sockets:
                    loop.remove_reader(sock)
            for _ in range(_TURNS_TO_BEGIN):
                await asyncio.sleep(0)

    async def close_empty(self, loop: asyncio.AbstractEventLoop, keep_path: bool = False) -> None:
        """Accept the connections that wait in the backlog, which `close` would reset; then accept no more."""
        await self.pause(loop)
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
        """Accept no more, and remove the files of Unix sockets, unless another process serves there."""
        for server in self._servers:
            server.close()
        for each in self._listening:
            each.sock.close()
        if not keep_path:
            for path in self._paths:
                with suppress(OSError):  # of a folder of root, where the server has become another user
                    path.unlink(missing_ok=True)
        self._paths.clear()
