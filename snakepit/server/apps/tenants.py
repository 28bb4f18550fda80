"""Apps of routes with placeholders: each is made by its first request, and goes when it has been idle.

All such routes of a server share one limit. While it is reached, the app that was idle for longest makes room; if none
is idle, a request for another one gets 503.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit.config.placeholders import read_value
from snakepit.errors import ConfigError
from snakepit.server.apps.app import App
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.responders.failed import Failed
from snakepit.server.responders.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit.config.options import RoutedApp
    from snakepit.server.exchanges.exchange import Destination, Exchange
    from snakepit.server.responders.responder import Responder
    from snakepit.server.routing.routes import Routed

SHORTEST_LOOK = 1.0
"""Seconds; the shortest time between two looks for apps that have been idle for long enough."""

LOOKS = 8
"""Looks in an app's `idle_timeout`, so that it stays an eighth longer at most."""


class Unmade:
    """Stands for an app that could not even be made, such as one whose name can't be a module's."""

    responders: "Sequence[Responder]" = ()

    def __init__(self, again: "Callable[[Exchange], None]") -> None:
        self.destination: Destination = Failed(1, again)


@dataclass(slots=True)
class _Tenant:
    """An app, and when it was last asked for (loop time)."""

    app: App | Unmade
    used: float
    template: "RoutedApp"

    @property
    def idle_seconds(self) -> float:
        return self.template.config.idle_timeout

    @property
    def busy(self) -> bool:
        return isinstance(self.app, App) and self.app.busy


class Tenants:
    """All apps that routes with placeholders have made.

    Args:
        most: how many live at once.
        make: makes an app, without starting it. Raises ConfigError.
        ending_seconds: how long the workers of one that goes may take to end.
        events: where it is noted what could not be made.
    """

    def __init__(
        self,
        most: int,
        make: "Callable[[RoutedApp], App]",
        ending_seconds: float,
        loop: asyncio.AbstractEventLoop,
        events: Events,
    ) -> None:
        self._events = events
        self._most = most
        self._make = make
        self._ending_seconds = ending_seconds
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self._tenants: dict[str, _Tenant] = {}  # by the app's name; the one that was asked for last is the last
        self._ending: dict[App, asyncio.Task[None]] = {}
        self._tasks = BackgroundTasks()
        self._looking: asyncio.TimerHandle | None = None
        self._all_busy = Refusal(503, "Too many apps are busy", retry_after=1)
        self._closed = False
        self.left_open = 0
        """Interpreters that could not be closed, of apps that have gone."""

    def __iter__(self) -> Iterator[App]:
        """Yield the apps that live, and those that are going."""
        yield from [tenant.app for tenant in self._tenants.values() if isinstance(tenant.app, App)]
        yield from list(self._ending)

    def find(self, template: "RoutedApp", captured: "Sequence[bytes]") -> "Routed | None":
        """Return the app for what stands in a request for the placeholders; None if there can't be one."""
        values: dict[str, str] = {}
        for name, text in zip(template.route.placeholders, captured, strict=True):
            value = read_value(text)
            if value is None:
                return None
            values[name] = value
        key = str(template.route.filled(values))
        tenant = self._tenants.pop(key, None)
        if tenant is None:
            return self._begin(template, key, values)
        self._tenants[key] = tenant  # at the end
        tenant.used = self._loop.time()
        return tenant.app

    def keep_only(self, templates: "Sequence[RoutedApp]") -> None:
        """Let the apps go that none of these templates would make as they are."""
        for key, tenant in list(self._tenants.items()):
            if not any(tenant.template.same_app(template) for template in templates):
                self._let_go(key, "since its options have changed")

    def close(self) -> None:
        """Make no more apps. Those that live are closed by the caller."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()

    # -- the beginning -----------------------------------------------------------------------------------------------

    def _begin(self, template: "RoutedApp", key: str, values: dict[str, str]) -> "Routed | None":
        try:
            routed = template.filled(values)
            if routed is None:
                return None
            if self._closed or not self._make_room():
                return self._all_busy
            app = self._make(routed)
        except ConfigError as error:
            return self._unmade(template, key, values, error) if self._make_room() else self._all_busy
        self._keep(key, app, template)
        self._tasks.begin(app.start())
        return app

    def _unmade(self, template: "RoutedApp", key: str, values: dict[str, str], error: ConfigError) -> Unmade:
        def again(exchange: "Exchange") -> None:
            self._tenants.pop(key, None)
            app = self._begin(template, key, values)
            exchange.redirect(self._all_busy if app is None else app.destination)

        self._log.error("App %s can't be made: %s", key, error)
        self._events.add(Kind.APP_FAILED, f"App {key} can't be made: {error}", app=key)
        unmade = Unmade(again)
        self._keep(key, unmade, template)
        return unmade

    def _keep(self, key: str, app: App | Unmade, template: "RoutedApp") -> None:
        self._tenants[key] = _Tenant(app, self._loop.time(), template)
        if self._looking is None or self._looking.when() > self._next_look:
            self._look_later()

    # -- the end -----------------------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """See to it that there may be one more."""
        if len(self._tenants) < self._most:
            return True
        idle = next((key for key, tenant in self._tenants.items() if not tenant.busy), None)
        if idle is None:
            self._log.warning("Apps can't be made: %d are busy, and --max-apps allows no more", self._most)
            why = f"refused: their app can't be made, {self._most} are busy (--max-apps)"
            self._events.sum_up(Kind.REFUSED, f"1 request {why}", f"requests {why}", reason="max-apps")
            return False
        self._let_go(idle, "to make room")
        return True

    def _look_for_idle(self) -> None:
        now = self._loop.time()
        for key, tenant in list(self._tenants.items()):
            if tenant.busy:
                tenant.used = now
            elif now - tenant.used >= tenant.idle_seconds:
                self._let_go(key, f"after {tenant.idle_seconds:g} s without a request")
        self._looking = None
        if self._tenants:
            self._look_later()

    @property
    def _next_look(self) -> float:
        """The loop time of the next look for idle apps."""
        shortest = min(tenant.idle_seconds for tenant in self._tenants.values())
        return self._loop.time() + max(SHORTEST_LOOK, shortest / LOOKS)

    def _look_later(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = self._loop.call_at(self._next_look, self._look_for_idle)

    def _let_go(self, key: str, why: str) -> None:
        app = self._tenants.pop(key).app
        if isinstance(app, App):
            self._log.info("App %s goes, %s", key, why)
            self._ending[app] = self._tasks.begin(self._end(app, why))

    async def _end(self, app: App, why: str) -> None:
        try:
            await app.leave(self._loop.time() + self._ending_seconds, why)
            self.left_open += app.left_open
        finally:
            self._ending.pop(app, None)
