"""The servers that are tried: Snakepit with each of its parsers and loops, and the peers of `make bench`."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from benchmarks.peers.contenders import CONTENDERS, Command, Contender, Start
from benchmarks.peers.pythons import Python
from benchmarks.peers.running import Exchange, Running
from conformance.app import UP
from conformance.case import Case
from conformance.cases import cases_for
from conformance.wire import Outcome, wait_outcome

AT_ONCE = 8
"""Connections at a time: servers have threads for so many."""

PUBLIC = ("--forwarded-allow-ips", "")
"""Options of Snakepit that make it trust nobody."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A server with one kind of app."""

    label: str
    interface: str
    contender: str
    options: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is Snakepit."""
        return self.contender == "snakepit"

    def outcomes(self, python: Python, names: Iterable[str], patience: float) -> dict[str, Outcome]:
        """Start it, and try the cases with these names."""
        chosen = set(names)
        cases = [case for case in cases_for(self.interface) if case.name in chosen]
        options = (*self.options, *(PUBLIC if self.is_own else ()))
        base = next(each for each in CONTENDERS if each.name == self.contender)
        contender = Contender(base.name, partial(_with_options, base.command, options), base.interfaces)
        exchange = Exchange("/up", UP)
        server = Running(contender, python, f"conformance.app:{self.interface}", self.interface, exchange, 1)
        try:
            return asyncio.run(wait_outcomes(server.port, cases, patience))
        finally:
            server.stop()


def _with_options(command: Command, options: tuple[str, ...], start: Start) -> list[str]:
    return [*command(start), *options]


async def wait_outcomes(port: int, cases: Iterable[Case], patience: float) -> dict[str, Outcome]:
    """Try cases, some at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def wait(case: Case) -> tuple[str, Outcome]:
        async with room:
            return case.name, await wait_outcome(port, case.stream, patience, case.is_head)

    return dict(await asyncio.gather(*map(wait, cases)))


TRIED = (
    Tried("snakepit", "asgi", "snakepit"),
    Tried("snakepit, h11 + asyncio", "asgi", "snakepit", ("--http", "h11", "--loop", "asyncio")),
    Tried("snakepit, WSGI", "wsgi", "snakepit"),
    Tried("uvicorn", "asgi", "uvicorn"),
    Tried("uvicorn, h11", "asgi", "uvicorn, h11 + asyncio"),
    Tried("granian", "asgi", "granian"),
    Tried("granian, WSGI", "wsgi", "granian"),
    Tried("hypercorn", "asgi", "hypercorn"),
    Tried("gunicorn, ASGI", "asgi", "gunicorn"),
    Tried("gunicorn", "wsgi", "gunicorn"),
    Tried("waitress", "wsgi", "waitress, one process"),
)
