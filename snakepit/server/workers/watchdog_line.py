"""What is said to a worker's watchdog, and heard from it; see `snakepit.worker.hangs.watchdog`."""

import asyncio
from collections.abc import Callable
from typing import Any

from snakepit.errors import InternalError
from snakepit.server.exchanges.exchange import Exchange
from snakepit.stacks.stack import Sampled, Stack, unpacked
from snakepit.wire import envelopes
from snakepit.wire.envelopes import ALL, Envelope
from snakepit.wire.loop_carrier import Channel
from snakepit.wire.loop_ends import MainEnd

STACK_SECONDS = 5.0
"""Seconds that a worker's watchdog gets to tell where a start is, or all that runs. On a machine that has too much to
do it needs more than one; C code that keeps the GIL lets it say nothing at all."""


class WatchdogLine:
    """The line to a worker's watchdog. `asked_at`: when it was asked for a heartbeat, if nothing was heard since.

    Args:
        take: called with whatever the watchdog sends.
    """

    def __init__(
        self,
        channel: Channel,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[list[Envelope]], None],
    ) -> None:
        self.end = MainEnd(channel.main_carrier(), loop, take, self._rang)
        self.end.one_by_one()
        self.asked_at: float | None = None
        self._loop = loop
        self._timed_out: dict[int, Exchange] = {}  # which it is to end
        self._questions = 0
        self._profiles: dict[int, asyncio.Future[Sampled]] = {}  # by question
        self._stacks: dict[int, asyncio.Future[tuple[list[Stack], int]]] = {}  # by question
        self._stack: asyncio.Future[str] = loop.create_future()  # where the worker's start is
        self._is_over = False

    def ask_heartbeat(self, now: float) -> None:
        """Ask for a heartbeat, unless one is due; `now` as by `time.monotonic`."""
        if self.asked_at is None:
            self.asked_at = now
            self.end.post(envelopes.ask_heartbeat())

    def end_exchange(self, exchange: Exchange) -> None:
        """Have it end what is being done for an exchange, which has timed out."""
        self._timed_out[exchange.number] = exchange
        self.end.post(envelopes.timed_out(exchange.number))

    def release(self, upto: int = ALL) -> None:
        """Have it send what the worker's loop answered in this turn, and decline what the loop has not begun.

        Or what a WSGI app's threads keep; they keep no answers of exchanges up to this number any more.
        """
        self.end.post(envelopes.release(upto))

    def reopen_logs(self) -> None:
        """Have it open log files anew that were moved away."""
        self.end.post(envelopes.reopen_logs())

    def ask_metrics(self) -> None:
        """Ask for the metrics that the app keeps."""
        self.end.post(envelopes.ask_metrics())

    def hung_up(self) -> None:
        """The worker has ended, and its last words were heard: who waits for an answer gets none."""
        self._is_over = True
        answers: list[asyncio.Future[Any]] = [self._stack, *self._profiles.values(), *self._stacks.values()]
        for answer in answers:
            answer.cancel()

    async def wait_stack(self) -> str:
        """Return where the worker's start is, for people; empty if it does not say so in time."""
        self._stack = self._loop.create_future()
        return await self._wait(envelopes.ask_stack(), self._stack, STACK_SECONDS) or ""

    async def wait_stacks(self) -> tuple[list[Stack], int] | None:
        """Return the stacks of the worker's threads and tasks, and how many more there are; None if it does not answer.

        Then C code keeps its GIL, or it has ended.
        """
        return await self._wait_answer(self._stacks, envelopes.ask_stacks, STACK_SECONDS)

    def on_stacks(self, envelope: Envelope) -> None:
        """A STACKS came."""
        _, _, question, stacks, left_out = envelope
        _set(self._stacks.get(question), (unpacked(stacks), left_out))

    async def wait_profile(self, seconds: float) -> Sampled | None:
        """Return what the worker's threads did in the next seconds, or until `end_profile`; None: it does not say."""

        def ask(question: int) -> Envelope:
            return envelopes.ask_profile(question, seconds)

        return await self._wait_answer(self._profiles, ask, seconds + STACK_SECONDS)

    def end_profile(self) -> None:
        """Have it send what was sampled until now."""
        if self._profiles and not self._is_over:
            self.end.post(envelopes.ask_profile(0, 0.0))

    def on_profile(self, envelope: Envelope) -> None:
        """A PROFILE came."""
        _, _, question, calls, samples = envelope
        _set(self._profiles.get(question), (calls, samples))

    def on_stack(self, envelope: Envelope) -> None:
        """A STACK came."""
        _, _, text = envelope
        _set(self._stack, text)

    def on_interrupted(self, envelope: Envelope) -> None:
        """An INTERRUPTED came."""
        _, number, where, aside = envelope
        exchange = self._timed_out.pop(number, None)
        if exchange is None:
            raise InternalError(f"a watchdog ended exchange {number}, which had not timed out")
        exchange.interrupted(where, aside)

    def _rang(self) -> None:
        self.asked_at = None

    async def _wait_answer[T](
        self, answers: dict[int, asyncio.Future[T]], ask: Callable[[int], Envelope], seconds: float
    ) -> T | None:
        """Ask with a question's number, by which the answer is found in `answers`, and wait for it as `_wait` does."""
        self._questions += 1
        question = self._questions
        answer: asyncio.Future[T] = self._loop.create_future()
        answers[question] = answer
        try:
            return await self._wait(ask(question), answer, seconds)
        finally:
            del answers[question]

    async def _wait[T](self, asked: Envelope, answer: asyncio.Future[T], seconds: float) -> T | None:
        """Ask, and wait so long for the answer; None: it did not come, or will not come any more."""
        if self._is_over:
            return None
        self.end.post(asked)
        await asyncio.wait([answer], timeout=seconds)
        return answer.result() if answer.done() and not answer.cancelled() else None


def _set[T](answer: asyncio.Future[T] | None, value: T) -> None:
    """Answer who still waits."""
    if answer is not None and not answer.done():
        answer.set_result(value)
