"""The servers that are compared, and how each is started."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the folder of the project, where the apps are found
_BIN = Path(sys.executable).parent

type Command = Callable[[str, str, int, int], list[str]]  # app, interface, port, workers


def _snakepit(*options: str) -> Command:
    def command(app: str, interface: str, port: int, workers: int) -> list[str]:
        base = [str(_BIN / "snakepit"), "run", app, "-n", str(workers), "--port", str(port), "--no-access-log"]
        return [*base, "--interface", interface, "--log-level", "warning", *options]

    return command


def _uvicorn(*options: str) -> Command:
    def command(app: str, interface: str, port: int, workers: int) -> list[str]:
        base = [str(_BIN / "uvicorn"), app, "--workers", str(workers), "--port", str(port), "--no-access-log"]
        return [*base, "--log-level", "warning", *options]

    return command


def _granian(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(_BIN / "granian"), app, "--interface", interface, "--workers", str(workers), "--port", str(port)]
    return [*base, "--no-access-log", "--log-level", "warning"]


def _hypercorn(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(_BIN / "hypercorn"), app, "-w", str(workers), "-b", f"127.0.0.1:{port}", "-k", "uvloop"]
    return [*base, "--log-level", "warning"]


def _gunicorn(*options: str) -> Command:
    def command(app: str, interface: str, port: int, workers: int) -> list[str]:
        base = [str(_BIN / "gunicorn"), app, "-w", str(workers), "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
        kind = ["-k", "asgi"] if interface == "asgi" else ["-k", "gthread", "--threads", "8"]
        return [*base, *kind, *options]

    return command


def _waitress(app: str, interface: str, port: int, workers: int) -> list[str]:
    return [str(_BIN / "waitress-serve"), "--threads", "8", "--listen", f"127.0.0.1:{port}", app]


def _caddysnake(app: str, interface: str, port: int, workers: int) -> list[str]:
    # without --python-path its workers run on whichever python comes first in PATH
    base = [str(_BIN / "caddysnake"), "-t", interface, "-a", app, "-l", f"127.0.0.1:{port}", "-w", str(workers)]
    return [*base, "--working-dir", str(ROOT), "--python-path", sys.executable]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, how it is started, which interfaces it serves, and the kinds of cases that tell it apart."""

    name: str
    command: Command
    interfaces: tuple[str, ...] = ("asgi", "wsgi")
    kinds: tuple[str, ...] = ("http", "idle", "websocket")

    def is_called(self, names: list[str]) -> bool:
        """Whether one of these is its name, or the part of it before a comma."""
        return self.name in names or self.name.split(",")[0] in names


CONTENDERS = [
    Contender("snakepit", _snakepit()),
    Contender("snakepit, h11 + asyncio", _snakepit("--http", "h11", "--loop", "asyncio")),
    Contender("uvicorn", _uvicorn(), ("asgi",), ("http", "idle")),
    Contender("uvicorn, h11 + asyncio", _uvicorn("--http", "h11", "--loop", "asyncio"), ("asgi",), ("http", "idle")),
    Contender("uvicorn, websockets", _uvicorn("--ws", "websockets"), ("asgi",), ("websocket",)),
    Contender("uvicorn, websockets-sansio", _uvicorn("--ws", "websockets-sansio"), ("asgi",), ("websocket",)),
    Contender("uvicorn, wsproto", _uvicorn("--ws", "wsproto"), ("asgi",), ("websocket",)),
    Contender("granian", _granian),
    Contender("hypercorn", _hypercorn, ("asgi",)),
    Contender("gunicorn", _gunicorn()),
    Contender("gunicorn, preloaded", _gunicorn("--preload"), kinds=("idle",)),
    Contender("waitress, one process", _waitress, ("wsgi",)),
    Contender("caddysnake", _caddysnake),
]
