"""Options for what watches the server: health checks, metrics and the live page."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from snakepit.config.bind import Bind, read_bind
from snakepit.config.option import option
from snakepit.config.workers import WorkerOptions
from snakepit.errors import ConfigError

LIVEZ, READYZ, METRICS = "/livez", "/readyz", "/metrics"
"""The usual paths: those of Kubernetes' own servers, and Prometheus'."""

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
"""A path without escapes (RFC 3986 section 3.3)."""


def _path_form(name: str) -> Callable[[str], None]:
    """Return a check of the option with this name: it raises ConfigError for what is no path."""

    def check(text: str) -> None:
        if text and not _PATH.fullmatch(text):
            raise ConfigError(f"{name} must be a path, such as /{name}, without escapes and query, not {text!r}")

    return check


LEAST_TOKEN = 16
"""Characters of a token: of the letters and digits that `secrets.token_urlsafe` makes, nobody guesses that many."""


def _check_token(text: str) -> None:
    if text and len(text) < LEAST_TOKEN:
        raise ConfigError(
            f"dashboard_token must have at least {LEAST_TOKEN} characters; "
            'python -c "import secrets; print(secrets.token_urlsafe())" makes one'
        )


def _check_bind(text: str) -> None:
    if not text:
        return
    try:
        bind = read_bind(text)
    except ConfigError:
        bind = Bind()
    if not bind.is_tcp or not bind.port or bind.tls:
        raise ConfigError(f"metrics_bind must be HOST:PORT or [ADDRESS]:PORT, with a port above 0, not {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringOptions(WorkerOptions):
    """The options for health checks, metrics and the live page."""

    health: bool = option(
        False,
        f"Answer health checks, without a worker: {LIVEZ} says that the server runs, {READYZ} whether each app has a "
        "worker that reacts.",
    )
    livez: str = option(
        "", "Path at which to say that the server runs.", metavar="PATH", shown=f"{LIVEZ} with --health",
        form=_path_form("livez"),
    )  # fmt: skip
    readyz: str = option(
        "", "Path at which to say whether each app has a worker that reacts.", metavar="PATH",
        shown=f"{READYZ} with --health", form=_path_form("readyz"),
    )  # fmt: skip
    metrics: str = option(
        "", "Path at which to answer with metrics of the server, for Prometheus; needs the extra metrics.",
        metavar="PATH", shown=f"none; {METRICS} with --metrics-bind", form=_path_form("metrics"),
    )  # fmt: skip
    metrics_bind: str = option(
        "", "Listen on this address, too, for requests for metrics; then clients of the app can't get them.",
        metavar="HOST:PORT", form=_check_bind,
    )  # fmt: skip
    dashboard: bool = option(
        False,
        "Serve a live page of the server's state at /_snakepit/: to clients on this machine, or with "
        "--dashboard-token to whoever has that.",
    )
    dashboard_token: str = option(
        "", "What clients of the live page must know, wherever they are; safer in the environment variable, which is "
        "not seen in the list of processes.",
        metavar="TOKEN", secret=True, shown="none: only clients on this machine", form=_check_token,
    )  # fmt: skip

    otel: bool = option(
        False, "Send a span for each request to where OpenTelemetry's variables OTEL_... say; needs the extra otel."
    )

    def _check_monitoring(self) -> None:
        """Raise ConfigError for options that contradict each other."""
        paths = {name: path for name in ("livez", "readyz", "metrics") if (path := getattr(self, f"{name}_path"))}
        for name, path in paths.items():
            for other in paths:
                if other != name and paths[other] == path:
                    raise ConfigError(f"{name} and {other} can't both be {path}", (name, other))

    @property
    def livez_path(self) -> str:
        """The path of the health check of the server; empty: there is none."""
        return self.livez or (LIVEZ if self.health else "")

    @property
    def readyz_path(self) -> str:
        """The path of the health check of the apps; empty: there is none."""
        return self.readyz or (READYZ if self.health else "")

    @property
    def metrics_path(self) -> str:
        """The path of the metrics, on the app's sockets or on that of `metrics_bind`; empty: there is none."""
        return self.metrics or (METRICS if self.metrics_bind else "")

    @property
    def metrics_socket(self) -> Bind | None:
        """Where to listen for requests for metrics alone."""
        return read_bind(self.metrics_bind) if self.metrics_bind else None
