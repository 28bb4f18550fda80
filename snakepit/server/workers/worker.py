"""One worker, from the main interpreter's side: its state, its channels, and the exchanges that it has.

A subinterpreter can't be killed. A worker in one that does not end when it is told to is abandoned: its thread is left
to itself, and the process has to end without waiting for it.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from snakepit.errors import InternalError, fault
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import WORKER, WorkerState, advance
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.runtime_thread import RuntimeThread
from snakepit.server.workers.runtimes import Runtime
from snakepit.server.workers.seats import Seats
from snakepit.server.workers.watchdog_line import WatchdogLine
from snakepit.system.memory import resident_memory
from snakepit.wire import envelopes
from snakepit.wire.envelopes import KIND, Envelope
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.settings import AppSettings

LOOP_SILENCE = 0.002
"""Seconds that a worker's loop may be silent until what waits for it is given to others."""

TURNS = 3
"""Turns of this loop after which everything has been heard that workers had rung before."""

_log = logging.getLogger("snakepit.server")

_TELL: dict[int, Callable[..., None]] = {  # by kind: what takes its fields. No kind of exchange overrides these
    envelopes.RESPONSE: Exchange.respond,
    envelopes.BODY: Exchange.respond_body,
    envelopes.CREDIT: Exchange.add_credit,
    envelopes.CONTINUE: Exchange.send_continue,
}


class Owner(Protocol):
    """What a worker tells its pool."""

    def worker_loaded(self, worker: "WorkerHandle") -> None:
        """The app was imported."""

    def worker_ready(self, worker: "WorkerHandle") -> None:
        """Exchanges may come."""

    def worker_failed(self, worker: "WorkerHandle") -> None:
        """It could not start; `failure` says why."""

    def worker_free(self, worker: "WorkerHandle") -> None:
        """It is through with an exchange."""

    def worker_declined(self, worker: "WorkerHandle", exchange: Exchange) -> None:
        """It did not begin with an exchange and will not."""

    def worker_heard(self, worker: "WorkerHandle") -> None:
        """Its loop turns."""

    def worker_missed(self, worker: "WorkerHandle", seconds: float) -> None:
        """It has rung so long ago, and was not heard: a bug."""

    def worker_pace(self, worker: "WorkerHandle", seconds: float) -> None:
        """What an exchange takes there of CPU time, lately and on average."""

    def worker_ended(self, worker: "WorkerHandle") -> None:
        """Its thread has ended."""


