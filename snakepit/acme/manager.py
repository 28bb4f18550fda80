"""Has certificates obtained and renewed in time, by threads, and tells the server when there is a new one.

All methods are for the event loop's thread, and none blocks.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from snakepit.acme.keeper import Keeper, Visit
from snakepit.acme.problems import AcmeError, AcmeStopped
from snakepit.acme.stopping import Stop
from snakepit.acme.store import Stored
from snakepit.acme.threads import in_thread

MOST_THREADS = 4
"""Names that are looked after at once: a CA that does not answer must not hold all names up, nor must a start with
hundreds of names ask for all at once."""

LONGEST_SLEEP = 600.0
"""Seconds after which times are looked at again, whatever is planned: the clock may have been set, or the machine may
have slept."""

BACKOFF = 60.0, 3600.0
"""Seconds before the second and before the latest attempt of a name that fails; doubled each time."""

QUIET, LOUD = 1 / 4, 1 / 10
"""The parts of the lifetime that are left from which on a failed renewal is a warning, and an error."""

_log = logging.getLogger("snakepit.server")


class CertificateSink[T](Protocol):
    """What serves certificates."""

    def prepare(self, name: str, path: Path) -> T:
        """Read the certificate for a name, with its key, from a PEM file. Called in a thread."""
        ...

    def installed(self, name: str, prepared: T) -> None:
        """Serve a name with what was prepared, from now on, instead of an earlier certificate."""
        ...

    def obtained(self, name: str, renewed: bool, text: str) -> None:
        """Note that a certificate was issued; `text` says so to people."""
        ...

    def failed(self, name: str, text: str) -> None:
        """Note that a certificate could not be obtained or renewed; `text` says why to people."""
        ...


@dataclass(slots=True)
class _Watched:
    """A name, and what is known of its certificate."""

    name: str
    stored: Stored | None = None
    again: float = 0.0  # when to look after it, in seconds since the epoch
    attempts: int = 0  # that failed in a row
    fault: str = ""
    busy: bool = False
    renew: bool = False
    waiting: list[asyncio.Future[bool]] = field(default_factory=list)


class CertificateManager[T]:
    """Keeps a certificate for each name.

    Args:
        sink: gets certificates, in the loop.
        now: returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        names: Iterable[str],
        keeper: Keeper,
        sink: CertificateSink[T],
        stop: Stop,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self._keeper = keeper
        self._sink = sink
        self._stop = stop
        self._now = now
        self._watched = {name: _Watched(name) for name in names}
        self._busy = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def wait_loaded(self) -> None:
        """Serve the certificates that the store has, and begin to look after all names."""
        names = list(self._watched)

        def load() -> list[tuple[Visit, T | Exception | None]]:
            return [self._prepared(name, Visit(self._keeper.load(name)), "") for name in names]

        for name, (visit, prepared) in zip(names, await in_thread(self._loop, load), strict=True):
            self._install(self._watched[name], visit, prepared)
        self._look()

    async def wait_certificate(self, name: str) -> bool:
        """Wait until a name has a certificate, which is true, or until an attempt to get one failed."""
        watched = self._watched.get(name)
        if watched is None or self._closed:
            return False
        if watched.stored is not None:
            return True
        if not watched.busy and watched.again > self._now():
            return False
        return await self._visit_over(watched)

    def add(self, name: str) -> None:
        """Look after another name from now on."""
        if name not in self._watched and not self._closed:
            self._watched[name] = _Watched(name)
            self._look()

    def names(self) -> list[str]:
        """Return the names that are looked after."""
        return list(self._watched)

    async def wait_renewed(self, name: str) -> dict[str, Any]:
        """Renew a certificate now, also if it is not due; returns its status when that is done, or has failed.

        Raises KeyError if the name is not looked after.
        """
        watched = self._watched[name]
        if watched.busy:
            await self._visit_over(watched)
        watched.renew, watched.again = True, 0.0
        self._look()
        await self._visit_over(watched)
        return _status(watched)

    async def _visit_over(self, watched: _Watched) -> bool:
        """Wait for the end of a visit; returns whether there is a certificate."""
        if self._closed:
            return False
        done: asyncio.Future[bool] = self._loop.create_future()
        watched.waiting.append(done)
        return await done

    def status(self) -> list[dict[str, Any]]:
        """Return what is known of each name, for people and as JSON."""
        return [_status(self._watched[name]) for name in sorted(self._watched)]

    def close(self) -> None:
        """Stop everything. Threads end by themselves, and are not waited for."""
        self._closed = True
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        for watched in self._watched.values():
            self._tell(watched)

    def _look(self) -> None:
        """Begin to look after the names whose time has come, and come again in time for the next."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self._now()
        idle = sorted((one for one in self._watched.values() if not one.busy), key=lambda one: one.again)
        for watched in idle:
            if watched.again > now or self._busy >= MOST_THREADS:
                break
            self._begin(watched)
        ahead = [one.again - now for one in idle if not one.busy]
        seconds = LONGEST_SLEEP if self._busy >= MOST_THREADS else min([*ahead, LONGEST_SLEEP])
        self._timer = self._loop.call_later(max(seconds, 0.0), self._look)

    def _begin(self, watched: _Watched) -> None:
        watched.busy = True
        self._busy += 1
        name, attempts, renew = watched.name, watched.attempts, watched.renew
        watched.renew = False
        served = watched.stored.chain.fingerprint if watched.stored is not None else ""

        def work() -> tuple[Visit, T | Exception | None]:
            return self._prepared(name, self._keeper.wait_visit(name, attempts, renew=renew), served)

        in_thread(self._loop, work).add_done_callback(lambda done: self._visited(watched, done))

    def _prepared(self, name: str, visit: Visit, served: str) -> tuple[Visit, T | Exception | None]:
        """Return what came of a visit, with what the sink makes of a new certificate, or why it can't; in a thread."""
        if visit.stored is None or visit.stored.chain.fingerprint == served:
            return visit, None
        try:
            return visit, self._sink.prepare(name, visit.stored.path)
        except Exception as error:
            return visit, error

    def _visited(self, watched: _Watched, done: asyncio.Future[tuple[Visit, T | Exception | None]]) -> None:
        watched.busy = False
        self._busy -= 1
        if self._closed or done.cancelled():
            return
        error = done.exception()
        if isinstance(error, AcmeStopped):
            return
        prepared: T | Exception | None = None
        if error is None:
            visit, prepared = done.result()
        else:
            _log.error("Error while looking after the certificate for %s", watched.name, exc_info=error)
            visit = Visit(watched.stored, fault=AcmeError(f"an error in Snakepit: {error!r}"))
        self._install(watched, visit, prepared)
        if isinstance(prepared, Exception) and visit.fault is None:
            visit = replace(visit, fault=AcmeError(f"what the store has can't be served: {prepared}"))
        if visit.fault is None:
            watched.attempts, watched.fault, watched.again = 0, "", visit.again
        else:
            self._failed(watched, visit.fault)
        self._tell(watched)
        self._look()

    def _install(self, watched: _Watched, visit: Visit, prepared: T | Exception | None) -> None:
        stored, before = visit.stored, watched.stored
        if stored is None or prepared is None or isinstance(prepared, Exception):
            return
        watched.stored = stored
        until = _date(stored.chain.not_after)
        what = "" if not visit.issued else " was obtained" if before is None else " was renewed"
        text = f"Certificate for {watched.name}{what}: by {stored.chain.issuer}, until {until}"
        _log.info("%s", text)
        if visit.issued:
            self._sink.obtained(watched.name, before is not None, text)
        self._sink.installed(watched.name, prepared)

    def _failed(self, watched: _Watched, fault: AcmeError) -> None:
        first, most = BACKOFF
        seconds = min(first * 2.0 ** min(watched.attempts, 20), most)
        seconds = max(seconds, fault.retry_after or 0.0)
        watched.attempts += 1
        watched.fault = str(fault)
        now = self._now()
        watched.again = now + seconds
        if watched.stored is None:
            level, state = logging.ERROR, "is not served"
        else:
            left = watched.stored.chain.not_after - now
            share = left / max(watched.stored.chain.lifetime, 1.0)
            level = logging.INFO if share > QUIET else logging.WARNING if share > LOUD else logging.ERROR
            old = _date(watched.stored.chain.not_after)
            state = f"has its old certificate, until {old}" if left > 0 else f"has a certificate that ended {old}"
        text = f"No certificate for {watched.name}: {fault}. It {state}; next attempt in {_duration(seconds)}"
        _log.log(level, "%s", text)
        self._sink.failed(watched.name, text)

    def _tell(self, watched: _Watched) -> None:
        waiting, watched.waiting = watched.waiting, []
        for done in waiting:
            if not done.done():
                done.set_result(watched.stored is not None)


def _status(watched: _Watched) -> dict[str, Any]:
    fault = watched.fault or None
    return description(watched.name, _state(watched), watched.stored, watched.again, watched.attempts, fault)


def description(
    name: str, state: str, stored: Stored | None, again: float, attempts: int = 0, fault: str | None = None
) -> dict[str, Any]:
    """Return what is known of a certificate, for people and as JSON."""
    details = stored.details if stored is not None else None
    return {
        "name": name,
        "state": state,
        "issuer": stored.chain.issuer if stored is not None else None,
        "directory": details.directory if details is not None else None,
        "not_before": _date(stored.chain.not_before) if stored is not None else None,
        "not_after": _date(stored.chain.not_after) if stored is not None else None,
        "next": _date(again) if again else None,
        "failed_attempts": attempts,
        "fault": fault,
    }


def _state(watched: _Watched) -> str:
    if watched.busy:
        return "obtaining" if watched.stored is None else "renewing"
    if watched.fault:
        return "failed"
    return "waiting" if watched.stored is None else "served"


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
