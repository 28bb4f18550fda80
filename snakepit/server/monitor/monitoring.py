"""What a server answers about itself: health checks and metrics, as far as the options ask for them.

The counts of its requests are made here, too, for whatever shows them.
"""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

from snakepit.errors import ConfigError
from snakepit.server.monitor.counters import Counters
from snakepit.server.monitor.loop_lag import LoopLag
from snakepit.server.monitor.readiness import AppReadiness
from snakepit.server.responders.health import HealthChecks
from snakepit.server.responders.metrics import MetricsPage
from snakepit.server.responders.refusal import Refusal
from snakepit.server.routing.responders_first import RespondersFirst
from snakepit.server.routing.router import Router
from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.config.options import Config
    from snakepit.server.apps.table import Apps
    from snakepit.server.net.http1 import HttpConnections
    from snakepit.server.responders.responder import Responder
    from snakepit.server.routing.router import Finder
    from snakepit.tls.certificates import Certificates


class Monitoring:
    """The responders for health checks and metrics. Raises ConfigError if what writes metrics is not installed.

    `health` are those for every socket; `for_metrics` finds who answers on the socket that is for metrics alone, if
    there is one.

    Args:
        http: the connections of the server, whose exchanges are counted.
        restarts: how often the supervisor had to start another process.
        certificates: those that are shown now; None: TLS is not spoken.
    """

    def __init__(
        self,
        config: "Config",
        apps: "Apps",
        http: "HttpConnections",
        restarts: int,
        certificates: "Certificates | None",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.health: tuple[Responder, ...] = ()
        if config.livez_path or config.readyz_path:
            readiness = AppReadiness(apps, lambda: http.connections.stopping, loop)
            checks = HealthChecks(config.livez_path, config.readyz_path, readiness)
            checks.is_logged = config.access_log_health
            self.health = (checks,)
        self._logs_health = config.access_log_health
        self._lag: LoopLag | None = None
        self._before_apps = self.health
        self.for_metrics: Finder | None = None
        self.counters: Counters | None = None
        """The counts of requests, if metrics or the live page are to show them."""
        if config.metrics_path:
            self._lag = LoopLag(loop)
            counters, page = _metrics(config, apps, http, self._lag, restarts, certificates, loop)
            page.is_logged = config.access_log_health
            self._count(counters, http, (*self.health, page))
            if config.metrics_socket is None:
                self._before_apps = (*self.health, page)
            else:
                self.for_metrics = Router(Refusal(404, "Nothing is served at this address"), (page, *self.health))

        elif config.dashboard:
            self._count(Counters(apps), http, self.health)

    def _count(self, counters: Counters, http: "HttpConnections", uncounted: "Iterable[Responder]") -> None:
        self.counters = counters
        for responder in uncounted:
            counters.leave_out(responder)
        http.watch_exchanges(counters, busyness=counters)

    def add(self, responder: "Responder") -> None:
        """Have one more responder before the apps, whose answers do not count, nor are logged unless asked for."""
        responder.is_logged = self._logs_health
        self._before_apps = (responder, *self._before_apps)
        if self.counters is not None:
            self.counters.leave_out(responder)

    def first(self, rest: "Finder") -> "Finder":
        """Return a router that finds these responders first, if there are any for the sockets of apps."""
        return RespondersFirst(self._before_apps, rest) if self._before_apps else rest

    def start(self) -> None:
        """Begin to measure what is measured continually."""
        if self._lag is not None:
            self._lag.start()

    def close(self) -> None:
        """Stop measuring."""
        if self._lag is not None:
            self._lag.close()


def _metrics(
    config: "Config",
    apps: "Apps",
    http: "HttpConnections",
    lag: LoopLag,
    restarts: int,
    certificates: "Certificates | None",
    loop: asyncio.AbstractEventLoop,
) -> tuple[Counters, MetricsPage]:
    if find_spec("prometheus_client") is None:
        raise ConfigError(
            "metrics needs prometheus-client, which is not installed: pip install 'snakepit-server[metrics]'"
        )
    with StandardLibraryFirst():
        from snakepit.server.monitor.app_metrics import AppMetrics  # most servers have none
        from snakepit.server.monitor.collector import ServerCollector, writer

    of_apps = AppMetrics(apps, bool(config.apps), loop)
    counters = Counters(apps, seen=of_apps.keep)
    collector = ServerCollector(apps, counters, http.connections, lag, restarts, certificates, of_apps)
    return counters, MetricsPage(config.metrics_path, writer(collector), of_apps.gather)
