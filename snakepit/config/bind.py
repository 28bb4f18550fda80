"""Where a server listens: `--bind`, or `--host`, `--port`, `--uds` and `--fd`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from snakepit.errors import ConfigError

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\[\]:/,]*):([0-9]{1,5})")
_MODE = re.compile(r"(0|0o)?[0-7]{3}")


@dataclass(frozen=True, slots=True)
class Bind:
    """One place to listen: a host and a port, a Unix socket, or a socket that this process was started with.

    Args:
        host: a name or an address, without brackets; empty: all addresses of this machine.
        path: of a Unix socket.
        fd: its descriptor.
        tls: whether clients have to speak TLS there.
    """

    host: str = ""
    port: int = 0
    path: str | None = None
    fd: int | None = None
    tls: bool = False

    @property
    def is_tcp(self) -> bool:
        """Whether it is a host and a port."""
        return self.path is None and self.fd is None


def read_bind(text: str) -> Bind:
    """Read HOST:PORT, [ADDRESS]:PORT, unix:PATH or fd:NUMBER, with ",tls" behind it or not. Raises ConfigError."""
    place, comma, flag = text.partition(",")
    if comma and flag != "tls":
        raise ConfigError(f'bind: behind the comma there may only be "tls", not {flag!r}')
    bind = _read_place(place)
    if bind is None:
        raise ConfigError(
            f"bind must be HOST:PORT, [ADDRESS]:PORT, unix:PATH or fd:NUMBER, with ,tls behind it or not; not {text!r}"
        )
    return replace(bind, tls=bool(comma))


def _read_place(place: str) -> Bind | None:
    kind, _, rest = place.partition(":")
    rest = rest.removeprefix("//")  # as gunicorn has it
    if kind == "unix":
        return Bind(path=rest) if rest else None
    if kind == "fd":
        return Bind(fd=int(rest)) if rest.isdecimal() else None
    found = _HOST_AND_PORT.fullmatch(place)
    if found is None or int(found[2]) > 65_535:
        return None
    return Bind(found[1].strip("[]"), int(found[2]))


def check_binds(texts: Sequence[str]) -> None:
    """Raise ConfigError for a wrong value of `bind`."""
    found = [read_bind(text) for text in texts]
    for number, bind in enumerate(found):
        if bind.port and any((bind.host, bind.port) == (other.host, other.port) for other in found[:number]):
            raise ConfigError(f"bind: {texts[number]} is there twice")
        for wide, other in enumerate(found):
            if bind.port and other.port == bind.port and includes(other.host, bind.host):
                raise ConfigError(f"bind: {texts[number]} is one of the addresses of {texts[wide]}; leave it out")


def includes(wide: str, host: str) -> bool:
    """Tell whether a host stands for many addresses of this machine, and another for some of them: only one of the two
    can have a port. Names are not resolved."""
    if wide == host:
        return False
    try:
        version = ip_address(host.partition("%")[0]).version
    except ValueError:  # a name
        return wide == ""
    return wide == "" or (wide, version) in (("0.0.0.0", 4), ("::", 6))


def mode_form(name: str) -> Callable[[str], None]:
    """Return a check of an option with this name: it raises ConfigError for what is no file mode in octal digits."""

    def check(text: str) -> None:
        if text and not _MODE.fullmatch(text):
            raise ConfigError(f"{name} must be three octal digits, such as 660, not {text!r}")

    return check


def mode_of(text: str) -> int:
    """Return a mode that was checked."""
    return int(text.replace("o", ""), 8)
