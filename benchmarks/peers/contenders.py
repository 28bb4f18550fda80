"""The servers that are compared, and how each is started."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.certificate import CERTIFICATE, KEY

ROOT = Path(__file__).parents[2]  # the folder of the project, where the apps are found
SNAKEPIT = "snakepit"  # as it is by default
RIVALS = ("uvicorn", "granian", "gunicorn")  # the best of these, case by case, is what Snakepit is held against


class Start(NamedTuple):
    """What a server is to be started with.

    `bin`: the folder of its environment's programs. `files`: a folder that it is to send under /static by itself, if it
    can; empty: there is none. `tls`: a folder with a certificate and its key; empty: it speaks plain HTTP.
    """

    bin: Path
    app: str
    interface: str
    port: int
    workers: int
    files: str = ""
    tls: str = ""

    def certificate(self, certificate: str, key: str) -> list[str]:
        """Return the options for TLS, which have these names; none without it."""
        if not self.tls:
            return []
        return [certificate, f"{self.tls}/{CERTIFICATE}", key, f"{self.tls}/{KEY}"]


type Command = Callable[[Start], list[str]]  # the first is the path of the program


def _snakepit(*options: str) -> Command:
    def command(start: Start) -> list[str]:
        base = [str(start.bin / "snakepit"), "run", start.app, "-n", str(start.workers), "--port", str(start.port)]
        base += ["--no-access-log", "--interface", start.interface, "--log-level", "warning", *options]
        base += start.certificate("--ssl-certfile", "--ssl-keyfile")
        return [*base, "--static-path", start.files] if start.files else base

    return command


def _uvicorn(*options: str) -> Command:
    def command(start: Start) -> list[str]:
        base = [str(start.bin / "uvicorn"), start.app, "--workers", str(start.workers), "--port", str(start.port)]
        base += start.certificate("--ssl-certfile", "--ssl-keyfile")
        return [*base, "--no-access-log", "--log-level", "warning", *options]

    return command


def _granian(start: Start) -> list[str]:
    base = [str(start.bin / "granian"), start.app, "--interface", start.interface, "--workers", str(start.workers)]
    base += ["--port", str(start.port), "--no-access-log", "--log-level", "warning"]
    base += start.certificate("--ssl-certificate", "--ssl-keyfile")
    return [*base, "--static-path-mount", start.files] if start.files else base


def _hypercorn(start: Start) -> list[str]:
    base = [str(start.bin / "hypercorn"), start.app, "-w", str(start.workers), "-b", f"127.0.0.1:{start.port}"]
    base += start.certificate("--certfile", "--keyfile")
    return [*base, "-k", "uvloop", "--log-level", "warning"]


def _gunicorn(*options: str) -> Command:
    def command(start: Start) -> list[str]:
        base = [str(start.bin / "gunicorn"), start.app, "-w", str(start.workers), "-b", f"127.0.0.1:{start.port}"]
        kind = ["-k", "asgi"] if start.interface == "asgi" else ["-k", "gthread", "--threads", "8"]
        base += start.certificate("--certfile", "--keyfile")
        return [*base, "--log-level", "warning", *kind, *options]

    return command


def _pounce(mode: str) -> Command:
    """Make the command for a mode: `auto` means processes on a Python with a GIL.

    Compression is off, because no other contender compresses.
    """

    def command(start: Start) -> list[str]:
        base = [str(start.bin / "pounce"), "serve", "--app", start.app, "--workers", str(start.workers)]
        quiet = ["--no-access-log", "--log-level", "warning", "--signage", "off", "--shutdown-timeout", "1"]
        return [*base, "--port", str(start.port), "--worker-mode", mode, "--no-compression", *quiet]

    return command


def _waitress(start: Start) -> list[str]:
    return [str(start.bin / "waitress-serve"), "--threads", "8", "--listen", f"127.0.0.1:{start.port}", start.app]


def _caddysnake(start: Start) -> list[str]:
    # without --python-path its workers run on whichever python comes first in PATH
    base = [str(start.bin / "caddysnake"), "-t", start.interface, "-a", start.app, "-w", str(start.workers)]
    where = ["--working-dir", str(ROOT), "--python-path", str(start.bin / "python")]
    return [*base, "-l", f"127.0.0.1:{start.port}", *where]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, how it is started, which interfaces it serves, and the kinds of cases that tell it apart.

    `one_process`: its workers are threads of one process, so that CPU time by thread means something. `extra`: it takes
    part only where the command line asks for it.
    """

    name: str
    command: Command
    interfaces: tuple[str, ...] = ("asgi", "wsgi")
    kinds: tuple[str, ...] = ("http", "idle", "websocket")
    one_process: bool = False
    extra: bool = False

    @property
    def family(self) -> str:
        """Name of the server, without the options after the comma."""
        return self.name.split(",")[0]

    def is_called(self, names: list[str]) -> bool:
        """Return whether one of these is its name, its family or `all`."""
        return not {self.name, self.family, "all"}.isdisjoint(names)

    def takes_part(self, interface: str, kind: str, only: list[str]) -> bool:
        """Return whether it is measured in such a case; `only` are the names on the command line, if any."""
        wanted = self.is_called(only) if only else not self.extra
        return wanted and interface in self.interfaces and kind in self.kinds

    def is_in(self, folder: Path) -> bool:
        """Return whether its program is in this folder of an environment."""
        return Path(self.command(Start(folder, "", "asgi", 0, 1))[0]).exists()


_ASGI, _NO_WEBSOCKET, _WEBSOCKET = ("asgi",), ("http", "idle"), ("websocket",)
_ALSO_FILES = ("http", "idle", "websocket", "files", "tls")
CONTENDERS = [
    Contender(SNAKEPIT, _snakepit(), kinds=_ALSO_FILES, one_process=True),
    Contender("snakepit, h11 + asyncio", _snakepit("--http", "h11", "--loop", "asyncio"), one_process=True, extra=True),
    Contender("uvicorn", _uvicorn(), _ASGI, (*_NO_WEBSOCKET, "files", "tls")),
    Contender(
        "uvicorn, h11 + asyncio", _uvicorn("--http", "h11", "--loop", "asyncio"), _ASGI, _NO_WEBSOCKET, extra=True
    ),
    Contender("uvicorn, websockets", _uvicorn("--ws", "websockets"), _ASGI, _WEBSOCKET, extra=True),
    Contender("uvicorn, websockets-sansio", _uvicorn("--ws", "websockets-sansio"), _ASGI, _WEBSOCKET),
    Contender("uvicorn, wsproto", _uvicorn("--ws", "wsproto"), _ASGI, _WEBSOCKET, extra=True),
    Contender("granian", _granian, kinds=_ALSO_FILES),
    Contender("hypercorn", _hypercorn, _ASGI, ("http", "idle", "websocket", "tls"), extra=True),
    Contender("gunicorn", _gunicorn(), kinds=("http", "idle", "websocket", "tls")),
    Contender("gunicorn, preloaded", _gunicorn("--preload"), kinds=("idle",)),
    Contender("pounce, processes", _pounce("auto"), _ASGI),
    Contender("pounce, subinterpreters", _pounce("subinterpreter"), _ASGI, one_process=True),
    Contender("waitress, one process", _waitress, ("wsgi",), one_process=True, extra=True),
    Contender("caddysnake", _caddysnake, extra=True),
]
