"""The way in: from the listening sockets, over TLS or not, to the connections that speak HTTP."""

import asyncio
import logging
import os
import ssl
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from snakepit.config.bind import mode_of
from snakepit.config.trusted_proxies import TrustedProxies
from snakepit.errors import ConfigError
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.net.listener import Listener, Speaks
from snakepit.server.net.reported import ReportedConnections
from snakepit.server.privileges import become, require_python
from snakepit.server.responders.acme_challenge import AcmeChallenge
from snakepit.server.responders.redirect import HttpsRedirect
from snakepit.server.routing.responders_first import RespondersFirst
from snakepit.server.routing.router import Router
from snakepit.system.cpus import usable_cpus
from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from snakepit.config.options import Config
    from snakepit.server.automatic_https import AutomaticHttps
    from snakepit.server.net.tls_connections import TlsConnections
    from snakepit.server.net.transport import NewConnection
    from snakepit.server.responders.responder import Responder
    from snakepit.server.routing.router import Finder
    from snakepit.tls.certificates import Certificates, FileCertificates, Looked
    from snakepit.tls.contexts import CertificateFiles

_HTTPS = 443

LOOK = 2.0
"""Seconds between two looks at the files of certificates."""

MOST_HANDSHAKES = 1024
"""TLS handshakes that may be computed at once, or wait for that; one more is cut off. At some thousand handshakes in a
second, the last one waits for less than a second."""

