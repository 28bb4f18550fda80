"""The socket side of a connection, for every protocol.

`TransportShell` writes what the protocol sends, pauses and resumes reading, knows whether the transport takes more,
keeps the connection's one deadline, and closes it: at once, or in two steps, this side first. It knows nothing of
requests and frames, which are for its subclasses: `http1.Connection`, `websocket.WebSocketConnection`.

It is a base class and not an object beside the connection. asyncio calls `data_received` on the protocol itself: with
an object in between, each piece of data would cost one more call, and each connection a reference cycle.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

from snakepit.http.types import Address, Endpoints
from snakepit.system.send_queue import send_queue

if TYPE_CHECKING:
    from snakepit.server.event_loop.deadlines import Deadline
    from snakepit.server.net.write_stalls import WriteStalls

type NewConnection = Callable[[], asyncio.Protocol]
"""Makes what speaks to a client that has connected, on its socket or on a layer above."""


class TransportShell(asyncio.Protocol):
    """Base class of connections: the part that deals with the transport."""

    __slots__ = ("_deadline", "_reading", "_stalls", "_transport", "writable")

    _transport: asyncio.Transport

    def __init__(self, stalls: "WriteStalls") -> None:
        self._stalls = stalls
        self._deadline: Deadline[Self] | None = None
        self._reading = True
        self.writable = True  # the transport takes more without filling its buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.writable = False
        self._stalls.add(self)

    def resume_writing(self) -> None:
        self.writable = True
        if not self._transport.is_closing():  # otherwise what is left still has to be taken
            self._stalls.discard(self)
        self._on_writable()

    @property
    def peer(self) -> str:
        """The client's name for the log."""
        raise NotImplementedError

    @property
    def unsent(self) -> int:
        """Bytes that were written and that this system has not taken."""
        return self._transport.get_write_buffer_size()

    @property
    def untaken(self) -> int:
        """These, and those that this system holds for its client, where that can be told."""
        sock = self._transport.get_extra_info("socket")
        return self.unsent + (send_queue(sock.fileno()) if sock is not None else 0)

    def abort(self) -> None:
        """Close the socket without waiting for unwritten data."""
        self._transport.abort()

    # -- for the classes made of it ------------------------------------------------------------------------------

    def _on_writable(self) -> None:
        """Called when the transport takes data again."""

    def _on_reading_resumed(self) -> None:
        """Called when the socket is read again."""

    def _take_over(self, other: "TransportShell") -> None:
        """Take another connection's transport, which speaks another protocol from now on."""
        self._transport = other._transport
        self._reading = other._reading
        self.writable = other.writable
        self._transport.set_protocol(self)
        other._stalls.discard(other)
        if not self.writable:
            self._stalls.add(self)

    def _write(self, data: list[bytes]) -> None:
        """Write the pieces that a protocol has to send."""
        if len(data) == 1:
            self._transport.write(data[0])
        elif data:
            self._transport.writelines(data)

    def _resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()
            self._on_reading_resumed()

    def _pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _set_deadline(self, deadline: "Deadline[Self] | None", keep: bool = False) -> None:
        """Set another deadline for the connection; `keep`: if it is the same one, its time goes on."""
        if self._deadline is not deadline:
            if self._deadline is not None:
                self._deadline.discard(self)
        elif keep:
            return
        self._deadline = deadline
        if deadline is not None:
            deadline.add(self)

    def _close_transport(self) -> None:
        """Close the socket when the client has taken what was written, for which its time is limited."""
        self._transport.close()
        if self.unsent:
            self._stalls.add(self)

    def _half_close(self, deadline: "Deadline[Self]") -> bool:
        """Close our side, and read on under a deadline until the client has closed its own.

        Closing at once, with data unread, would reset the socket, and a reset can destroy written data before the
        client has read it. If one side can't be closed alone, close the transport, and return False.
        """
        transport = self._transport
        if transport.can_write_eof() and not transport.is_closing():
            try:
                transport.write_eof()
            except OSError:  # asyncio's, where the client has reset the connection and that was not read yet
                transport.abort()
                return False
            if self.unsent:
                self._stalls.add(self)
            self._set_deadline(deadline)
            self._resume_reading()
            return True
        self._close_transport()
        return False


def set_no_delay(transport: asyncio.BaseTransport) -> None:
    """Make a TCP socket send each write at once, without waiting for the client's acknowledgement of the previous one.

    asyncio does this only for sockets created with an explicit IPPROTO_TCP; accepted sockets have it only if their
    listening socket had. Without it a keep-alive client waits 40 ms for each answer.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and not _is_unix(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def direct_endpoints(transport: asyncio.BaseTransport) -> Endpoints:
    """Return both ends of a transport's socket, the scheme that is spoken over it, and what is known of TLS."""
    scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
    client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return _address(client), _address(server), scheme, None, transport.get_extra_info(TLS)


TLS = "snakepit_tls"
"""The name, in a transport's extra information, of what apps are told of its TLS session (`http.types.Tls`)."""

REPORTED = "snakepit_reported"
"""The name, in a transport's extra information, of what the peer has said of whose connection it is (`reported`)."""


def has_known_peer(transport: asyncio.BaseTransport) -> bool:
    """Tell whether the peer's address is known. A peer that has gone already could have had any address."""
    reported = transport.get_extra_info(REPORTED)
    if reported is not None:
        return reported.client is not None
    sock = transport.get_extra_info("socket")
    return _address(transport.get_extra_info("peername")) is not None or (sock is not None and _is_unix(sock))


def name_of_client(endpoints: Endpoints) -> str:
    """Return the client's name for the log."""
    client = endpoints[0]
    return f"{client[0]}:{client[1]}" if client is not None else "local"


def _is_unix(sock: socket.socket) -> bool:
    return sock.family == getattr(socket, "AF_UNIX", None)


def _address(name: object) -> Address:
    """Return a socket's name in ASGI's form: (host, port), or None for a Unix socket or one that is gone."""
    if isinstance(name, tuple) and len(name) >= 2:
        return str(name[0]), int(name[1])
    return None
