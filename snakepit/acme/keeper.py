"""Looks after the certificate of one name: reads it from the store, and has it issued if it is missing or due."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from snakepit.acme.issuers import Due, Issuer
from snakepit.acme.problems import AcmeError, AcmeStopped
from snakepit.acme.steps import MOST_RETRY_AFTER
from snakepit.acme.stopping import Stop
from snakepit.acme.store import CertificateStore, Failure, Stored

_log = logging.getLogger("snakepit.server")

AFTER_FAILURE = 60.0
"""Seconds after a failed attempt in which no other process tries again: a server that is restarted over and over must
not use up what the CA allows."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a visit.

    Args:
        stored: the certificate that the store has now.
        again: when to come again, in seconds since the epoch; 0: that is for the caller to decide, as this failed.
        fault: why the certificate could not be obtained or renewed; None: nothing failed.
        issued: whether it was issued by this visit.
    """

    stored: Stored | None
    again: float = 0.0
    fault: AcmeError | None = None
    issued: bool = False


class Keeper:
    """Looks after certificates, blocking its thread.

    Args:
        issuer_of: returns who certifies a name.
        now: returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        store: CertificateStore,
        issuer_of: Callable[[str], Issuer],
        stop: Stop,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._issuer_of = issuer_of
        self._stop = stop
        self._now = now

    def load(self, name: str) -> Stored | None:
        """Return the certificate that the store has for a name, if it is not over."""
        stored = self._store.certificate(name)
        return stored if stored is not None and stored.chain.not_after > self._now() else None

    def wait_visit(self, name: str, attempt: int, *, renew: bool = False) -> Visit:
        """Look after a name, and renew its certificate also if it is not due. Raises AcmeStopped.

        `attempt` counts the visits before this one that failed.
        """
        issuer = self._issuer_of(name)
        before = self._store.certificate(name)
        if before is not None and not renew and (again := self._kept(issuer, before)):
            return Visit(before, again)
        try:
            with self._store.locked(name, self._stop):
                found = self._store.certificate(name)
                changed = found is not None and (before is None or found.chain != before.chain)
                if found is not None and (changed or not renew) and (again := self._kept(issuer, found)):
                    return Visit(found, again)  # another process has done it
                if attempt == 0 and not renew and (failure := self._recent_failure(name)) is not None:
                    return Visit(found, fault=failure)
                return self._issue(issuer, name, found, attempt)
        except AcmeStopped:
            raise
        except AcmeError as error:
            self._note_failure(name, error)
            return Visit(self._store.certificate(name), fault=error)
        except OSError as error:
            return Visit(before, fault=AcmeError(f"the store can't be used: {error}"))

    def _recent_failure(self, name: str) -> AcmeError | None:
        """Return why an attempt failed that another process has just made, or the process before this one."""
        failure = self._store.failure(name)
        left = 0.0 if failure is None else failure.until - self._now()
        if failure is None or not 0.0 < left <= MOST_RETRY_AFTER:  # the clock may have been set
            return None
        return AcmeError(f"{failure.reason} (an attempt before this server began)", left)

    def _note_failure(self, name: str, error: AcmeError) -> None:
        until = self._now() + max(AFTER_FAILURE, error.retry_after or 0.0)
        try:
            self._store.put_failure(name, Failure(str(error), until))
        except OSError as trouble:
            _log.warning("That there is no certificate for %s can't be stored: %s", name, trouble)

    def _kept(self, issuer: Issuer, stored: Stored) -> float:
        """Return when to look at a certificate again; 0: it is due."""
        found = issuer.wait_due(stored)
        return self._again(found) if found.renew > self._now() else 0.0

    def _again(self, found: Due) -> float:
        return min(found.renew, found.look_again)

    def _issue(self, issuer: Issuer, name: str, previous: Stored | None, attempt: int) -> Visit:
        issued = issuer.wait_issue(name, previous, attempt)
        try:
            stored = self._store.put(name, issued.pem, issued.directory, issued.challenge)
        except ValueError as error:
            raise AcmeError(f"what the CA issued can't be used: {error}") from None
        found = issuer.wait_due(stored)
        if found.renew <= self._now():
            fault = AcmeError("the new certificate is to be renewed at once: is the clock of this machine right?")
            return Visit(stored, fault=fault, issued=True)
        return Visit(stored, self._again(found), issued=True)