_LEAST = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Entrance:
    """What accepts connections for a server, and gives each what it speaks.

    Binds the sockets, reads the certificates, and lets the process become another user's, if that is wanted. Raises
    ConfigError.

    Args:
        inherited: sockets to use instead of those of the options.
        events: where certificates are noted that come, or should.
    """

    def __init__(
        self,
        config: "Config",
        inherited: "Sequence[socket.socket]",
        loop: asyncio.AbstractEventLoop,
        events: Events,
    ) -> None:
        self.listener = Listener(config, inherited)
        self._config = config
        self._loop = loop
        self._events = events
        self._log = logging.getLogger("snakepit.server")
        self._files: FileCertificates | None = None
        self._tls: TlsConnections | None = None
        self._reported: ReportedConnections | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.certificates: Certificates | None = None
        """Those that are shown to clients; None: TLS is not spoken."""
        self.automatic: AutomaticHttps | None = None
        """What obtains certificates for `--domain`."""
        try:
            if config.speaks_tls:
                self.certificates = self._read_certificates()
            if config.umask:
                os.umask(mode_of(config.umask))
            if config.user is not None or config.group is not None:
                become(config.user, config.group)
                require_python(config.user, config.group)
            if self.certificates is not None and config.domain:
                self.automatic = _automatic_https(config, self.certificates, loop, events)
        except ConfigError:
            self.listener.close()
            raise

    def _read_certificates(self) -> "Certificates":
        from snakepit.tls.certificates import Certificates, FileCertificates  # most servers have a proxy in front
        from snakepit.tls.contexts import CertificateFiles, TlsOptions

        config = self._config
        certificates = Certificates(
            TlsOptions(
                _LEAST[config.ssl_version], config.ssl_ciphers, _CLIENTS[config.ssl_cert_reqs], config.ssl_ca_certs
            )
        )
        files = [
            CertificateFiles(each.certfile, each.keyfile, each.keyfile_password, each.names) for each in config.tls
        ]
        if config.ssl_ca_certs is not None and config.ssl_cert_reqs == "none":
            self._log.warning(
                "No client is asked for a certificate: ssl_ca_certs changes nothing without ssl_cert_reqs"
            )
        self._files = FileCertificates(certificates, files, self._tell_of_file)
        self._tell_of_dates()
        return certificates

    async def serve(
        self,
        http: HttpConnections,
        router: "Finder",
        permits: "Callable[[str], bool] | None" = None,
        health: "Sequence[Responder]" = (),
        metrics: "Finder | None" = None,
    ) -> None:
        """Accept connections from now on.

        Args:
            http: makes connections that speak HTTP; over TLS, where that is spoken anywhere.
            router: of those that speak it without TLS beside them.
            permits: tells whether a host of a route with a placeholder may get a certificate; called in a thread.
            health: responders for those whose clients are sent to HTTPS.
            metrics: the router of those that are for metrics alone; None: there are none.
        """
        connections: dict[Speaks, NewConnection] = {Speaks.HTTP: http.new_connection}
        if self.certificates is not None:
            from snakepit.server.net.tls import over_tls

            self._tls = self._make_tls(self.certificates, http)
            before_redirect: list[Responder] = [*health]
            if self.automatic is not None:
                await self.automatic.wait_loaded(permits)
                challenge = AcmeChallenge(self.automatic.find_answer)
                before_redirect.append(challenge)
                router = RespondersFirst([challenge], router)
            plain = http.beside(router)
            redirect = Router(HttpsRedirect(self.listener.https_port or _HTTPS), before_redirect)
            connections = {
                Speaks.HTTPS: over_tls(self._tls, http.new_connection),
                Speaks.HTTP: plain.new_connection,
                Speaks.REDIRECT: http.beside(redirect).new_connection,
            }
            self._timer = self._loop.call_later(LOOK, self._look)
        if self._config.proxy_protocol:
            trusted = TrustedProxies(self._config.forwarded_allow_ips)
            reported = self._reported = ReportedConnections(
                trusted, http.connections, self._loop, self._config.timeout_request_head
            )
            connections = {speaks: reported.below(make) for speaks, make in connections.items()}
        if metrics is not None:  # whoever asks there comes through no proxy
            connections[Speaks.METRICS] = http.beside(metrics).new_connection
        await self.listener.serve(self._loop, connections)

    def _make_tls(self, certificates: "Certificates", http: HttpConnections) -> "TlsConnections":
        from snakepit.server.net.tls_connections import TlsConnections

        return TlsConnections(
            certificates,
            http.connections,
            self._loop,
            seconds=self._config.ssl_handshake_timeout,
            most_at_once=MOST_HANDSHAKES,
            threads=usable_cpus().count,
            admission=http.admission,
        )

    def status_of_files(self) -> list[dict[str, Any]]:
        """Return what is known of the certificates that come from files."""
        return [] if self._files is None else self._files.status(datetime.now(UTC))

    def look_at_certificates(self) -> None:
        """Read the files of certificates again that have changed, now."""
        if self._tls is not None and self._files is not None:
            self._tls.threads.run(self._files.look, self._looked)

    def close(self) -> None:
        """Stop looking at files, and end threads and time limits."""
        if self._timer is not None:
            self._timer.cancel()
        if self.automatic is not None:
            self.automatic.close()
        if self._tls is not None:
            self._tls.close()
        if self._reported is not None:
            self._reported.close()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)
        self.look_at_certificates()

    def _looked(self, found: "list[Looked] | Exception") -> None:
        if isinstance(found, Exception):
            raise found
        if self._files is not None:
            self._files.take(found)
            self._tell_of_dates()

    def _tell_of_dates(self) -> None:
        for text, already in () if self._files is None else self._files.dates(datetime.now(UTC)):
            self._log.log(logging.ERROR if already else logging.WARNING, "%s", text)
            self._events.add(Kind.CERTIFICATE_FAILED, text)

    def _tell_of_file(self, files: "CertificateFiles", trouble: str) -> None:
        if trouble:
            self._log.error("The certificate before goes on being used: %s", trouble)
            self._events.add(Kind.CERTIFICATE_FAILED, f"The certificate before goes on being used: {trouble}")
        else:
            self._log.info("Certificate %s was read again", files.certificate)
            self._events.add(Kind.CERTIFICATE, f"Certificate {files.certificate} was read again", reason="file")


def _automatic_https(
    config: "Config", certificates: "Certificates", loop: asyncio.AbstractEventLoop, events: Events
) -> "AutomaticHttps":
    if find_spec("cryptography") is None:
        raise ConfigError("domain needs cryptography, which is not installed: pip install 'snakepit-server[acme]'")
    with StandardLibraryFirst():
        from snakepit.server.automatic_https import AutomaticHttps  # most servers have a proxy in front

    return AutomaticHttps(config, certificates, loop, events)
