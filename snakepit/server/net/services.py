"""Services that the connections of a server share, with every protocol: options, logs, and the router."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from snakepit.errors import InternalError
from snakepit.http.ws.handshake import check_handshake, wants_websocket
from snakepit.server.exchanges.exchange import Exchange, OnChange
from snakepit.server.exchanges.watched import BusynessKeeper, Watcher, exchange_types
from snakepit.server.exchanges.websocket import HandshakeClient, WebSocketExchange
from snakepit.server.net.access_log import access_log
from snakepit.server.net.admission import Admission
from snakepit.server.net.connections import Connections
from snakepit.server.net.open_files import OpenFiles
from snakepit.server.net.options import HttpOptions
from snakepit.server.net.request_log import request_log
from snakepit.server.net.transport import name_of_client
from snakepit.server.net.write_stalls import WriteStalls

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.http.events import RequestHead
    from snakepit.http.fields import Fields
    from snakepit.http.types import AppFile
    from snakepit.server.routing.router import Finder


type AppFileSender = Callable[[Exchange, int, "Fields", "AppFile"], OnChange]
"""Sends the file that an app has named, as `HttpClient.send_file`."""


def no_app_files(exchange: Exchange, status: int, fields: "Fields", file: "AppFile") -> OnChange:
    """Raise InternalError: a server sets what sends files before it serves."""
    raise InternalError(f"nobody is there to send {file}")


class ConnectionServices:
    """The base class of services that the connections of one protocol share.

    Args:
        router: finds the destination of a request.
        open_files: as for `OpenFiles`.
        secure: whether the connections are over TLS.
    """

    def __init__(
        self,
        config: "Config",
        router: "Finder",
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
        *,
        secure: bool = False,
    ) -> None:
        self.loop = loop
        self.log = logging.getLogger("snakepit.server")
        self.options = HttpOptions(config, secure)
        self._config = config
        self._router = router
        self.open_files = OpenFiles(self.log, loop, open_files)
        self.connections = Connections()
        self.stalls = WriteStalls(loop, self.options.write_seconds, self.log)
        self.admission = Admission(
            self.connections,
            self.open_files,
            loop,
            self.log,
            most=config.limit_connections,
            addresses=self.options.new_addresses(),
        )
        self.app_files: AppFileSender = no_app_files
        self.http_exchange: type[Exchange] = Exchange
        self.websocket_exchange: type[WebSocketExchange] = WebSocketExchange
        self._watchers: list[Watcher] = []
        self._busyness: BusynessKeeper | None = None
        own_log = request_log(config, loop)
        self.access_log = None
        if own_log is None:
            self.access_log = access_log(config.access_log, loop, config.access_log_sample)
        else:
            self.watch_exchanges(own_log)
        self._numbers = itertools.count(1)
        self._all: list[Self] = []  # of the server, these among them
        self._begun()

    def beside(self, router: "Finder") -> Self:
        """Make the services of other connections of the same server, without TLS, which share what a server has once.

        They share what watches exchanges, and what sends files, as they are now.
        """
        other = copy(self)
        other.options, other._router = HttpOptions(self._config), router
        return other._begun()

    def _begun(self) -> Self:
        self._begin()
        self._all.append(self)
        return self

    def _begin(self) -> None:
        """Make what these connections have for themselves; called once there is what they share."""

    def new_exchange(self, client: HandshakeClient, head: "RequestHead", home: Any) -> Exchange:
        """Make an exchange with a number of its own. `home`: the worker that had the one before it.

        Raises RemoteProtocolError for a bad WebSocket handshake."""
        self.connections.requests += 1
        destination = self._router.find(head)
        if head.upgrade and self.options.websockets and destination.interface == "asgi" and wants_websocket(head):
            handshake, queue = check_handshake(head), self.options.ws_max_queue
            return self.websocket_exchange(next(self._numbers), client, destination, head, handshake, queue, home)
        return self.http_exchange(next(self._numbers), client, destination, head, home)

    def watch_exchanges(self, *watchers: Watcher, busyness: BusynessKeeper | None = None) -> None:
        """Have these, too, look at exchanges, before there are any; `busyness`: keeps how busy workers are."""
        self._watchers += watchers
        self._busyness = busyness or self._busyness
        self.http_exchange, self.websocket_exchange = exchange_types(self._watchers, self._busyness)

    def route_by(self, router: "Finder") -> None:
        """Find the destinations of requests with another router from now on."""
        self._router = router

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool) -> None:
        """Log a request's error in the app; `cut_off`: its client left in the middle of the request."""
        self.log.log(
            logging.DEBUG if cut_off else logging.ERROR,
            "%s from %s %s in %s\n%s",
            exchange.asked_for,
            name_of_client(exchange.endpoints),
            "timed out" if exchange.timed_out else "failed",
            exchange.served_by,
            fault,
        )
        if self.connections.on_fault is not None and not cut_off:
            self.connections.on_fault(exchange, fault)
