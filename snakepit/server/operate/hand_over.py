"""Requests for a hand-over to another process, which the manager of this process carries out."""

import asyncio
import logging

from snakepit.errors import SnakepitError
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import By, Kind
from snakepit.server.operate.managers import Manager

NO_SUPERVISOR = "only the supervisor can start another process, and this server has none"


class HandOver:
    """Requests to the manager of this process for another one, and their outcome. Called in the event loop.

    `successor` is the pid of the process that has taken over, once there is one.
    """

    def __init__(self, manager: Manager, log: logging.Logger, events: Events) -> None:
        self._events = events
        self.successor: int | None = None
        self._manager = manager
        self._log = log
        self._answer: asyncio.Future[int] | None = None
        self._under_way = False
        self._ended = False

    def ask(self, reason: str) -> bool:
        """Start a hand-over, unless one is under way. False: no manager can start a process, or this one stops."""
        return not self._ended and (self._under_way or self._begin(reason, "worn-out"))

    def _begin(self, reason: str, word: str) -> bool:
        if not self._manager.hand_over(reason):
            return False
        self._under_way = True
        self._log.info("A new server process is to take over: %s", reason)
        self._events.add(Kind.HAND_OVER, f"A new server process is to take over: {reason}", reason=word)
        return True

    async def upgrade(self) -> int:
        """Start a hand-over and wait for it; returns the new process's pid when it serves. Raises SnakepitError on
        failure.

        If it is called again meanwhile, a newer process is started, and earlier callers get its outcome.
        """
        if self._ended:
            raise SnakepitError("The server is stopping: nothing changes")
        if not self._begin("snakepit upgrade", By.COMMAND):
            raise SnakepitError(NO_SUPERVISOR)
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._answer)

    def retire(self, successor: int) -> None:
        """Note that another process serves now."""
        self.successor = successor
        if self._answer is not None:
            self._answer.set_result(successor)

    def failed(self, reason: str) -> None:
        """Note that no other process could take over."""
        self._under_way = False
        self._log.error("Not handed over to another process: %s", reason)
        self._events.add(Kind.NOT_HANDED_OVER, f"Not handed over to another process: {reason}")
        self._fail(reason)

    def end(self) -> None:
        """End all waiting, since the server stops."""
        self._ended = True
        if self.successor is None:
            self._fail("the server was stopped")

    def _fail(self, reason: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_exception(SnakepitError(reason))