class WorkerHandle:
    """Starts, ends and asks a worker, gives it exchanges, and hears what it says.

    Args:
        number: its name in the log, from 1.
        settings: what all workers of the app are told.
        runtime: what it is to run in; its seats say how many exchanges a WSGI app gets at once.
    """

    def __init__(
        self,
        number: int,
        settings: AppSettings,
        runtime: Runtime,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.number = number
        self.state = WorkerState.STARTING
        self.report = WorkerReport()
        self.failure = ("", "")  # kind and fault, as in envelopes.failed; or "config": it could not even be started
        self.memory_at_end: int | None = None  # bytes resident in the process before its runtime was closed
        self.exchanges: dict[int, Exchange] = {}
        self.served = 0  # exchanges that it is through with
        self.began = monotonic()
        self.closing_since: float | None = None  # loop time; the app has ended, and its interpreter is being closed
        self.ended = asyncio.Event()
        self.closing = asyncio.Event()
        self.stuck = False  # its loop was found in a long computation, and has not turned since
        self.blocked_by = 0  # the exchange for which that is, if it has been told
        self._owner = owner
        self._loop = loop
        self._runtime = runtime
        self._settings = settings
        self._ends = [
            MainEnd(channel.main_carrier(), loop, self._take, self._rung) for channel in runtime.channels[:-1]
        ]
        self.watchdog = WatchdogLine(runtime.channels[-1], loop, self._take)
        self._listening = [*self._ends, self.watchdog.end]
        self._thread = RuntimeThread(
            runtime,
            loop,
            self._listening,
            self._leaves_threads,
            self._on_closing,
            self._thread_ended,
        )
        self._asked_loop: float | None = None  # when it was asked for a heartbeat, if it was not heard since
        self._unheard = 0.0, 0.0  # after the first no ring of its loop was heard, from before the second none will be
        self._seats: Seats | None = None  # of a WSGI app
        self._name = f"worker {number}"
        self._handlers: dict[int, Callable[[Envelope], None]] = {
            envelopes.ANSWER: self._on_answer,
            envelopes.DONE: self._on_done,
            envelopes.DECLINED: self._on_declined,
            **dict.fromkeys((*_TELL, envelopes.ACCEPT, envelopes.MESSAGE, envelopes.CLOSE), self._tell_exchange),
            envelopes.BLOCKED_BY: self._on_blocked_by,
            envelopes.INTERRUPTED: self.watchdog.on_interrupted,
            envelopes.HEARTBEAT: self._on_heartbeat,
            envelopes.CPU_PER_REQUEST: self._on_cpu_per_request,
            envelopes.LOADED: self._on_loaded,
            envelopes.READY: self._on_ready,
            envelopes.STACK: self.watchdog.on_stack,
            envelopes.FAILED: self._on_failed,
            envelopes.LIFESPAN_FAILED: self._on_lifespan_failed,
            envelopes.GOODBYE: self.report.said_farewell,
        }

    def __repr__(self) -> str:
        return self._name

    @property
    def process(self) -> int | None:
        """The process that is its alone, while there is one."""
        return self._runtime.process

    @property
    def memory(self) -> int | None:
        """Bytes of memory that it has in RAM; None unless it has a process of its own."""
        process = self.process
        return None if process is None else resident_memory(process)

    @property
    def capacity(self) -> int:
        """Exchanges at once, where each takes a thread."""
        return len(self._ends)

    async def start(self) -> None:
        """Start the thread that owns the runtime. What keeps it from starting ends the worker."""
        self.began = monotonic()
        try:
            for end in self._listening:
                await end.open()
            self._thread.start(self.number, self._settings)
        except Exception as error:  # or the worker would be starting for ever
            self._runtime.close(False)
            self._thread_ended("lost", fault(error), None)

    def drop(self) -> None:
        """End it, which was never started."""
        self._runtime.close(False)
        for end in self._listening:
            end.close()
        self.to(WorkerState.RETIRING)
        self.to(WorkerState.CLOSED)
        self.ended.set()
        self.closing.set()

    def assign(self, exchange: Exchange) -> None:
        """Give it an exchange."""
        number, seats = exchange.number, self._seats
        self.exchanges[number] = exchange
        exchange.assigned_to(self._ends[0] if seats is None else seats.take(number, exchange.whole), self._name)

    def has(self, exchange: Exchange) -> bool:
        """Whether an exchange is still going on here."""
        return self.exchanges.get(exchange.number) is exchange

    def is_blocked_by_another(self, exchange: Exchange) -> bool:
        """Whether its loop is known to be in a long computation for another exchange."""
        return self.blocked_by not in (0, exchange.number)

    def give_up_exchanges(self) -> dict[int, Exchange]:
        """Forget all exchanges; returns those that it had, by number."""
        exchanges, self.exchanges = self.exchanges, {}
        return exchanges

    @property
    def watched(self) -> bool:
        """Whether something waits for it, so that `take_back_late` may find something."""
        if self._seats is not None:
            return self._seats.followed
        return not self.stuck and self._ends[0].unheard

    def take_back_late(self) -> list[Exchange]:
        """Take back what waits for a loop or a thread that has been in one computation for too long.

        The exchanges are as if they had never been assigned, or closed if their client has gone. Sets `stuck`.
        """
        if self._seats is not None:
            unbegun = self._seats.overdue()
        elif not self.stuck and self._ends[0].silent(monotonic()) > LOOP_SILENCE:
            self.stuck = True
            unbegun, others = _unbegun(self._ends[0].take_back())
            self._ends[0].put_back(others)
        else:
            return []
        return [self._come_back(number, held) for number, held in unbegun.items()]

    def have_watchdog_release(self) -> None:
        """If its loop is still stuck, have its watchdog send what it answered in this turn, and decline the rest."""
        if self.stuck and self.exchanges:
            self.watchdog.release()

    def ask_heartbeat(self, now: float) -> None:
        """Ask for a sign of life, of its watchdog and of its event loop; `now` as by `time.monotonic`."""
        self.watchdog.ask_heartbeat(now)
        if self._asked_loop is None and self._seats is None:
            self._asked_loop = now
            self._ends[0].post(envelopes.ask_heartbeat())  # a ring would do, but between processes nothing rings

    def ask_loop(self, now: float, turns: int = TURNS) -> None:
        """Have its event loop ring, if it has not been heard by then, in some turns; `now` as by `time.monotonic`."""
        end = self._ends[0]
        if end.heard_at >= now:
            return
        if turns:
            self._loop.call_soon(self.ask_loop, now, turns - 1)
            return
        heard_at = end.heard_at
        end.ask(envelopes.ask_heartbeat())
        self._unheard = heard_at, now
        if self._asked_loop is None:
            self._asked_loop = now

    def silent_for(self, now: float) -> float:
        """Return the seconds since it was asked for a heartbeat, and gave none."""
        asked = [when for when in (self.watchdog.asked_at, self._asked_loop) if when is not None]
        return now - min(asked) if asked else 0.0

    def retire(self) -> None:
        """Have it finish what it has begun, shut down and end."""
        if self.state in (WorkerState.STARTING, WorkerState.READY):
            self.to(WorkerState.RETIRING)
            for end in self._ends:
                end.post(envelopes.retire())

    def stop(self) -> None:
        """Have it cut what it has begun, shut down and end."""
        for end in (*self._ends, self.watchdog.end):
            end.post(envelopes.stop())

    @property
    def ends_start_up(self) -> bool:
        """Whether it has imported the app, and its loop has heard that it is to stop."""
        return self.report.interface == "asgi" and not self._ends[0].unheard

    def abandon(self) -> bool:
        """Kill it, or else leave its thread to itself; returns whether that had to be.

        Its watchdog raises an exception in what keeps it from ending, where that is Python code.
        Its last words are still heard, should it come to its end: they tell whether its interpreter can be closed.
        """
        self.to(WorkerState.ABANDONED)
        self.watchdog.end.post(envelopes.abandoned())
        return not self.kill()

    def kill(self) -> bool:
        """End it whatever it does, where that can be done; returns whether it can. From any thread."""
        return self._runtime.kill()

    def let_go(self) -> None:
        """Do not listen to an abandoned one any more."""
        for end in self._listening:
            end.close()

    def never_begun(self) -> dict[int, list[Envelope]]:
        """What a dead worker never took from its channels, by exchange; only exchanges whose head is among it."""
        lost: dict[int, list[Envelope]] = {}
        for end in self._ends:
            lost |= _unbegun(end.take_back())[0]
        return lost

    def give_up(self, state: WorkerState, kind: str, fault: str) -> None:
        """Move on to another state, for this reason; whatever it says later of its failure does not count."""
        self.failure = (kind, fault)
        self.to(state)

    def to(self, state: WorkerState) -> None:
        """Move on to another state."""
        self.state = advance(WORKER, self.state, state)

    def _leaves_threads(self) -> bool:
        return bool(self.report.daemon_threads)

    def _on_closing(self) -> None:
        self.closing_since = self._loop.time()
        self.closing.set()

    def _thread_ended(self, kind: str, trouble: str, memory: int | None) -> None:
        self.memory_at_end = memory
        if trouble and not self.failure[0]:
            self.failure = (kind, trouble)
        self.ended.set()
        self.closing.set()
        self._owner.worker_ended(self)
        for end in self._listening:
            end.close()

    # -- envelopes from the worker ---------------------------------------------------------------------------------

    def _take(self, came: list[Envelope]) -> None:
        if self.state is WorkerState.ABANDONED:
            came = [envelope for envelope in came if envelope[KIND] == envelopes.GOODBYE]
        for envelope in came:
            try:
                handle = self._handlers.get(envelope[KIND])
                if handle is None:
                    raise InternalError(f"{self} sent an unknown envelope {envelope!r}")
                handle(envelope)
            except Exception:  # one exchange's trouble must not take the rest of the batch with it
                _log.exception("Error while handling what %s sent", self)

    def _on_answer(self, envelope: Envelope) -> None:
        _, number, status, fields, body = envelope
        exchange = self._end(number)
        try:
            exchange.answer(status, fields, body)
        finally:
            self._owner.worker_free(self)

    def _on_done(self, envelope: Envelope) -> None:
        _, number, trouble, cut_off = envelope
        exchange = self._end(number)
        try:
            exchange.done(trouble, cut_off)
        finally:
            self._owner.worker_free(self)

    def _on_declined(self, envelope: Envelope) -> None:
        _, number, request = envelope
        if number not in self.exchanges:
            raise InternalError(f"{self} declined exchange {number}, which it was not given")
        if self._seats is not None:
            self._seats.give_up(number)
        self._owner.worker_declined(self, self._come_back(number, [request]))

    def _tell_exchange(self, envelope: Envelope) -> None:
        """Pass on what belongs to an exchange that goes on."""
        kind, number, *fields = envelope
        exchange = self.exchanges.get(number)
        if exchange is None:
            raise InternalError(f"{self} sent {envelope!r}, and has no such exchange")
        if (tell := _TELL.get(kind)) is not None:
            tell(exchange, *fields)
        elif isinstance(exchange, WebSocketExchange):
            exchange.handle(envelope)

    def _end(self, number: int) -> Exchange:
        """The exchange that the worker is through with."""
        exchange = self.exchanges.pop(number, None)
        if exchange is None:
            raise InternalError(f"{self} ended exchange {number} twice")
        self.served += 1
        if self._seats is not None:
            self._seats.leave(number)
        return exchange

    def _come_back(self, number: int, held: list[Envelope]) -> Exchange:
        exchange = self.exchanges.pop(number)
        exchange.unassign(held)
        return exchange

    def _rung(self) -> None:
        self.stuck, self.blocked_by, self._asked_loop, self._unheard = False, 0, None, (0.0, 0.0)
        self._owner.worker_heard(self)

    def _on_blocked_by(self, envelope: Envelope) -> None:
        _, number = envelope
        self.blocked_by = number if self.stuck else 0

    def _on_heartbeat(self, envelope: Envelope) -> None:
        _, _, since, until = envelope
        heard_at, asked_at = self._unheard
        if heard_at < since and until < asked_at:
            self._owner.worker_missed(self, asked_at - until)

    def _on_cpu_per_request(self, envelope: Envelope) -> None:
        _, _, seconds = envelope
        self._owner.worker_pace(self, seconds)

    def _on_loaded(self, envelope: Envelope) -> None:
        self.report.loaded(envelope)
        self._keep_seats(self.report.interface)
        self._owner.worker_loaded(self)

    def _on_ready(self, envelope: Envelope) -> None:
        self.report.ready(envelope)
        if self.state is WorkerState.STARTING:
            self.to(WorkerState.READY)
            self._owner.worker_ready(self)

    def _on_failed(self, envelope: Envelope) -> None:
        _, _, kind, trouble = envelope
        if self.state is not WorkerState.FAILED:  # or it was given up, and that is what there is to say
            self.failure = (kind, trouble)
        if self.state is WorkerState.STARTING and kind != "lost":
            self.to(WorkerState.FAILED)
            self._owner.worker_failed(self)

    def _on_lifespan_failed(self, envelope: Envelope) -> None:
        _, _, trouble = envelope
        _log.error("%s serves on, though %s", self._name.capitalize(), trouble)

    def _keep_seats(self, interface: str) -> None:
        if interface == "wsgi":
            self._seats = Seats(self._ends)
        else:
            for end in self._ends[1:]:
                end.close()
                self._listening.remove(end)
            del self._ends[1:]


def _unbegun(posted: list[Envelope]) -> tuple[dict[int, list[Envelope]], list[Envelope]]:
    """Of what a worker has not taken: the exchanges whose request is among it, and everything else."""
    unbegun: dict[int, list[Envelope]] = {}
    others: list[Envelope] = []
    for envelope in posted:
        kind, number, *_ = envelope
        if kind == envelopes.REQUEST:
            unbegun[number] = [envelope]
        elif kind == envelopes.BODY and number in unbegun:
            unbegun[number].append(envelope)
        else:
            others.append(envelope)
    return unbegun, others
