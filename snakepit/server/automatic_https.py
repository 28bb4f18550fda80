"""Automatic HTTPS: certificates for a server's domains are obtained and renewed, and TLS gets them."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakepit.acme.answers import Answers
from snakepit.acme.client import AcmeClient
from snakepit.acme.https import Https, trusting
from snakepit.acme.issuers import AcmeIssuer, Authority, Issuer, LocalIssuer
from snakepit.acme.jws import from_base64url
from snakepit.acme.keeper import Keeper
from snakepit.acme.local_ca import LocalCa
from snakepit.acme.manager import CertificateManager
from snakepit.acme.names import canonical, is_local
from snakepit.acme.on_demand import AskUrl, OnDemand, RateLimit
from snakepit.acme.session import ExternalAccount
from snakepit.acme.stopping import Stop
from snakepit.acme.store import CertificateStore, default_folder
from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.event_loop.threads import Threads
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.tls.certificates import Certificates
from snakepit.tls.contexts import ACME_PROTOCOL, CertificateFiles, LoadedCertificate, TlsOptions, load

if TYPE_CHECKING:
    from snakepit.acme.steps import ChallengeKind
    from snakepit.config.options import Config

_log = logging.getLogger("snakepit.server")

READING_THREADS = 2
"""Threads that read answers to challenges: those of other processes are in files."""

MOST_READ_AT_ONCE = 64
"""Answers that are read, or wait for that: a CA asks from five places at once, and all others have no business here."""


class AutomaticHttps:
    """The certificates for the domains of a server; the source of those that are not there yet.

    Raises ConfigError if they can't be stored.
    """

    def __init__(
        self, config: "Config", certificates: Certificates, loop: asyncio.AbstractEventLoop, events: Events
    ) -> None:
        self._config = config
        self._certificates = certificates
        self._loop = loop
        self._events = events
        self._served: dict[str, LoadedCertificate] = {}
        self._threads = Threads(loop, "snakepit-acme-answers", READING_THREADS)
        self._waiting: set[asyncio.Future[None]] = set()
        stop = Stop()
        store = CertificateStore(Path(config.acme_folder) if config.acme_folder is not None else default_folder())
        self._answers = Answers(store)
        web = Https(trusting(config.acme_ca_certs), stop)
        plain = config.redirect_http is not None or not all(bind.tls for bind in config.binds)
        kinds: list[ChallengeKind] = ["http-01", "tls-alpn-01"] if plain else ["tls-alpn-01"]
        acme = AcmeIssuer(
            _authorities(config),
            config.acme_email or "",
            kinds,
            store,
            AcmeClient(web, self._answers, stop),
            stop,
        )
        local = LocalIssuer(store, LocalCa(store.local_ca), stop)

        def issuer_of(name: str) -> Issuer:
            return local if is_local(name) else acme

        self._manager = CertificateManager(loop, config.domain, Keeper(store, issuer_of, stop), self, stop)
        self._on_demand: OnDemand | None = None
        self._store, self._web = store, web
        certificates.source = self

    async def wait_loaded(self, permits: Callable[[str], bool] | None = None) -> None:
        """Serve what the store has, and begin to obtain what it does not have.

        `permits` tells whether there is an app for a host of a route with a placeholder; called in a thread.
        """
        url = self._config.acme_ask
        if url is not None or permits is not None:
            asks = None if url is None else AskUrl(url, self._web.wait_response)

            def permitted(name: str) -> bool:
                return (permits is not None and permits(name)) or (asks is not None and asks(name))

            limit = RateLimit(self._config.acme_rate, time.monotonic)
            self._on_demand = OnDemand(self._manager, permitted, limit, self._store.has)
        await self._manager.wait_loaded()

    def status(self) -> list[dict[str, Any]]:
        """Return what is known of the certificate for each name."""
        return self._manager.status()

    async def wait_renewed(self, name: str | None) -> list[dict[str, Any]]:
        """Renew the certificate for a name, or all of them, now; returns what is known of each then.

        Raises SnakepitError.
        """
        known = self._manager.names()
        names = known if name is None else [name]
        if not set(names) <= set(known):
            raise SnakepitError(f"this server obtains no certificate for {name}, but for {', '.join(known)}")
        return list(await asyncio.gather(*map(self._manager.wait_renewed, names)))

    def find_answer(self, token: str, found: Callable[[str | None], None]) -> None:
        """Call back with the answer to the HTTP challenge with a token; None: there is no such challenge."""
        if self._threads.busy >= MOST_READ_AT_ONCE:
            found(None)
            return
        self._threads.run(lambda: self._answers.http(token), lambda answer: found(_unless_error(answer)))

    def close(self) -> None:
        """Stop obtaining certificates."""
        self._manager.close()
        self._threads.close()

    # -- the sink of the manager -------------------------------------------------------------------------------------

    def prepare(self, name: str, path: Path) -> LoadedCertificate:
        """Read a certificate."""
        return load(CertificateFiles(str(path), names=(name,)), self._certificates.options)

    def installed(self, name: str, prepared: LoadedCertificate) -> None:
        """Serve a certificate from now on."""
        self._certificates.add(prepared, instead_of=self._served.get(name))
        self._served[name] = prepared

    def obtained(self, name: str, renewed: bool, text: str) -> None:
        """Note that a certificate was issued."""
        self._events.add(Kind.CERTIFICATE, text, reason="renewed" if renewed else "obtained")

    def failed(self, name: str, text: str) -> None:
        """Note that no certificate could be had."""
        self._events.add(Kind.CERTIFICATE_FAILED, text)

    # -- the source of TLS -------------------------------------------------------------------------------------------

    def wanted(self, name: str) -> asyncio.Future[None] | None:
        """Return a future that ends when there is a certificate, or none can be had; None: there will be none."""
        if name not in self._manager.names() and self._on_demand is None:
            return None
        task = asyncio.ensure_future(self._wait_certificate(name))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def wait_challenge(self, name: str) -> LoadedCertificate | None:
        """Return what to show to a CA that checks a name (RFC 8737 section 3); None: that is not expected."""
        try:
            known = canonical(name)
        except ValueError:
            return None
        if known not in self._manager.names() or self._threads.busy >= MOST_READ_AT_ONCE:
            return None
        done: asyncio.Future[LoadedCertificate | None] = self._loop.create_future()
        self._threads.run(lambda: self._challenge(known), lambda loaded: done.set_result(_unless_error(loaded)))
        return await done

    async def _wait_certificate(self, name: str) -> None:
        if self._on_demand is not None:
            await self._on_demand.wait_certificate(name)
        else:
            await self._manager.wait_certificate(name)

    def _challenge(self, name: str) -> LoadedCertificate | None:
        path = self._answers.alpn(name)
        if path is None:
            return None
        loaded = load(CertificateFiles(str(path)), TlsOptions())  # the CA has no certificate of a client
        loaded.context.set_alpn_protocols([ACME_PROTOCOL])
        return loaded


def _unless_error[T](found: T | Exception) -> T | None:
    if isinstance(found, Exception):
        _log.debug("The answer to a challenge can't be read: %s", found)
        return None
    return found


def _authorities(config: "Config") -> list[Authority]:
    external = [*config.acme_eab, *[""] * len(config.acme_directory)]
    return [Authority(url, _external(account)) for url, account in zip(config.acme_directory, external, strict=False)]


def _external(account: str) -> ExternalAccount | None:
    if not account:
        return None
    identifier, _, key = account.partition(":")
    try:
        return ExternalAccount(identifier, from_base64url(key))
    except ValueError:
        raise ConfigError("acme_eab: the key must be in base64url, as the CA gives it", ("acme_eab",)) from None
