"""What the connections over TLS of a server share: certificates, threads that compute handshakes, and time limits."""

import asyncio
import logging
import ssl
from collections.abc import Hashable
from typing import Any, Protocol

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.event_loop.threads import Threads
from snakepit.server.net.admission import Admission
from snakepit.server.net.connections import Connections
from snakepit.tls.certificates import Certificates
from snakepit.tls.contexts import LoadedCertificate
from snakepit.tls.session_facts import describe

_KEPT = 1024
"""Sessions' facts that are kept, each for the next session with the same ones."""


class Shaking(Hashable, Protocol):
    """The interface of a connection in its handshake."""

    def handshake_too_slow(self) -> None:
        """Close: the time for a handshake is over."""


class TlsConnections:
    """What the connections over TLS of a server share.

    Args:
        connections: where they are until the handshake is complete.
        seconds: for a handshake.
        most_at_once: handshakes that may be computed, or wait for that; a client of one more is cut off.
        threads: compute them.
        admission: says which connections may stay; None: all.
    """

    def __init__(
        self,
        certificates: Certificates,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        *,
        seconds: float,
        most_at_once: int,
        threads: int,
        admission: Admission | None = None,
    ) -> None:
        self.certificates = certificates
        self.connections = connections
        self.loop = loop
        self.log = logging.getLogger("snakepit.server")
        self.most_at_once = most_at_once
        self.admission = admission
        if admission is not None:
            admission.watch(None, lambda: self.handshakes)
        self.handshakes = Deadlines[Shaking](loop, seconds, lambda one: one.handshake_too_slow())
        self.threads = Threads(loop, "snakepit-tls", threads)
        self.waiting = BackgroundTasks()
        self._described: dict[tuple[int, str | None, str], tuple[LoadedCertificate, Any]] = {}

    def describe(self, session: ssl.SSLObject, certificate: LoadedCertificate) -> Any:
        """Return what apps are told of a session."""
        if certificate.asks_clients:  # what is told is of the client, too
            return describe(session, certificate)
        cipher = session.cipher()
        key = id(certificate), session.version(), cipher[0] if cipher is not None else ""
        known = self._described.get(key)
        if known is None or known[0] is not certificate:
            if len(self._described) > _KEPT:
                self._described.clear()
            known = self._described[key] = certificate, describe(session, certificate)
        return known[1]

    def close(self) -> None:
        """End the threads and the time limits."""
        self.handshakes.close()
        self.threads.close()
        self.waiting.cancel()
