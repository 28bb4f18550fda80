"""Every option, declared once.

The command line, the environment variables, the keys of configuration files, `snakepit.run(**options)` and the table in
docs/reference/options.md are all derived from the fields of `Config`. Names and meanings are uvicorn's where the
behaviour is the same.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from snakepit.config import app_reference, apps, placeholders, variables
from snakepit.config.access_fields import check_access_fields
from snakepit.config.access_format import check_file, check_format
from snakepit.config.choices import (
    HttpOption,
    InterfaceOption,
    LifespanOption,
    LogFormat,
    LogLevel,
    LoopOption,
    OnChdirOption,
    WsOption,
    check_name,
)
from snakepit.config.extra_fields import check_fields
from snakepit.config.option import describe, option
from snakepit.config.route import Route, check_root_path
from snakepit.config.sources import SET_BY_ENV_FILES, ConfigFile, Found, gather, raise_all
from snakepit.config.static import StaticFiles, joined
from snakepit.config.tls import TlsOptions
from snakepit.config.trusted_proxies import PROXY_HEADERS, TrustedProxies, header_names
from snakepit.errors import ConfigError
from snakepit.lazy_imports.tried import EXIST as LAZY_IMPORTS_EXIST
from snakepit.system.cpus import usable_cpus
from snakepit.system.working_directory import absolute


@dataclass(frozen=True, slots=True)
class RoutedApp:
    """One of several apps of a server.

    Args:
        name: unique among them, for people and commands.
        route: which requests it gets.
        config: the server's options, with the app's own in place of those in `PER_APP`.
        shares_cpus: its number of workers is not given, but its share of the CPUs.
    """

    name: str
    route: Route
    config: "Config"
    shares_cpus: bool = False

    @property
    def reference(self) -> app_reference.AppReference:
        """Where the app is. Raises ConfigError."""
        return app_reference.find(self.config.app)

    def check(self) -> None:
        """Raise ConfigError if it can't be told where the app is, or for a placeholder that its route does not have."""
        config = self.config
        if config.app_dir and not os.path.isdir(placeholders.fixed_folder(config.app_dir)):
            raise ConfigError(f"app_dir: there is no folder {placeholders.fixed_folder(config.app_dir)}", ("app_dir",))
        file = config.env_file
        if file and not placeholders.names(file) and file not in SET_BY_ENV_FILES and not os.path.exists(file):
            raise ConfigError(f"env_file: there is no file {file}")
        if isinstance(config.app, str):
            app_reference.check(config.app)
            texts = (config.app, config.app_dir, config.venv, config.env_file or "")
            placeholders.check_known(texts, self.route.placeholders)
        else:
            app_reference.find(config.app)

    def same_app(self, other: "RoutedApp") -> bool:
        """Tell whether nothing that concerns the app differs, whatever its name, and the server's other options.

        Shares of the CPUs become smaller or larger as other apps come and go; that makes no other app of it.
        """
        if (self.route, self.config.app) != (other.route, other.config.app):
            return False
        names = apps.PER_APP - {"interpreters"} if self.shares_cpus and other.shares_cpus else apps.PER_APP
        return all(getattr(self.config, name) == getattr(other.config, name) for name in names)

    def filled(self, values: Mapping[str, str]) -> "RoutedApp | None":
        """Return the app that these values stand for in the place of placeholders; None if its folder does not exist.

        Raises ConfigError.
        """
        config, route = self.config, self.route.filled(values)
        app_dir = placeholders.find(config.app_dir, values)
        if app_dir is None or (placeholders.names(config.app_dir) and not os.path.isdir(app_dir)):
            return None
        filled: dict[str, Any] = {"app": placeholders.fill(config.app, values), "app_dir": app_dir}
        for name in ("venv", "env_file"):
            pattern = getattr(config, name)
            if pattern:
                filled[name] = placeholders.find(pattern, values)
                if filled[name] is None:
                    raise ConfigError(
                        f"{name}: there is no {placeholders.fill(pattern, values)}, or it leads elsewhere"
                    )
        filled["env"] = tuple(placeholders.fill(text, values) for text in config.env)
        return RoutedApp(str(route), route, replace(config, **filled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(TlsOptions):
    """The options of a server. Raises ConfigError for a wrong value.

    `app` is "module:attribute", or the app itself if workers can import it: defined at the top level of an importable
    module or of the script being run. With `apps`, these are served, and `app` counts only if it is among them.
    """

    app: Any = field(kw_only=False)

    loop: LoopOption = option(
        "auto", "Event loop of the main interpreter. auto: uvloop (on Windows winloop) where it is installed."
    )
    http: HttpOption = option("auto", "What parses requests. auto: httptools where it is installed.")
    ws: WsOption = option("auto", "What speaks WebSocket. auto: wsproto. none: handshakes are ordinary requests.")
    ws_max_size: int = option(
        16 * 2**20, "Bytes of a WebSocket message; more closes it with 1009.", least=1, metavar="BYTES"
    )
    ws_max_queue: int = option(
        32, "WebSocket messages that may wait for the app; then the socket is not read.", least=1, most=256
    )
    ws_ping_interval: float = option(
        20.0, "Seconds between pings to a WebSocket's client. 0: no pings.", least=0, metavar="SECONDS"
    )
    ws_ping_timeout: float = option(
        20.0, "Seconds for a sign of life after a ping; then the WebSocket is closed. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    ws_per_message_deflate: bool = option(True, "Compress WebSocket messages where the client can.")
    interface: InterfaceOption = option("auto", "What the app speaks. auto: found by looking at it.")
    factory: bool = option(False, "The attribute is a function that makes the app: call it.")
    app_dir: str = option(
        "", "Look for the app in this folder first.", metavar="DIR", shown="working directory", path=True
    )
    mount: tuple[str, ...] = option(
        (), "Serve one more app, at this path, on this host, or both: /api=api.main:app; may be given several times.",
        metavar="ROUTE=APP", separator=",", form=apps.check_mounts,
    )  # fmt: skip
    max_apps: int = option(
        128, "Apps of routes with placeholders that live at once; then the one that was idle for longest goes.", least=1
    )
    idle_timeout: float = option(
        1800.0, "Seconds without a request after which such an app goes, until its next request.",
        least=1, metavar="SECONDS",
    )  # fmt: skip
    strict_host: bool = option(
        False, "With several apps: answer requests for a host that none of them is for with 421 in place of 404."
    )
    venv: str = option(
        "",
        "Take the app's packages from this virtual environment, which must be one of the same Python version; not with "
        "--runtime thread.",
        metavar="DIR", shown="the packages of the server's Python", path=True,
    )  # fmt: skip
    env: tuple[str, ...] = option(
        (), "Set this variable in the app's os.environ; may be given several times. C code sees it with --runtime "
        "process only.",
        metavar="NAME=VALUE", separator="\n", table=True, form=variables.check,
    )  # fmt: skip
    on_chdir: OnChdirOption = option(
        "auto",
        "What os.chdir does in workers that are interpreters, which have one working directory in common. error: "
        "raises RuntimeError. warn: changes it for all, with a line in the log. allow: changes it for all. auto: error "
        "if the server has several apps, else warn.",
    )
    lifespan: LifespanOption = option("auto", "Run the app's lifespan. auto: if it has one.")
    reset_contextvars: bool = option(
        False, "ASGI only: run each request in a fresh contextvars.Context, without what lifespan or an import set."
    )
    root_path: str = option("", "Path under which a proxy publishes the app.", metavar="PATH", form=check_root_path)
    proxy_headers: bool = option(True, "Believe what trusted proxies say of a request's client, scheme, host and path.")
    forwarded_allow_ips: str = option(
        "127.0.0.1,::1,unix:",
        "Proxies to trust: IP addresses and networks, with commas between them; unix: is for Unix sockets, and * means "
        "every address.",
        metavar="LIST", variable="FORWARDED_ALLOW_IPS", commas=True, form=TrustedProxies,
    )  # fmt: skip
    proxy_protocol: bool = option(
        False,
        "Expect each connection to begin with the PROXY protocol, by which a trusted proxy says who the client is.",
    )
    trusted_proxy_headers: str = option(
        ",".join(PROXY_HEADERS),
        "Header fields to believe trusted proxies in, with commas between them: those that all of them set or remove.",
        metavar="LIST",
        commas=True,
        form=header_names,
    )
    static_path: tuple[str, ...] = option(
        (), "Serve the files in this folder, without a worker; may be given several times.", metavar="DIR", path=True
    )
    static_route: tuple[str, ...] = option(
        (), "Path in URLs for the files of a --static-path; the first is for the first, and so on.",
        metavar="PATH", shown="/static",
    )  # fmt: skip
    log_level: LogLevel = option("info", "The least severe messages to log.")
    log_config: str | None = option(
        None, "Logging configuration: a JSON file in logging.config's dictConfig format.", metavar="FILE", path=True
    )
    log_format: LogFormat = option(
        "auto", "What messages and requests are logged as: lines of text, or JSON objects, one a line. auto: text."
    )
    access_log: bool = option(True, "Log a line for each request.")
    access_log_format: str = option(
        "", "The line for each request, with atoms such as %(h)s, the client's address, and %(r)s, the request line.",
        metavar="FORMAT", shown="the default line", form=check_format,
    )  # fmt: skip
    access_log_file: str | None = option(
        None, "Log requests in this file, which SIGUSR1 reopens if it was moved.",
        metavar="FILE", shown="stdout", path=True, form=check_file,
    )  # fmt: skip
    access_log_fields: str = option(
        "", "The members of the JSON object for each request, such as time,method,path,status,total_ms,{user-agent}i.",
        metavar="FIELDS", shown="docs/how-to/logging.md has them", commas=True, form=check_access_fields,
    )  # fmt: skip
    access_log_sample: float = option(
        1.0, "The share of requests that are logged, from 0 to 1. Those with a status of 400 or more always are.",
        least=0, most=1, metavar="SHARE",
    )  # fmt: skip
    access_log_health: bool = option(False, "Log requests for health checks, metrics and the live page, too.")
    request_id: bool = option(
        False, "Give each request an ID, a trusted proxy's X-Request-ID or a new one, and send it back in that field."
    )
    server_timing: bool = option(
        False, "Tell the client how long its request waited and how long the app took, in the field Server-Timing."
    )
    use_colors: bool | None = option(
        None, "Colours in the logs, but for those that --log-config sets up.", shown="on a terminal, without NO_COLOR"
    )
    date_header: bool = option(True, "Send the Date header.")
    server_header: bool = option(True, "Send the Server header.")
    header: tuple[str, ...] = option(
        (), "Send this header field with each response, beside the app's own; may be given several times.",
        metavar="NAME:VALUE", separator="\n", form=check_fields,
    )  # fmt: skip
    timeout_keep_alive: float = option(
        5.0, "Seconds to keep an idle connection open for its next request. 0: not at all, and answers say so.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_request_head: float = option(
        20.0, "Seconds that a client may take to send a request's head.", least=0.1, metavar="SECONDS"
    )
    timeout_write: float = option(
        60.0, "Seconds that a client may take nothing of what was written for it; then it is cut. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_waiting: float = option(
        60.0, "Seconds that a request may wait for a free worker before it gets 503.", least=0, metavar="SECONDS"
    )
    timeout_startup: float = option(
        120.0, "Seconds that a worker may take to import the app and for lifespan start-up. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_request: float | None = option(
        None,
        "Seconds until the app begins its response; then the client gets 504, and what the app does is ended.",
        least=0.01, metavar="SECONDS", shown="no limit",
    )  # fmt: skip
    timeout_worker_healthcheck: float = option(
        60.0, "Seconds that a worker may not react for, an event loop included; then it is replaced. So is the server "
        "process, by its supervisor, after 5 at least. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_graceful_shutdown: float = option(
        30.0, "Seconds that requests in flight, and then lifespan shut-down, may take at the end.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    limit_concurrency: int | None = option(
        None, "Requests in flight or waiting; one more gets 503.", least=1, shown="no limit"
    )
    limit_worker_concurrency: int = option(10_000, "ASGI only: requests that one worker serves at once.", least=1)
    limit_max_requests: int | None = option(
        None, "Requests after which a worker is replaced by a new one.", least=1, shown="no limit"
    )
    limit_max_requests_jitter: int = option(
        0, "Up to so many requests more, at random, so that not all workers are replaced at once.", least=0
    )
    workers_lifetime: float | None = option(
        None, "Seconds after which a worker is replaced by a new one.", least=1, metavar="SECONDS", shown="no limit"
    )
    workers_max_rss: int | None = option(
        None,
        "MiB of memory in RAM past which a worker is replaced by a new one; with runtime interpreter, of the whole "
        "process.",
        least=1, metavar="MIB", shown="no limit",
    )  # fmt: skip
    limit_waiting: int = option(2048, "Requests that may wait for a free worker; one more gets 503.", least=0)
    limit_request_head: int = option(
        65_536, "Bytes of request line and header fields; more gets 431.", least=1024, metavar="BYTES"
    )
    limit_request_fields: int = option(100, "Header fields of a request; more get 431.", least=1)
    limit_request_body: int | None = option(
        None, "Bytes of a request's body; more get 413.", least=0, metavar="BYTES", shown="no limit"
    )
    buffer_request_body: int = option(
        1_048_576, "WSGI only: bytes of a request's body for which it waits before a thread gets it, so that slow "
        "clients hold no threads. 0: none.",
        least=0, metavar="BYTES",
    )  # fmt: skip
    buffer_request_body_on_disk: bool = option(
        False,
        "WSGI only: wait for more than that, too, and keep it in temporary files, in the folder that TMPDIR names.",
    )
    buffer_response: int = option(
        1_048_576, "WSGI only: bytes of an answer that are kept for a client that takes it slowly, so that it holds no "
        "thread. 0: none.",
        least=0, metavar="BYTES",
    )  # fmt: skip
    buffer_response_on_disk: bool = option(
        False, "WSGI only: keep more than that in temporary files, in the folder that TMPDIR names."
    )
    min_request_body_rate: int = option(
        240, "Bytes a second that a request's body has to come with, on average over 20 s in which nothing but its "
        "client is waited for; slower ones get 408. 0: no such limit.",
        least=0, metavar="BYTES",
    )  # fmt: skip
    limit_keep_alive_requests: int | None = option(
        None, "Requests on one connection; the last answer says that it is closed.", least=1, shown="no limit"
    )
    limit_connections: int | None = option(
        None, "Connections at once. One more takes the place of an idle one, or gets 503 and is closed.",
        least=1, shown="what the limit on open files leaves",
    )  # fmt: skip
    limit_connections_per_address: int | None = option(
        None, "Connections at once from one IP address, or one /64 of IPv6, but for trusted proxies and Unix sockets; "
        "one more gets 503 and is closed.",
        least=1, shown="no limit",
    )  # fmt: skip
    reload: bool = option(False, "Replace the workers whenever a file of the app changes.")
    reload_browser: bool = option(
        False, "Pages in browsers reload themselves when the new version answers; needs --reload."
    )
    reload_dir: tuple[str, ...] = option(
        (), "Watch this folder; may be given several times.", metavar="DIR", shown="app_dir", path=True
    )
    reload_include: tuple[str, ...] = option(
        ("*.py",), "Watch files with names like this; may be given several times.", metavar="PATTERN"
    )
    reload_exclude: tuple[str, ...] = option(
        (), "Do not watch files and folders with names like this; may be given several times.", metavar="PATTERN"
    )
    reload_delay: float = option(
        0.05, "Seconds without a further change until the workers are replaced.", least=0, metavar="SECONDS"
    )
    debug: bool = option(
        False,
        "For development only: answer with the traceback, source code and variables where the app raises an exception "
        "or can't be started.",
    )
    supervise: bool = option(
        True,
        "Serve in a child process, and start another one if it dies; only for the command, and not with --runtime "
        "thread.",
    )
    name: str | None = option(
        None, "Name by which the commands status, reload, scale, stop and upgrade find this server, from any folder.",
        metavar="NAME", form=check_name,
    )  # fmt: skip
    env_file: str | None = option(
        None, "Set environment variables from this file (KEY=value lines) first.", metavar="FILE", path=True
    )

    apps: tuple[RoutedApp, ...] = ()
    """The apps of a server with routes; empty: `app` is its only one, and gets all requests."""
    static: tuple[StaticFiles, ...] = ()
    """All routes with static files: those of `static_path` and `static_route`, and those given here."""

    workers_source: str = field(default="", init=False, compare=False)
    """Where the number of workers comes from, in words; empty: from the option."""

    def __post_init__(self) -> None:
        for each in OPTIONS:
            each.check(getattr(self, each.name))
        self._check_tls()
        self._check_listening()
        self._check_monitoring()
        if self.dashboard and self.proxy_protocol and not self.dashboard_token:
            raise ConfigError(
                "dashboard with proxy_protocol, by which clients are said to be anywhere, needs dashboard_token",
                ("dashboard", "proxy_protocol"),
            )
        if self.access_log_fields and (self.access_log_format or self.log_format != "json"):
            raise ConfigError(
                "access_log_fields needs log_format json, without access_log_format",
                ("access_log_fields", "access_log_format", "log_format"),
            )
        object.__setattr__(self, "root_path", self.root_path.rstrip("/"))
        # read again after the app may have changed the directory
        for name in ("app_dir", "log_config", "access_log_file", "venv"):
            path = getattr(self, name)
            if path:
                try:
                    object.__setattr__(self, name, absolute(path))
                except FileNotFoundError as error:
                    raise ConfigError(f"{name}: {error}") from None
        object.__setattr__(self, "static", joined(self.static, self.static_path, self.static_route))
        if self.reload_browser and not self.reload:
            raise ConfigError("reload_browser needs reload", ("reload_browser", "reload"))
        if self.interpreters == 0:
            cpus = usable_cpus()
            object.__setattr__(self, "interpreters", min(cpus.count, self.max_interpreters or cpus.count))
            object.__setattr__(self, "workers_source", cpus.source)
        elif self.max_interpreters is not None and self.max_interpreters < self.interpreters:
            raise ConfigError(
                f"max_interpreters is {self.max_interpreters}, below interpreters, {self.interpreters}",
                ("max_interpreters", "interpreters"),
            )
        if self.lazy_imports == "on" and not LAZY_IMPORTS_EXIST:
            raise ConfigError(
                "lazy_imports can't be on before Python 3.15; leave it out, or use a newer Python", ("lazy_imports",)
            )
        if self.venv and not placeholders.names(self.venv):
            from snakepit.config.virtual_environment import check  # most servers use none

            check(self.venv, self.runtime)
        if self.runtime == "thread":
            object.__setattr__(self, "interpreters", 1)
            object.__setattr__(self, "workers_source", "")
            for name in ("max_interpreters", "reload", "limit_max_requests", "workers_lifetime", "workers_max_rss"):
                if getattr(self, name):
                    raise ConfigError(
                        f"{name} can't be used with runtime thread, where modules are imported once", (name, "runtime")
                    )

    @property
    def routed(self) -> tuple[RoutedApp, ...]:
        """All apps. Raises ConfigError if it can't be told where the only one is."""
        return self.apps or (RoutedApp(str(app_reference.find(self.app)), Route(), self),)

    def with_apps(self, apps: Sequence[RoutedApp]) -> Self:
        """Return these options with other apps."""
        return replace(self, apps=tuple(apps))

    def with_workers(self, count: int) -> Self:
        """Return these options with so many workers for each app."""
        most = None if self.max_interpreters is None else max(self.max_interpreters, count)
        routed = tuple(replace(app, config=app.config.with_workers(count)) for app in self.apps)
        return replace(self, interpreters=count, max_interpreters=most, apps=routed)

    @classmethod
    def resolve(cls, app: Any, given: Mapping[str, Any], file: ConfigFile | None = None) -> Self:
        """Make a Config from the values `given`, then the environment (and `env_file`), then `file`, then the defaults.

        Variables that are obviously not meant for Snakepit (`why_ignored`) are ignored. Variables of the env file are
        set in this process before workers exist, so workers have them too; those that are set already keep their value.
        `app` None: the file names it. Raises ConfigError.
        """
        return cls.made_from(gather(OPTIONS, app, given, file))

    @classmethod
    def made_from(cls, found: Found) -> Self:
        """Make a Config from what was found in all sources. Raises ConfigError."""
        if not found.names_app:
            raise ConfigError(
                'APP is missing: name it, as in snakepit run main:app, or by app = "main:app" in snakepit.toml, which '
                "snakepit init writes"
            )
        for name in ("host", "port"):
            if "bind" in found.values and found.same_kind("bind", name):
                raise ConfigError(f"{name} and bind can't be used together: say it all with bind", (name, "bind"))
        try:
            config = cls(found.app, **found.values)
        except ConfigError as error:
            raise found.placed(error) from None
        object.__setattr__(config, "apps", cls._routed(config, found))
        source = found.sources.get("interpreters")
        given_elsewhere = source is not None and source.variable == "WEB_CONCURRENCY"
        if given_elsewhere and not config.workers_source and config.runtime != "thread":
            object.__setattr__(config, "workers_source", "from WEB_CONCURRENCY")
        return config

    @classmethod
    def _routed(cls, server: Self, found: Found) -> tuple[RoutedApp, ...]:
        """Return the apps, each with the server's options and its own. Raises ConfigError, with all mistakes at once.

        Usable CPUs are divided among the apps, unless a number of workers is given; those of routes with placeholders
        have one worker then.
        """
        wanted, mistakes = apps.find(found)
        of_server = {option.name: getattr(server, option.name) for option in OPTIONS if option.name != "mount"}
        of_server["interpreters"] = found.values.get("interpreters", 0)
        share = max(1, usable_cpus().count // max(1, sum(not each.route.placeholders for each in wanted)))
        made: list[RoutedApp] = []
        for each in wanted:
            values = {**of_server, **each.values}
            shares = not values["interpreters"]
            values["interpreters"] = values["interpreters"] or (1 if each.route.placeholders else share)
            try:
                made.append(RoutedApp(each.name, each.route, cls(each.app, **values), shares))
                made[-1].check()
            except ConfigError as error:
                mistakes.append(f"{error} (app {each.name}, {each.source})")
        if sum(each.config.runtime == "thread" for each in made) > 1:
            mistakes.append("only one app can have runtime thread: there is one main interpreter")
        raise_all(mistakes)
        return tuple(made)


OPTIONS = describe(Config)
"""Every option, in the order of `Config`'s fields."""
