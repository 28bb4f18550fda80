"""Options for where the server listens, and whose process it is then."""

from dataclasses import dataclass, replace

from snakepit.config.bind import Bind, check_binds, mode_form, read_bind
from snakepit.config.monitoring import MonitoringOptions
from snakepit.config.option import option
from snakepit.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions(MonitoringOptions):
    """The options for listening."""

    host: str | None = option(
        None, "Address or host name to listen on.", metavar="HOST", shown="127.0.0.1; with --domain all addresses"
    )
    port: int | None = option(
        None, "Port to listen on. 0 picks a free one and prints it.", least=0, most=65535,
        shown="8000; with --domain 443",
    )  # fmt: skip
    uds: str | None = option(None, "Listen on this Unix socket instead.", metavar="PATH", path=True)
    fd: int | None = option(None, "Listen on the socket with this file descriptor instead.", least=0)
    backlog: int = option(2048, "Connections that the kernel holds until they are accepted.", least=1, most=65_535)
    bind: tuple[str, ...] = option(
        (), "Listen here, in place of --host and --port: HOST:PORT, [ADDRESS]:PORT, unix:PATH or fd:NUMBER; with ,tls "
        "behind it, only there is HTTPS spoken. May be given several times.",
        short="-b", metavar="ADDRESS", separator=" ", form=check_binds,
    )  # fmt: skip
    uds_mode: str = option(
        "", "Rights of Unix sockets, as octal digits.", metavar="MODE", shown="666", form=mode_form("uds_mode")
    )
    uds_group: str | None = option(None, "Group of Unix sockets.", metavar="GROUP")
    reuse_port: bool = option(
        False, "Listen although other servers listen on the same port, if they do the same; the system divides "
        "connections among them.",
    )  # fmt: skip
    user: str | None = option(
        None, "Run as this user, once the sockets are bound and the certificates read; for servers that root starts.",
        metavar="USER",
    )  # fmt: skip
    group: str | None = option(None, "Run as this group.", metavar="GROUP", shown="the user's")
    umask: str = option(
        "",
        "Rights that new files do not get, as octal digits.",
        metavar="MODE",
        shown="as it is",
        form=mode_form("umask"),
    )

    def _check_listening(self) -> None:
        """Raise ConfigError for options that contradict each other."""
        if self.uds is not None and self.fd is not None:
            raise ConfigError("uds and fd can't be used together", ("uds", "fd"))
        for name in ("uds", "fd"):
            if self.bind and getattr(self, name) is not None:
                raise ConfigError(f"{name} and bind can't be used together", (name, "bind"))
        if any(bind.tls for bind in self.binds) and not self.speaks_tls:
            raise ConfigError("bind says tls, which needs a certificate: ssl_certfile or domain", ("bind",))

    @property
    def speaks_tls(self) -> bool:
        """Whether there is a certificate."""
        return False

    @property
    def binds(self) -> tuple[Bind, ...]:
        """All places to listen. Where there is a certificate and none of them says "tls", it is spoken at all."""
        if self.bind:
            found = tuple(map(read_bind, self.bind))
        elif self.fd is not None:
            found = (Bind(fd=self.fd),)
        elif self.uds is not None:
            found = (Bind(path=self.uds),)
        else:
            found = (Bind(self.host or "", self.port or 0),)
        if self.speaks_tls and not any(bind.tls for bind in found):
            found = tuple(replace(bind, tls=True) for bind in found)
        return found
