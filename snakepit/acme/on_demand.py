"""Certificates on demand: for names that are not known before somebody asks for them, such as those of tenants."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from snakepit.acme.names import canonical, is_local
from snakepit.acme.problems import AcmeError
from snakepit.acme.steps import Request, Response
from snakepit.acme.threads import in_thread

MOST_PER_MINUTE = 10
"""Certificates that may be obtained in a minute, if no option says otherwise: Let's Encrypt allows 300 orders in three
hours."""

MOST_NAMES = 10_000
"""Names that are looked after because somebody asked for them."""

MOST_QUESTIONS = 8
"""Names whose permission is asked for at once; handshakes for further ones fail meanwhile."""

REFUSED_FOR = 60.0
"""Seconds for which a name that is not permitted is not asked for again."""

MOST_REFUSED = 10_000
"""Refused names that are remembered."""

_log = logging.getLogger("snakepit.server")


class Keeping(Protocol):
    """The manager of certificates, as this needs it."""

    def add(self, name: str) -> None:
        """Look after another name from now on."""
        ...

    def names(self) -> list[str]:
        """Return the names that are looked after."""
        ...

    async def wait_certificate(self, name: str) -> bool:
        """Wait until a name has a certificate, or until an attempt to get one failed."""
        ...


class RateLimit:
    """A bucket that fills in a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._left = self._most
        self._clock = clock
        self._filled = clock()

    def take(self) -> bool:
        """Take one, if there is one."""
        now = self._clock()
        self._left = min(self._left + (now - self._filled) * self._most / 60.0, self._most)
        self._filled = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class OnDemand:
    """Decides who gets a certificate on demand.

    Args:
        permits: tells whether a name may have one; it may block, so it runs in a thread.
        limit: of certificates that have to be issued; those in the store do not count.
        is_stored: tells whether the store has a certificate for a name.
    """

    def __init__(
        self,
        manager: Keeping,
        permits: Callable[[str], bool],
        limit: RateLimit,
        is_stored: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._permits = permits
        self._limit = limit
        self._is_stored = is_stored
        self._clock = clock
        self._refused: dict[str, float] = {}  # until when, the oldest first
        self._asking: dict[str, asyncio.Future[bool]] = {}
        self._added = 0

    async def wait_certificate(self, wanted: str) -> bool:
        """Wait for the certificate for a name that a client asked for; false if it gets none."""
        try:
            name = canonical(wanted)
        except ValueError:
            return False
        if name in self._manager.names() or await self._wait_permission(name):
            return await self._manager.wait_certificate(name)
        return False

    async def _wait_permission(self, name: str) -> bool:
        if is_local(name) or self._refused.get(name, 0.0) > self._clock() or self._added >= MOST_NAMES:
            return False
        if name in self._asking:
            return await asyncio.shield(self._asking[name])
        if len(self._asking) >= MOST_QUESTIONS:
            return False
        answer = self._asking[name] = asyncio.ensure_future(self._wait_answer(name))
        try:
            return await asyncio.shield(answer)
        finally:
            self._asking.pop(name, None)

    async def _wait_answer(self, name: str) -> bool:
        try:
            permitted = await in_thread(asyncio.get_running_loop(), lambda: self._permits(name))
        except Exception as error:
            _log.warning("Whether %s may have a certificate can't be found out: %s", name, error)
            permitted = False
        if not permitted:
            self._refuse(name)
            return False
        if not self._is_stored(name) and not self._limit.take():
            _log.warning("No certificate for %s yet: too many were obtained within a minute", name)
            return False
        self._added += 1
        self._manager.add(name)
        return True

    def _refuse(self, name: str) -> None:
        self._refused.pop(name, None)
        self._refused[name] = self._clock() + REFUSED_FOR
        while len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]


class AskUrl:
    """Asks a URL of the operator's, with `?domain=NAME`, whether a name may have a certificate: status 200 permits."""

    def __init__(self, url: str, wait_response: Callable[[Request], Response]) -> None:
        self._url = url
        self._wait_response = wait_response

    def __call__(self, name: str) -> bool:
        mark = "&" if "?" in self._url else "?"
        try:
            response = self._wait_response(Request("GET", f"{self._url}{mark}domain={quote(name)}"))
        except AcmeError as error:
            _log.warning("%s does not say whether %s may have a certificate: %s", self._url, name, error)
            return False
        return response.status == 200
