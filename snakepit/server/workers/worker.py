"""One worker, from the main interpreter's side: its state, its channels, and the exchanges that it has.

A subinterpreter can't be killed. A worker in one that does not end when it is told to is abandoned: its thread is left
to itself, and the process has to end without waiting for it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

from snakepit.errors import InternalError
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import WORKER, ExchangeState, WorkerState, advance
from snakepit.server.workers.loop_line import LoopLine, unbegun
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.runtime_thread import RuntimeThread
from snakepit.server.workers.runtimes import Runtime
from snakepit.server.workers.seats import Seats
from snakepit.server.workers.watchdog_line import WatchdogLine
from snakepit.system.words import capitalized
from snakepit.wire import envelopes
from snakepit.wire.envelopes import KIND, Envelope
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.settings import AppSettings

if TYPE_CHECKING:
    from snakepit.server.exchanges.tally import Busyness

_log = logging.getLogger("snakepit.server")

_TELL: dict[int, Callable[..., None]] = {  # by kind: what takes its fields. No kind of exchange overrides these
    envelopes.RESPONSE: Exchange.respond,
    envelopes.BODY: Exchange.respond_body,
    envelopes.FILE: Exchange.respond_file,
    envelopes.CREDIT: Exchange.add_credit,
    envelopes.CONTINUE: Exchange.send_continue,
}

_OF_ABANDONED = envelopes.GOODBYE, envelopes.STACKS, envelopes.PROFILE
"""The kinds that an abandoned worker is still heard of."""


class ChannelLoad(NamedTuple):
    """Items in a worker's channels that it has not taken, and those that this end has not; envelopes that are held back
    until the worker takes what was sent before, and the bytes of bodies in them."""

    to_worker: int
    from_worker: int
    held: int
    held_bytes: int


class Exchanges(Protocol):
    """What a worker tells of its exchanges, and of its pace at them."""

    @property
    def limited(self) -> Collection["WorkerHandle"]:
        """The workers that get nothing, or only so much, until they are `heard` of."""

    def declined(self, worker: "WorkerHandle", exchange: Exchange) -> None:
        """It did not begin with an exchange and will not."""

    def heard(self, worker: "WorkerHandle") -> None:
        """Its loop turns. Said of those that are `limited`."""

    def missed(self, worker: "WorkerHandle", seconds: float) -> None:
        """It has rung so long ago, and was not heard: a bug."""

    def resize(self, worker: "WorkerHandle") -> None:
        """It has more room for exchanges than before, or less."""

    def set_pace(self, seconds: float) -> None:
        """Heed what an exchange takes of CPU time, lately and on average."""


class Owner(Protocol):
    """What a worker tells its pool."""

    @property
    def queue(self) -> Exchanges:
        """Where its exchanges come from."""

    def worker_loaded(self, worker: "WorkerHandle") -> None:
        """The app was imported."""

    def worker_ready(self, worker: "WorkerHandle") -> None:
        """Exchanges may come."""

    def worker_failed(self, worker: "WorkerHandle") -> None:
        """It could not start; `failure` says why."""

    def worker_free(self, worker: "WorkerHandle", count: int) -> None:
        """It is through with so many exchanges."""

    def worker_ended(self, worker: "WorkerHandle") -> None:
        """Its thread has ended."""


class WorkerHandle:
    """Starts, ends and asks a worker, gives it exchanges, and hears what it says.

    Args:
        number: its name in the log, from 1.
        settings: what all workers of the app are told.
        runtime: what it is to run in; its seats say how many exchanges a WSGI app gets at once.
        app: what the log calls the app, if there are several.
        generation: the how manyth with this number it is.
    """

    def __init__(
        self,
        number: int,
        settings: AppSettings,
        runtime: Runtime,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        app: str = "",
        generation: int = 1,
    ) -> None:
        self.number = number
        self.generation = generation
        self.state = WorkerState.STARTING
        self.report = WorkerReport()
        self.failure = ("", "")  # kind and fault, as in envelopes.failed; or "config": it could not even be started
        self.exchanges: dict[int, Exchange] = {}
        self.busyness: Busyness | None = None  # once it has had an exchange, if that is kept
        self.served = 0  # exchanges that it is through with
        self._owner = owner
        self._loop = loop
        self._ends = [
            MainEnd(channel.main_carrier(), loop, self._take, self._rung) for channel in runtime.channels[:-1]
        ]
        self.line = LoopLine(self._ends[0], loop, self._missed)
        self.watchdog = WatchdogLine(runtime.channels[-1], loop, self._take)
        self._listening = [*self._ends, self.watchdog.end]
        self.thread = RuntimeThread(
            runtime,
            number,
            settings,
            loop,
            self._listening,
            on_closing=self.watchdog.hung_up,
            keeps_open=self._leaves_threads,
            on_ended=self._thread_ended,
        )
        self._seats: Seats | None = None  # of a WSGI app
        self._name = f"worker {number} of {app}" if app else f"worker {number}"
        self._handlers: dict[int, Callable[[Envelope], None]] = {
            envelopes.ANSWER: self._on_answer,
            envelopes.DONE: self._on_done,
            envelopes.DECLINED: self._on_declined,
            **dict.fromkeys((*_TELL, envelopes.ACCEPT, envelopes.MESSAGE, envelopes.CLOSE), self._tell_exchange),
            envelopes.BLOCKED_BY: self.line.on_blocked_by,
            envelopes.INTERRUPTED: self.watchdog.on_interrupted,
            envelopes.HEARTBEAT: self.line.on_heartbeat,
            envelopes.CPU_PER_REQUEST: self._on_cpu_per_request,
            envelopes.LOADED: self._on_loaded,
            envelopes.READY: self._on_ready,
            envelopes.STACK: self.watchdog.on_stack,
            envelopes.STACKS: self.watchdog.on_stacks,
            envelopes.PROFILE: self.watchdog.on_profile,
            envelopes.FAILED: self._on_failed,
            envelopes.LIFESPAN_FAILED: self._on_lifespan_failed,
            envelopes.METRICS: self.report.told_metrics,
            envelopes.LAG: self._on_lag,
            envelopes.GOODBYE: self.report.said_farewell,
        }

    def __repr__(self) -> str:
        return self._name

    @property
    def capacity(self) -> int:
        """Exchanges at once, where each takes a thread."""
        return len(self._ends)

    @property
    def room(self) -> int:
        """Exchanges that it may have, where each takes a thread, with those that wait for one; 0 elsewhere."""
        return self._seats.room if self._seats is not None else 0

    async def start(self) -> None:
        """Start the thread that owns the runtime. What keeps it from starting ends the worker."""
        await self.thread.start()

    def drop(self) -> None:
        """End it, which was never started."""
        self.thread.drop()
        self.to(WorkerState.RETIRING)
        self.to(WorkerState.CLOSED)

    def assign(self, exchange: Exchange) -> None:
        """Give it an exchange."""
        number, seats = exchange.number, self._seats
        self.exchanges[number] = exchange
        if seats is None:
            exchange.assigned_to(self._ends[0], self._name, self)
        else:
            exchange.assigned_to(seats.take(number, exchange.whole), self._name, self)
            if seats.unsettled:
                seats.settle()

    def has(self, exchange: Exchange) -> bool:
        """Whether an exchange is still going on here."""
        return self.exchanges.get(exchange.number) is exchange

    def is_blocked_by_another(self, exchange: Exchange) -> bool:
        """Whether its loop is known to be in a long computation for another exchange."""
        return self.line.blocked_by not in (0, exchange.number)

    def give_up_exchanges(self) -> dict[int, Exchange]:
        """Forget all exchanges; returns those that it had, by number."""
        exchanges, self.exchanges = self.exchanges, {}
        return exchanges

    @property
    def watched(self) -> bool:
        """Whether something waits for it, so that `take_back_late` may find something."""
        if self._seats is not None:
            return self._seats.watched
        return self.line.watched

    def take_back_late(self) -> list[Exchange]:
        """Take back what waits for a loop or a thread that has been in one computation for too long.

        The exchanges are as if they had never been assigned, or closed if their client has gone.
        """
        late = self.line.take_back_late() if self._seats is None else self._seats.overdue()
        return [self._come_back(number, held) for number, held in late.items()]

    def have_watchdog_release(self) -> None:
        """If its loop is still stuck, have its watchdog send what it answered in this turn, and decline the rest."""
        if self.line.stuck and self.exchanges:
            self.watchdog.release()

    def ask_heartbeat(self, now: float) -> None:
        """Ask for a sign of life, of its watchdog and of its event loop; `now` as by `time.monotonic`.

        Threads may be busy, so nothing is asked of them; but a ring that was lost may not keep them waiting for ever.
        """
        self.watchdog.ask_heartbeat(now)
        if self._seats is None:
            self.line.ask_heartbeat(now)
        else:
            for end in self._ends:
                end.look_again()

    def ask_metrics(self) -> None:
        """Ask for the metrics that the app keeps in it, and how late its event loop is."""
        self.watchdog.ask_metrics()
        if self._seats is None:
            self.line.ask_lag()

    def channel_load(self) -> ChannelLoad:
        """Return what its channels hold now; nothing once it has ended."""
        ends = [] if self.thread.closing.is_set() else self._listening
        held = [end.held for end in ends]
        return ChannelLoad(
            sum(end.carrier.waiting() for end in ends),
            sum(end.carrier.arrived() for end in ends),
            sum(count for count, _ in held),
            sum(size for _, size in held),
        )

    def silent_for(self, now: float) -> float:
        """Return the seconds since it was asked for a heartbeat, and gave none."""
        asked = [when for when in (self.watchdog.asked_at, self.line.asked_at) if when is not None]
        return now - min(asked) if asked else 0.0

    def has_reacted(self, since: float) -> bool:
        """Tell whether its watchdog was heard of since then, and so was its event loop, or a thread that could begin an
        exchange; `since` as by `time.monotonic`."""
        if self.watchdog.end.heard_at < since:
            return False
        return self._ends[0].heard_at >= since if self._seats is None else self._seats.have_reacted(since)

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
        return not self.thread.kill()

    def let_go(self) -> None:
        """Do not listen to an abandoned one any more."""
        self.thread.close_ends()

    def never_begun(self) -> dict[int, list[Envelope]]:
        """What a dead worker never took from its channels, by exchange; only exchanges whose head is among it."""
        lost: dict[int, list[Envelope]] = {}
        for end in self._ends:
            lost |= unbegun(end.take_back())[0]
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

    def _thread_ended(self, kind: str, trouble: str) -> None:
        if trouble and not self.failure[0]:
            self.failure = (kind, trouble)
        self._owner.worker_ended(self)

    # -- envelopes from the worker ---------------------------------------------------------------------------------

    def _take(self, came: list[Envelope]) -> None:
        if self.state is WorkerState.ABANDONED:
            came = [envelope for envelope in came if envelope[KIND] in _OF_ABANDONED]
        served = self.served
        for envelope in came:
            try:
                handle = self._handlers.get(envelope[KIND])
                if handle is None:
                    raise InternalError(f"{self} sent an unknown envelope {envelope!r}")
                handle(envelope)
            except Exception:  # one exchange's trouble must not take the rest of the batch with it
                _log.exception("Error while handling what %s sent", self)
        if self.served != served:
            self._owner.worker_free(self, self.served - served)

    def _on_answer(self, envelope: Envelope) -> None:
        _, number, status, fields, body = envelope
        exchange = self.exchanges.pop(number, None)
        if exchange is None:
            raise InternalError(f"{self} ended exchange {number} twice")
        self.served += 1
        if self._seats is not None:
            self._seats.leave(number)
        exchange.answer(status, fields, body)

    def _on_done(self, envelope: Envelope) -> None:
        _, number, trouble, cut_off = envelope
        exchange = self.exchanges.pop(number, None)
        if exchange is None:
            raise InternalError(f"{self} ended exchange {number} twice")
        self.served += 1
        if self._seats is not None:
            self._seats.leave(number)
        exchange.done(trouble, cut_off)

    def _on_declined(self, envelope: Envelope) -> None:
        _, number, request = envelope
        exchange = self.exchanges.get(number)
        if exchange is None or exchange.state not in (ExchangeState.ASSIGNED, ExchangeState.ABANDONED):
            raise InternalError(f"{self} declined exchange {number}, which it was not given or has begun to answer")
        if self._seats is not None:
            self._seats.give_up(number)
        self._owner.queue.declined(self, self._come_back(number, [request]))

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

    def _come_back(self, number: int, held: list[Envelope]) -> Exchange:
        exchange = self.exchanges.pop(number)
        exchange.unassign(held)
        return exchange

    def _rung(self) -> None:
        line = self.line
        if line.counted_on:
            line.on_rung()
        if self in self._owner.queue.limited:
            self._owner.queue.heard(self)

    def _missed(self, seconds: float) -> None:
        self._owner.queue.missed(self, seconds)

    def _on_cpu_per_request(self, envelope: Envelope) -> None:
        _, _, seconds = envelope
        self._owner.queue.set_pace(seconds)

    def _on_lag(self, envelope: Envelope) -> None:
        self.report.told_lag(envelope)
        self.line.on_lag()

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
        _, _, kind, trouble, self.report.error_page = envelope
        if self.state is not WorkerState.FAILED:  # or it was given up, and that is what there is to say
            self.failure = (kind, trouble)
        if self.state is WorkerState.STARTING and kind != "lost":
            self.to(WorkerState.FAILED)
            self._owner.worker_failed(self)

    def _on_lifespan_failed(self, envelope: Envelope) -> None:
        _, _, trouble = envelope
        _log.error("%s serves on, though %s", capitalized(self), trouble)

    def _keep_seats(self, interface: str) -> None:
        if interface == "wsgi":
            self._seats = Seats(self._ends, self.watchdog.release, lambda: self._owner.queue.resize(self))
        else:
            for end in self._ends[1:]:
                end.close()
                self._listening.remove(end)
            del self._ends[1:]
