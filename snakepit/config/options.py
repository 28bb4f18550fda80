"""Every option, declared once.

The command line, the environment variables, `snakepit.run(**options)` and the table in docs/reference/options.md are
all derived from the fields of `Config`. Names and meanings are uvicorn's where the behaviour is the same.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeAliasType, Union, get_args, get_origin, get_type_hints

from snakepit.config.extra_fields import parse_field
from snakepit.config.trusted_proxies import PROXY_HEADERS, TrustedProxies, header_names
from snakepit.errors import ConfigError
from snakepit.system.cpus import usable_cpus
from snakepit.system.working_directory import absolute

ENV_PREFIX = "SNAKEPIT_"

TRACE = 5
"""The number of the log level "trace": below DEBUG, as uvicorn has it."""

LOG_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

type LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
type InterfaceOption = Literal["auto", "asgi", "wsgi"]
type LoopOption = Literal["auto", "asyncio", "uvloop"]
type HttpOption = Literal["auto", "h11", "httptools"]
type ExtensionsOption = Literal["vetted", "native", "all"]
type RuntimeOption = Literal["interpreter", "process", "thread"]
type WsOption = Literal["auto", "wsproto", "none"]
type LifespanOption = Literal["auto", "on", "off"]


def _option[T](
    default: T,
    help: str,
    *,
    short: str | None = None,
    alias: str | None = None,
    alias_short: str | None = None,
    variable: str | None = None,
    separator: str = os.pathsep,
    metavar: str | None = None,
    least: float | None = None,
    most: float | None = None,
    shown: str | None = None,
) -> T:
    metadata = {
        "help": help,
        "short": short,
        "alias": alias,
        "alias_short": alias_short,
        "variable": variable,
        "separator": separator,
        "metavar": metavar,
        "least": least,
        "most": most,
        "shown": shown,
    }
    made: T = field(default=default, metadata=metadata)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a server is to do. Raises ConfigError for a value that can't be.

    `app` is "module:attribute", or the app itself where workers can import it: defined at the top level of an
    importable module or of the script being run.
    """

    app: Any = field(kw_only=False)

    interpreters: int = _option(
        0, "Workers. 0: as many as there are usable CPUs, by affinity mask and CPU quota. WEB_CONCURRENCY counts where "
        "nothing else says how many.",
        short="-n", alias="workers", alias_short="-w", variable="WEB_CONCURRENCY", least=0, most=1024,
        shown="usable CPUs",
    )  # fmt: skip
    runtime: RuntimeOption = _option(
        "interpreter",
        "What a worker runs in. interpreter: one with a GIL of its own. process: a child process, for C extensions "
        "that refuse interpreters, and so that a crash takes only one worker. thread: the main interpreter, for "
        "debuggers; one worker, whatever --interpreters says.",
    )
    threads: int = _option(
        8, "WSGI only: threads in each worker, so requests that one worker serves at once.", least=1, most=1024
    )
    extensions: ExtensionsOption = _option(
        "vetted",
        "C extensions that refuse to run in several interpreters get a private copy in each. vetted: those of packages "
        "tested that way. native: none. all: every one, at your own risk.",
    )
    host: str = _option("127.0.0.1", "Address or host name to listen on.", metavar="HOST")
    port: int = _option(8000, "Port to listen on. 0 picks a free one and prints it.", least=0, most=65535)
    uds: str | None = _option(None, "Listen on this Unix socket instead.", metavar="PATH")
    fd: int | None = _option(None, "Listen on the socket with this file descriptor instead.", least=0)
    backlog: int = _option(2048, "Connections that the kernel holds until they are accepted.", least=1, most=65_535)
    loop: LoopOption = _option(
        "auto", "Event loop of the main interpreter. auto: uvloop (on Windows winloop) where it is installed."
    )
    http: HttpOption = _option("auto", "What parses requests. auto: httptools where it is installed.")
    ws: WsOption = _option("auto", "What speaks WebSocket. auto: wsproto. none: handshakes are ordinary requests.")
    ws_max_size: int = _option(
        16 * 2**20, "Bytes of a WebSocket message; more closes it with 1009.", least=1, metavar="BYTES"
    )
    ws_max_queue: int = _option(
        32, "WebSocket messages that may wait for the app; then the socket is not read.", least=1, most=256
    )
    ws_ping_interval: float = _option(
        20.0, "Seconds between pings to a WebSocket's client. 0: no pings.", least=0, metavar="SECONDS"
    )
    ws_ping_timeout: float = _option(
        20.0, "Seconds for a sign of life after a ping; then the WebSocket is closed. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    ws_per_message_deflate: bool = _option(True, "Compress WebSocket messages where the client can.")
    interface: InterfaceOption = _option("auto", "What the app speaks. auto: found by looking at it.")
    factory: bool = _option(False, "The attribute is a function that makes the app: call it.")
    app_dir: str = _option("", "Look for the app in this folder first.", metavar="DIR", shown="working directory")
    lifespan: LifespanOption = _option("auto", "Run the app's lifespan. auto: if it has one.")
    reset_contextvars: bool = _option(
        False, "ASGI only: run each request in a fresh contextvars.Context, without what lifespan or an import set."
    )
    root_path: str = _option("", "Path under which a proxy publishes the app.", metavar="PATH")
    proxy_headers: bool = _option(
        True, "Believe what trusted proxies say of a request's client, scheme, host and path."
    )
    forwarded_allow_ips: str = _option(
        "127.0.0.1,::1,unix:",
        "Proxies to trust: IP addresses and networks, with commas between them; unix: is for Unix sockets, and * means "
        "everybody.",
        metavar="LIST", variable="FORWARDED_ALLOW_IPS",
    )  # fmt: skip
    trusted_proxy_headers: str = _option(
        ",".join(PROXY_HEADERS),
        "Header fields to believe trusted proxies in, with commas between them: those that all of them set or remove.",
        metavar="LIST",
    )
    log_level: LogLevel = _option("info", "The least severe messages to log.")
    log_config: str | None = _option(
        None, "Logging configuration: a JSON file in logging.config's dictConfig format.", metavar="FILE"
    )
    access_log: bool = _option(True, "Log a line for each request.")
    use_colors: bool | None = _option(
        None, "Colours in the logs, but for those that --log-config sets up.", shown="on a terminal, without NO_COLOR"
    )
    date_header: bool = _option(True, "Send the Date header.")
    server_header: bool = _option(True, "Send the Server header.")
    header: tuple[str, ...] = _option(
        (), "Send this header field with each response, beside the app's own; may be given several times.",
        metavar="NAME:VALUE", separator="\n",
    )  # fmt: skip
    timeout_keep_alive: float = _option(
        5.0, "Seconds to keep an idle connection open for its next request. 0: not at all, and answers say so.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_request_head: float = _option(
        20.0, "Seconds that a client may take to send a request's head.", least=0.1, metavar="SECONDS"
    )
    timeout_waiting: float = _option(
        60.0, "Seconds that a request may wait for a free worker before it gets 503.", least=0, metavar="SECONDS"
    )
    timeout_startup: float = _option(
        120.0, "Seconds that a worker may take to import the app and for lifespan start-up. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_request: float | None = _option(
        None,
        "Seconds until the app begins its response; then the client gets 504, and what the app does is ended.",
        least=0.01, metavar="SECONDS", shown="no limit",
    )  # fmt: skip
    timeout_worker_healthcheck: float = _option(
        60.0, "Seconds that a worker may not react for, an event loop included; then it is replaced. So is the server "
        "process, by its supervisor, after 5 at least. 0: no such limit.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    timeout_graceful_shutdown: float = _option(
        30.0, "Seconds that requests in flight, and then lifespan shut-down, may take at the end.",
        least=0, metavar="SECONDS",
    )  # fmt: skip
    limit_concurrency: int | None = _option(
        None, "Requests in flight or waiting; one more gets 503.", least=1, shown="no limit"
    )
    limit_worker_concurrency: int = _option(10_000, "ASGI only: requests that one worker serves at once.", least=1)
    limit_max_requests: int | None = _option(
        None, "Requests after which a worker is replaced by a new one.", least=1, shown="no limit"
    )
    limit_max_requests_jitter: int = _option(
        0, "Up to so many requests more, at random, so that not all workers are replaced at once.", least=0
    )
    workers_lifetime: float | None = _option(
        None, "Seconds after which a worker is replaced by a new one.", least=1, metavar="SECONDS", shown="no limit"
    )
    workers_max_rss: int | None = _option(
        None,
        "MiB of memory in RAM past which a worker is replaced by a new one; with runtime interpreter, of the whole "
        "process.",
        least=1, metavar="MIB", shown="no limit",
    )  # fmt: skip
    limit_waiting: int = _option(2048, "Requests that may wait for a free worker; one more gets 503.", least=0)
    limit_request_head: int = _option(
        65_536, "Bytes of request line and header fields; more gets 431.", least=1024, metavar="BYTES"
    )
    limit_request_fields: int = _option(100, "Header fields of a request; more get 431.", least=1)
    limit_request_body: int | None = _option(
        None, "Bytes of a request's body; more get 413.", least=0, metavar="BYTES", shown="no limit"
    )
    reload: bool = _option(False, "Replace the workers whenever a file of the app changes.")
    reload_browser: bool = _option(
        False, "Pages in browsers reload themselves when the new version answers; needs --reload."
    )
    reload_dir: tuple[str, ...] = _option(
        (), "Watch this folder; may be given several times.", metavar="DIR", shown="app_dir"
    )
    reload_include: tuple[str, ...] = _option(
        ("*.py",), "Watch files with names like this; may be given several times.", metavar="PATTERN"
    )
    reload_exclude: tuple[str, ...] = _option(
        (), "Do not watch files and folders with names like this; may be given several times.", metavar="PATTERN"
    )
    reload_delay: float = _option(
        0.05, "Seconds without a further change until the workers are replaced.", least=0, metavar="SECONDS"
    )
    supervise: bool = _option(
        True,
        "Serve in a child process, and start another one if it dies; only for the command, and not with --runtime "
        "thread.",
    )
    name: str | None = _option(
        None, "Name by which the commands status, reload, scale, stop and upgrade find this server, from any folder.",
        metavar="NAME",
    )  # fmt: skip
    env_file: str | None = _option(
        None, "Set environment variables from this file (KEY=value lines) first.", metavar="FILE"
    )

    workers_source: str = field(default="", init=False, compare=False)
    """Where the number of workers comes from, in words; empty: from the option."""

    def __post_init__(self) -> None:
        for option in OPTIONS:
            option.check(getattr(self, option.name))
        if self.uds is not None and self.fd is not None:
            raise ConfigError("uds and fd can't be used together")
        if self.name is not None:
            check_name(self.name)
        if self.root_path and not self.root_path.startswith("/"):
            raise ConfigError(f"root_path must start with a slash, not be {self.root_path!r}")
        object.__setattr__(self, "root_path", self.root_path.rstrip("/"))
        TrustedProxies(self.forwarded_allow_ips)  # raises ConfigError, and so does the next
        header_names(self.trusted_proxy_headers)
        for name in ("app_dir", "log_config"):  # read again and again, wherever the app has gone
            path = getattr(self, name)
            if path:
                try:
                    object.__setattr__(self, name, absolute(path))
                except FileNotFoundError as error:
                    raise ConfigError(f"{name}: {error}") from None
        for text in self.header:
            parse_field(text)
        if self.reload_browser and not self.reload:
            raise ConfigError("reload_browser needs reload")
        if self.interpreters == 0:
            cpus = usable_cpus()
            object.__setattr__(self, "interpreters", cpus.count)
            object.__setattr__(self, "workers_source", cpus.source)
        if self.runtime == "thread":
            object.__setattr__(self, "interpreters", 1)
            object.__setattr__(self, "workers_source", "")
            for name in ("reload", "limit_max_requests", "workers_lifetime", "workers_max_rss"):
                if getattr(self, name):
                    raise ConfigError(f"{name} can't be used with runtime thread, where modules are imported once")

    @classmethod
    def resolve(cls, app: Any, given: Mapping[str, Any]) -> Self:
        """Make a Config of what was `given`, then of the environment (and `env_file`), then of the defaults.

        Variables that can't be meant (`why_ignored`) count for nothing. Variables of the env file are set in this
        process before workers exist, and so are theirs too; those that are set already keep their value. Raises
        ConfigError.
        """
        known = {option.name: option for option in OPTIONS}
        given = _without_aliases(given)
        for name in given:
            if name not in known:
                from snakepit.config import foreign_options

                answers = "\n".join(foreign_options.about_keyword(name))
                raise ConfigError(f"there is no option {name!r}{answers and f'; {answers}'}")
        env_file = given.get("env_file", (_variable_of(known["env_file"]) or ("", None))[1])
        if env_file is not None:
            known["env_file"].check(env_file)
            load_env_file(env_file)
        values, read = dict(given), {}
        for name, option in known.items():
            found = _variable_of(option)
            if name not in values and found is not None:
                read[name], text = found
                values[name] = option.parse(text, read[name])
        config = cls(app, **values)
        if read.get("interpreters") == "WEB_CONCURRENCY" and not config.workers_source and config.runtime != "thread":
            object.__setattr__(config, "workers_source", "from WEB_CONCURRENCY")
        return config


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as everything derived from `Config` sees it."""

    name: str
    kind: type
    optional: bool
    several: bool
    choices: tuple[str, ...]
    default: Any
    help: str
    short: str | None
    alias: str | None
    """Another name for it, from another server."""
    alias_short: str | None
    variable: str | None
    """An environment variable of other servers' that sets it where nothing else does."""
    separator: str
    """What stands between several values in an environment variable."""
    metavar: str | None
    least: float | None
    most: float | None
    shown: str | None
    """A variable of other servers that sets it, too, unless `env` does."""

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All its names on the command line, but for the one that turns it off."""
        alias = None if self.alias is None else "--" + self.alias.replace("_", "-")
        return tuple(flag for flag in (self.flag, self.short, alias, self.alias_short) if flag is not None)

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """All environment variables that set it; the first that is there counts."""
        alias = None if self.alias is None else ENV_PREFIX + self.alias.upper()
        return tuple(variable for variable in (self.env, alias, self.variable) if variable is not None)

    @property
    def default_text(self) -> str | None:
        """Its default, for people; None if there is nothing to say."""
        if self.shown is not None:
            return self.shown
        if self.kind is bool:
            return "on" if self.default else "off"
        if self.several:
            return " ".join(self.default) or None
        return None if self.default in (None, "") else f"{self.default:g}" if self.kind is float else str(self.default)

    def parse(self, text: str, variable: str | None = None) -> Any:
        """Read a value from an environment variable, of this name if it is not `env`. Raises ConfigError."""
        try:
            if self.several:
                return tuple(part for part in text.split(self.separator) if part)
            return _PARSERS[self.kind](text)
        except ValueError:
            raise ConfigError(f"{variable or self.env} must be {_KIND_NAMES[self.kind]}, not {text!r}") from None

    def check(self, value: Any) -> None:
        """Raise ConfigError unless the value can be."""
        if value is None and self.optional:
            return
        if self.several:
            if not (isinstance(value, tuple | list) and all(isinstance(item, str) for item in value)):
                raise ConfigError(f"{self.name} must be a list of texts, not {value!r}")
            return
        right = isinstance(value, self.kind) or (self.kind is float and isinstance(value, int))
        if not right or (self.kind is not bool and isinstance(value, bool)):
            raise ConfigError(f"{self.name} must be {_KIND_NAMES[self.kind]}, not {value!r}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}")
        if self.least is not None and not value >= self.least:
            raise ConfigError(f"{self.name} must be at least {self.least:g}, not {value!r}")
        if self.most is not None and not value <= self.most:
            raise ConfigError(f"{self.name} must be at most {self.most:g}, not {value!r}")


def _variable_of(option: Option) -> tuple[str, str] | None:
    """The environment variable that sets an option, and what it says; None: there is none."""
    for variable in option.variables:
        text = os.environ.get(variable)
        if text is not None and not (variable.startswith(ENV_PREFIX) and why_ignored(text)):
            return variable, text
    return None


def why_ignored(text: str) -> str:
    """Why the value of an environment variable is not taken for an option's; empty if it is."""
    if not text:
        return "it is empty"
    if _OF_KUBERNETES.match(text):
        return (
            f"{text!r} is what Kubernetes sets for a service named snakepit; enableServiceLinks: false in the pod's "
            "specification turns that off"
        )
    return ""


_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://")  # SNAKEPIT_PORT=tcp://10.0.0.1:8000, as Docker's links had it


def ignored_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that has an option's name, and is ignored."""
    ours = (name for option in OPTIONS for name in option.variables if name.startswith(ENV_PREFIX))
    found = [(name, why_ignored(environ[name])) for name in ours if name in environ]
    return [f"The environment variable {name} is ignored: {reason}" for name, reason in found if reason]


def check_name(name: str) -> None:
    """Raise ConfigError for what can't be a server's name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name must be of letters, digits, '-', '_' and '.', 64 at most, not {name!r}")


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def load_env_file(path: str) -> None:
    """Set what a file of KEY=value lines says, but for what is set already. Raises ConfigError."""
    from dotenv import dotenv_values

    try:
        with Path(path).open(encoding="utf-8") as lines:
            values = dotenv_values(stream=lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"env file {path!r} can't be read: {_reason(error)}") from None
    for key, value in values.items():
        if value is None:
            raise ConfigError(f"env file {path!r}: {key!r} has no value; write {key}=...")
        os.environ.setdefault(key, value)


def _without_aliases(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the options' own names. Raises ConfigError where one is given by both of its names."""
    names = {option.alias: option.name for option in OPTIONS if option.alias is not None}
    for alias, name in names.items():
        if alias in given and name in given:
            raise ConfigError(f"{alias} is another name for {name}: give one of them")
    return {names.get(name, name): value for name, value in given.items()}


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _parse_bool(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


_PARSERS: dict[type, Callable[[str], Any]] = {int: int, float: float, bool: _parse_bool, str: str}
_KIND_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _describe() -> tuple[Option, ...]:
    hints = get_type_hints(Config)
    described = []
    for item in fields(Config):
        if item.default is MISSING or not item.init:
            continue  # the app, and what is found out
        hint = hints[item.name]
        if isinstance(hint, TypeAliasType):
            hint = hint.__value__
        members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kind = next(member for member in members if member is not NoneType)
        several = get_origin(kind) is tuple
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        described.append(
            Option(
                name=item.name,
                kind=str if choices or several else kind,
                optional=NoneType in members,
                several=several,
                choices=choices,
                default=item.default,
                **item.metadata,
            )
        )
    return tuple(described)


OPTIONS = _describe()
"""Every option, in the order of `Config`'s fields."""
