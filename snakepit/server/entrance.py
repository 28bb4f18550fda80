"""The way in: from the listening sockets, over TLS or not, to the connections that speak HTTP."""

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from snakepit.errors import ConfigError
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.responders.redirect import HttpsRedirect
from snakepit.server.routing.router import Router
from snakepit.system.cpus import usable_cpus

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.net.listener import Listener, NewConnection
    from snakepit.server.net.tls import TlsConnections
    from snakepit.tls.certificates import FileCertificates, Looked
    from snakepit.tls.contexts import CertificateFiles

LOOK = 2.0
"""Seconds between two looks at the files of certificates."""

MOST_HANDSHAKES = 1024
"""TLS handshakes that may be computed at once, or wait for that; one more is cut off. At some thousand handshakes in a
second, the last one waits for less than a second."""

_LEAST = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Entrance:
    """What accepts connections for a server, and gives each what it speaks.

    Raises ConfigError for a certificate that can't be used.
    """

    def __init__(
        self, config: "Config", listener: "Listener", http: HttpConnections, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._listener = listener
        self._http = http
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self._tls: TlsConnections | None = None
        self._files: FileCertificates | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._redirect: HttpConnections | None = None
        if config.speaks_tls:
            try:
                self._set_up_tls(config)
            except ConfigError:
                listener.close()
                raise

    def _set_up_tls(self, config: "Config") -> None:
        from snakepit.server.net.tls import TlsConnections  # most servers have a proxy in front
        from snakepit.tls.certificates import Certificates, FileCertificates
        from snakepit.tls.contexts import CertificateFiles, TlsOptions

        options = TlsOptions(
            _LEAST[config.ssl_version], config.ssl_ciphers, _CLIENTS[config.ssl_cert_reqs], config.ssl_ca_certs
        )
        certificates = Certificates(options)
        files = [
            CertificateFiles(each.certfile, each.keyfile, each.keyfile_password, each.names) for each in config.tls
        ]
        self._files = FileCertificates(certificates, files, self._tell_of_file)
        self._tls = TlsConnections(
            certificates,
            self._http.connections,
            self._loop,
            seconds=config.ssl_handshake_timeout,
            most_at_once=MOST_HANDSHAKES,
            threads=usable_cpus().count,
        )
        if config.redirect_http is not None:
            redirect = HttpsRedirect(self._listener.port)
            self._redirect = HttpConnections(config, Router(redirect), self._loop, beside=self._http)

    async def serve(self) -> None:
        """Accept connections from now on."""
        connection: NewConnection = self._http.new_connection
        if self._tls is not None:
            connection = self._tls.over(connection)
            self._timer = self._loop.call_later(LOOK, self._look)
        redirect = None if self._redirect is None else self._redirect.new_connection
        await self._listener.serve(self._loop, connection, redirect)

    def look_at_certificates(self) -> None:
        """Read the files of certificates again that have changed, now."""
        if self._tls is not None and self._files is not None:
            self._tls.threads.run(self._files.look, self._looked)

    def close(self) -> None:
        """Stop looking at files, and end threads and time limits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tls is not None:
            self._tls.close()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)
        self.look_at_certificates()

    def _looked(self, found: "list[Looked] | Exception") -> None:
        if isinstance(found, Exception):
            raise found
        if self._files is not None:
            self._files.take(found)

    def _tell_of_file(self, files: "CertificateFiles", trouble: str) -> None:
        if trouble:
            self._log.error("The certificate before goes on being used: %s", trouble)
        else:
            self._log.info("Certificate %s was read again", files.certificate)
