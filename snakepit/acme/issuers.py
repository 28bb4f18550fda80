"""Issuers: who certifies a name, and when its certificate is to be renewed. They block their thread."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit

from cryptography import x509

from snakepit.acme.client import AcmeClient
from snakepit.acme.keys import AccountKey, key_pem, new_key, signing_request
from snakepit.acme.local_ca import LOCAL, LocalCa
from snakepit.acme.orders import obtain
from snakepit.acme.problems import AcmeError, AcmeStopped, CaRefused, ChallengeFailed
from snakepit.acme.renewal import LOOK_AGAIN, Suggestion, ask_suggestion, due
from snakepit.acme.session import ExternalAccount, Session
from snakepit.acme.steps import ChallengeKind
from snakepit.acme.stopping import Stop
from snakepit.acme.store import Account, CertificateStore, Stored

_log = logging.getLogger("snakepit.server")


@dataclass(frozen=True, slots=True)
class Due:
    """When to renew a certificate, and when to think about that again; in seconds since the epoch."""

    renew: float
    look_again: float


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key with its chain (PEM), and where it comes from."""

    pem: bytes
    directory: str
    challenge: str = ""


class Issuer(Protocol):
    """What certifies names."""

    def wait_due(self, stored: Stored) -> Due:
        """Return when to renew a certificate. Raises AcmeStopped."""
        ...

    def wait_issue(self, name: str, previous: Stored | None, attempt: int) -> Issued:
        """Return a new certificate for a name; `attempt` counts those that failed before. Raises AcmeError."""
        ...


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: the URL of its directory, and the account with it that new ACME accounts are bound to, if it wants one."""

    directory: str
    external: ExternalAccount | None = None

    @property
    def host(self) -> str:
        """The host of the directory, for people."""
        return urlsplit(self.directory).hostname or self.directory


class AcmeIssuer:
    """Asks CAs for certificates: the first, and where that fails, the next.

    Args:
        contact: an e-mail address, for which CAs ask; or none.
        kinds: the challenges that can be answered, the most likely first.
        now: returns the time, in seconds since the epoch.
        choose: returns a random number between two others.
    """

    def __init__(
        self,
        authorities: Sequence[Authority],
        contact: str,
        kinds: Sequence[ChallengeKind],
        store: CertificateStore,
        client: AcmeClient,
        stop: Stop,
        *,
        now: Callable[[], float] = time.time,
        choose: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._authorities = {one.directory: one for one in authorities}
        self._contact = contact
        self._kinds = kinds
        self._store = store
        self._client = client
        self._stop = stop
        self._now = now
        self._choose = choose
        self._left_alone: dict[tuple[str, str], float] = {}  # by name and directory: until when

    def wait_due(self, stored: Stored) -> Due:
        now = self._now()
        details = stored.details
        if details is None:
            return Due(due(stored.chain, None), now + LOOK_AGAIN)
        authority = self._authorities.get(details.directory)
        if authority is None:  # of a CA that is not to be used any more, such as one for tests
            return Due(now, now)
        suggestion = details.suggestion
        if suggestion is None or suggestion.look_again <= now:
            fresh = self._wait_suggestion(authority, stored, suggestion)
            if fresh is None:
                return Due(due(stored.chain, suggestion), now + LOOK_AGAIN)
            if fresh.explanation and (suggestion is None or suggestion.explanation != fresh.explanation):
                _log.warning(
                    "%s wants the certificate for %s to be renewed early: %s",
                    authority.host,
                    stored.name,
                    fresh.explanation,
                )
            suggestion = fresh
            try:
                self._store.note(stored.name, replace(details, suggestion=suggestion))
            except OSError as error:
                _log.warning("When to renew the certificate for %s can't be stored: %s", stored.name, error)
        return Due(due(stored.chain, suggestion), suggestion.look_again)

    def _wait_suggestion(self, authority: Authority, stored: Stored, before: Suggestion | None) -> Suggestion | None:
        account = self._store.account(authority.directory)
        session = Session(authority.directory, account.key if account else AccountKey.make())
        try:
            return self._client.wait_run(ask_suggestion(session, stored.chain, before, self._now(), self._choose))
        except AcmeStopped:
            raise
        except AcmeError as error:
            _log.debug("When to renew the certificate for %s: %s", stored.name, error)
            return None

    def wait_issue(self, name: str, previous: Stored | None, attempt: int) -> Issued:
        faults: list[str] = []
        waits: list[float] = []
        for authority in self._authorities.values():
            left = self._left_alone.get((name, authority.directory), 0.0) - self._now()
            if left > 0:
                faults.append(f"{authority.host} wants to be left alone for {left:.0f} more seconds")
                waits.append(left)
                continue
            waits.append(0.0)
            for kind in self._kinds_to_try(previous, attempt):
                try:
                    return self._wait_obtained(authority, name, kind, previous)
                except AcmeStopped:
                    raise
                except ChallengeFailed as error:
                    faults.append(f"{authority.host}: {error}")
                except AcmeError as error:
                    faults.append(f"{authority.host}: {error}")
                    if error.retry_after is not None:
                        self._left_alone[name, authority.directory] = self._now() + error.retry_after
                        waits[-1] = error.retry_after
                    break
        raise AcmeError("; ".join(faults), min(waits) or None)

    def _kinds_to_try(self, previous: Stored | None, attempt: int) -> Iterator[ChallengeKind]:
        """Yield all kinds in the first attempt, what worked before first; then one each, as CAs count failures."""
        worked = previous.details.challenge if previous is not None and previous.details is not None else ""
        if attempt == 0:
            yield from sorted(self._kinds, key=lambda kind: kind != worked)
        else:
            yield self._kinds[attempt % len(self._kinds)]

    def _wait_obtained(self, authority: Authority, name: str, kind: ChallengeKind, previous: Stored | None) -> Issued:
        replaces = None
        if previous is not None and previous.details is not None and previous.details.directory == authority.directory:
            replaces = previous.chain.identifier
        key = new_key()
        request = signing_request(key, [name])
        account = self._wait_account(authority, "")
        try:
            session = Session(authority.directory, account.key, account.url)
            steps = obtain(session, [name], request, [kind], account.key.thumbprint, replaces)
            chain = self._client.wait_run(steps)
        except CaRefused as error:
            if error.problem.kind != "accountDoesNotExist":
                raise
            account = self._wait_account(authority, account.url)
            session = Session(authority.directory, account.key, account.url)
            steps = obtain(session, [name], request, [kind], account.key.thumbprint, replaces)
            chain = self._client.wait_run(steps)
        return Issued(key_pem(key) + chain, authority.directory, kind)

    def _wait_account(self, authority: Authority, forgotten: str) -> Account:
        """Return the account with a CA, registered if necessary; not the one with the URL `forgotten`."""
        directory = authority.directory
        found = self._store.account(directory)
        if found is not None and found.url not in ("", forgotten) and found.contact == self._contact:
            return found
        with self._store.locked(f"account:{authority.host}", self._stop):
            found = self._store.account(directory)
            if found is None:
                found = Account(AccountKey.make())
                self._store.put_account(directory, found)  # before the CA knows it, so that it is never lost
            session = Session(directory, found.key, found.url or None)
            if found.url in ("", forgotten):
                url = self._client.wait_run(session.register(self._contact, authority.external))
                terms = self._client.wait_run(session.directory()).terms  # which are known by now
                _log.info("Registered with %s%s", authority.host, f", whose terms are {terms}" if terms else "")
            else:
                url = found.url
                if found.contact != self._contact:
                    self._client.wait_run(session.change_contact(self._contact))
            found = Account(found.key, url, self._contact)
            self._store.put_account(directory, found)
            return found


class LocalIssuer:
    """Asks the local CA, which has to be under a lock while its root is made."""

    def __init__(
        self, store: CertificateStore, ca: LocalCa, stop: Stop, *, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._ca = ca
        self._stop = stop
        self._now = now

    def wait_due(self, stored: Stored) -> Due:
        now = self._now()
        try:
            leaf = x509.load_pem_x509_certificates(stored.path.read_bytes())[0]
        except (OSError, ValueError):
            return Due(now, now)
        return Due(due(stored.chain, None) if self._ca.signed(leaf) else now, now + LOOK_AGAIN)

    def wait_issue(self, name: str, previous: Stored | None, attempt: int) -> Issued:
        with self._store.locked("local:ca", self._stop):
            return Issued(self._ca.issue(name), LOCAL)
