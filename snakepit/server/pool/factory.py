"""Makes workers, from the options of their pool."""

import asyncio
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING

from snakepit.errors import ConfigError
from snakepit.server.pool.options import PoolOptions
from snakepit.server.workers.runtimes import RUNTIMES
from snakepit.server.workers.worker import Owner, WorkerHandle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snakepit.wire.settings import AppSettings


class WorkerFactory:
    """A factory of workers that differ only in their numbers and in the version of the app that they import.

    `owner` is told what happens to them.
    """

    def __init__(self, options: PoolOptions, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._owner = owner
        self._loop = loop
        self._generations: dict[int, Iterator[int]] = defaultdict(lambda: count(1))  # by number

    def make(self, number: int, version: int) -> WorkerHandle:
        """Make a worker, without starting it. Raises ConfigError if the system is out of files."""
        options = self._options
        seats = 1 if options.interface == "asgi" else options.threads
        if options.working_directory is not None:
            options.working_directory.enter_anew()
        try:
            runtime = RUNTIMES[options.runtime](seats)
            settings: AppSettings = {**options.settings, "page_script": self.page_script(version)}
            return WorkerHandle(
                number, settings, runtime, self._owner, self._loop, options.app, next(self._generations[number])
            )
        except OSError as error:
            raise ConfigError(
                f"no channel for worker {number}: {error.strerror}; use fewer interpreters or threads, or raise the "
                "limit on open files (ulimit -n)"
            ) from None

    def page_script(self, version: int) -> str:
        """Return the address of the script for pages of this version; empty: there is none."""
        address = self._options.settings["page_script"]
        return f"{address}{version}" if address else ""
