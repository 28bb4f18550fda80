"""One process takes over from another: asked for here, carried out by whoever manages this process."""

import asyncio
import logging

from snakepit.errors import SnakepitError
from snakepit.server.operate.managers import Manager

NO_SUPERVISOR = "only the supervisor can start another process, and this server has none"


class HandOver:
    """Asks whoever manages this process for another one, and tells what became of that. Called in the event loop.

    `successor` is the process that serves now, once there is one.
    """

    def __init__(self, manager: Manager, log: logging.Logger) -> None:
        self.successor: int | None = None
        self._manager = manager
        self._log = log
        self._answer: asyncio.Future[int] | None = None
        self._under_way = False
        self._ended = False

    def ask(self, reason: str) -> bool:
        """Have another process take over, unless one is about to. False: nobody can start one, or this one stops."""
        return not self._ended and (self._under_way or self._begin(reason))

    def _begin(self, reason: str) -> bool:
        if not self._manager.hand_over(reason):
            return False
        self._under_way = True
        self._log.info("A new server process is to take over: %s", reason)
        return True

    async def upgrade(self) -> int:
        """Have another process take over; returns its number when it serves. Raises SnakepitError if none does.

        Asked for again meanwhile, a newer one is started; who waits for the other gets its outcome.
        """
        if self._ended:
            raise SnakepitError("The server is stopping: nothing changes")
        if not self._begin("snakepit upgrade"):
            raise SnakepitError(NO_SUPERVISOR)
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._answer)

    def retire(self, successor: int) -> None:
        """Another process serves now."""
        self.successor = successor
        if self._answer is not None:
            self._answer.set_result(successor)

    def failed(self, reason: str) -> None:
        """No other process could take over."""
        self._under_way = False
        self._log.error("Not handed over to another process: %s", reason)
        self._fail(reason)

    def end(self) -> None:
        """The server stops; whoever waits is told."""
        self._ended = True
        if self.successor is None:
            self._fail("the server was stopped")

    def _fail(self, reason: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_exception(SnakepitError(reason))
