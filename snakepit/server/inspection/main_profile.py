"""Samples what the threads of the main interpreter do: the event loop's, and whatever else runs there."""

import asyncio
import threading
from time import monotonic

from snakepit.errors import SnakepitError
from snakepit.stacks.stack import Sampled
from snakepit.system.import_order import StandardLibraryFirst


class MainProfile:
    """A thread that samples the others of the main interpreter, until `end`.

    Args:
        seconds: how long, at most.
        with_apps: whether apps run in other interpreters, or in none. Otherwise what an app does is left out: the
            worker tells it.
    """

    def __init__(self, seconds: float, with_apps: bool, loop: asyncio.AbstractEventLoop) -> None:
        with StandardLibraryFirst():
            from snakepit.stacks.sampler import Sampler  # and with it ctypes
        self._sampler = Sampler()
        self._seconds = seconds
        self._with_apps = with_apps
        self._over = threading.Event()
        self._loop = loop
        self._told: asyncio.Future[Sampled] = loop.create_future()

    async def wait_told(self) -> Sampled:
        """Start, and return what was sampled. Raises SnakepitError if the system has no thread for it."""
        thread = threading.Thread(target=self._run, name="snakepit-profile", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._sampler.close()
            raise SnakepitError(f"the main interpreter can't be sampled: {error}") from None
        try:
            return await self._told
        finally:
            self.end()

    def end(self) -> None:
        """Sample no more."""
        self._over.set()

    def _run(self) -> None:
        sampler, end = self._sampler, monotonic() + self._seconds
        try:
            while not self._over.is_set() and monotonic() < end:
                sampler.sample()
                self._over.wait(sampler.PAUSE)
            self._tell(sampler.told_of_main(self._with_apps))
        except Exception as error:  # or the command would wait for ever
            self._tell(error)
        finally:
            sampler.close()

    def _tell(self, told: Sampled | Exception) -> None:
        try:
            self._loop.call_soon_threadsafe(self._set, told)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    def _set(self, told: Sampled | Exception) -> None:
        if self._told.done():
            return
        if isinstance(told, Exception):
            self._told.set_exception(told)
        else:
            self._told.set_result(told)
