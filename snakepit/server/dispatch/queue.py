"""The exchanges of one pool: who gets which, what waits, what is taken back, and what is refused.

The pool says which workers there are; the dispatcher has the policy, and this carries it out. Nothing here starts or
ends a worker.

A worker that is retired gets nothing more, but what it has and has not begun is still looked after here: where its loop
is stuck, others get it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from snakepit.server.dispatch.dispatcher import Dispatcher, Unassigned
from snakepit.server.dispatch.observer import QueueObserver
from snakepit.server.dispatch.sessions import BELONGS, Sessions
from snakepit.server.dispatch.time_limits import LEAST_SECONDS_TO_END, TimeLimits
from snakepit.server.dispatch.wake_ups import WakeUps
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.exchanges.kept_body import KeptBodies
from snakepit.server.exchanges.websocket import SWITCHED
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.workers.loop_line import LOOP_SILENCE
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.cpus import usable_cpus

if TYPE_CHECKING:
    from snakepit.server.exchanges.sink import AnswerKeepers

BATCH_SIZE = 8
BATCH_SECONDS = 100e-6
CROWDED_BATCH_SECONDS = 200e-6
"""What comes in one loop iteration is given to a worker in batches, of so many exchanges and so much of their CPU time
at most: waking a worker takes 20 µs and more, and is not worth it for less. Batches are larger if each worker does not
have a CPU of its own beside the main interpreter's: then one that wakes has to wait for another, and finds its data in
no cache. Where exchanges take longer, each goes by itself to where it is at home, or else to the least loaded
worker."""

STUCK_FOR_LONG = 0.02
"""Seconds; a worker's loop that is stuck for longer may be so for ever. What it answered in the same turn, and what it
has taken and not begun, its watchdog has to send; and that takes time there, for which another thread has to stop."""

SET_UP_LATE = frozenset({"dash"})
"""Frameworks that set themselves up while they answer a worker's first request, and say that they have when they begin:
others that come meanwhile fail. Dash 4.4 does, with 500 for a script of its page (`Dash._setup_server`)."""

ALONE = 2.0
"""Seconds; the most that others wait for the first request of such a worker. Dash takes 50 ms on a quiet machine."""

RETRY_AFTER = 1
"""Seconds that a refused client is asked to wait (RFC 9110 section 10.2.3): a full line moves on in less."""


class RequestQueue:
    """Gives the exchanges of one pool to its workers, and has those wait that no worker has room for.

    Args:
        concurrency: exchanges in all, in workers and waiting; None: as many as workers and line take.
        waiting: how many exchanges may wait in the line.
        waiting_seconds: how long one may wait there.
        response_seconds: how long a worker may take to begin a response; None: no limit.
        stuck: called with a worker, and an exchange that is still going on there long after it timed out.
        bodies: keeps requests' bodies until they are here, where the app runs in threads; None: nothing does.
        keepers: of answers whose clients are slow, where the app runs in threads.
        observer: hears of what is refused and interrupted.
    """

    def __init__(
        self,
        concurrency: int | None,
        waiting: int,
        waiting_seconds: float,
        loop: asyncio.AbstractEventLoop,
        response_seconds: float | None = None,
        stuck: Callable[[WorkerHandle, Exchange], None] = lambda worker, exchange: None,
        bodies: KeptBodies | None = None,
        keepers: "AnswerKeepers[Exchange] | None" = None,
        observer: QueueObserver | None = None,
    ) -> None:
        self._observer = observer or QueueObserver()
        self._loop = loop
        self._concurrency = concurrency
        self._dispatcher: Dispatcher[WorkerHandle, Exchange] = Dispatcher(waiting)
        self._line_patience: Deadlines[Exchange] = Deadlines(loop, waiting_seconds, self._waited_too_long)
        self._bodies = bodies
        self._keepers = keepers
        self._kept: KeptBodies | None = None  # these, where the app runs in threads
        self._stuck = stuck
        self._interrupts: TimeLimits | None = None  # made for the first exchange that is interrupted
        self._limits: TimeLimits | None = None
        if response_seconds is not None:
            self._limits = TimeLimits(response_seconds, stuck, loop, self._observer)
        self._workers: dict[WorkerHandle, None] = {}  # that may have exchanges
        self._cpus = usable_cpus().count
        self._batch = 1  # exchanges of one loop iteration that go to a worker before the next one is found
        self._batch_of: WorkerHandle | None = None
        self._room_in_batch = 0
        self._watch: asyncio.TimerHandle | None = None  # set while something waits for a worker
        self.limited: set[WorkerHandle] = set()  # that get nothing, or only so much, until they are heard of
        self.interface = ""  # that the app has, once a worker has imported it
        self.wake_ups = WakeUps(self._asleep, loop)
        self._in_progress = 0
        self._became_idle: asyncio.Future[None] | None = None  # made where it is waited for
        self._instead: Destination | None = None
        self._sessions: Sessions[WorkerHandle] | None = None  # where the app keeps any in memory
        self._to_assign: deque[tuple[WorkerHandle, Exchange]] = deque()
        self._assigning = False  # assignments are being carried out
        self._capacities: dict[WorkerHandle, int] = {}  # of those that are to answer a first exchange alone

    def __repr__(self) -> str:
        return repr(self._dispatcher)

    @property
    def in_progress(self) -> int:
        """Exchanges in workers and in the line."""
        return self._in_progress

    @property
    def waiting(self) -> int:
        """Exchanges in the line, and those that wait in workers, behind others."""
        return self._dispatcher.waiting

    @property
    def oldest(self) -> Exchange | None:
        """The exchange in progress that came first."""
        return min(self.exchanges, key=lambda exchange: exchange.began, default=None)

    @property
    def exchanges(self) -> Iterator[Exchange]:
        """The exchanges in workers and in the line."""
        for worker in self._workers:
            yield from worker.exchanges.values()
        yield from self._dispatcher.line

    async def wait_idle(self) -> None:
        """Return when no exchange is in progress."""
        while self._in_progress:
            if self._became_idle is None:
                self._became_idle = self._loop.create_future()
            await asyncio.shield(self._became_idle)

    # -- from connections ------------------------------------------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """Give an exchange to a worker, or let it wait, or refuse it with 503."""
        if self._instead is not None:
            exchange.redirect(self._instead)
            return
        if self._concurrency is not None and self._in_progress >= self._concurrency:
            self._refuse(exchange, "limit-concurrency", "Too many requests at once")
            return
        self._in_progress += 1
        if self._kept is not None and not exchange.request_complete and self._kept.keep(exchange, self._place_again):
            return
        self._place(exchange)

    def withdraw(self, exchange: Exchange) -> None:
        """Forget an exchange that waits, in the line or for its body."""
        if self._kept is not None:
            self._kept.forget(exchange)
        assignments = self._dispatcher.withdraw(exchange)
        self._line_patience.discard(exchange)
        self._less()
        self._assign(assignments)

    # -- from people -----------------------------------------------------------------------------------------------

    def interrupt(self, exchange: Exchange, by: str, why: str) -> bool:
        """End an exchange as if its time were over; returns False if no worker has it, or if it is a WebSocket's.

        `by`: who asks for it, in a word.
        """
        if exchange.state not in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING) or exchange.status == SWITCHED:
            return False
        if exchange.home is None or not exchange.home.has(exchange):
            return False
        if self._interrupts is None:
            self._interrupts = TimeLimits(LEAST_SECONDS_TO_END, self._stuck, self._loop, self._observer)
        self._interrupts.end(exchange, by, why)
        return True

    # -- from the pool ---------------------------------------------------------------------------------------------

    def add(self, worker: WorkerHandle, capacity: int, first_alone: bool = False) -> None:
        """A worker became ready for `capacity` exchanges at once; `first_alone`: once it has answered one by itself."""
        self._instead = None
        self.interface = worker.report.interface
        if self._bodies is not None and self.interface == "wsgi":
            self._kept = self._bodies
        self._workers[worker] = None
        if first_alone:
            self._capacities[worker] = capacity
            self._assign(self._dispatcher.add(worker, 1))
        else:
            self._assign(self._dispatcher.add(worker, capacity, worker.room))

    def heed(self, frameworks: list[str]) -> None:
        """The app uses these. What belongs to sessions that one keeps in a worker's memory follows its client."""
        keeping = [framework for framework in frameworks if framework in BELONGS]
        if keeping and self._sessions is None:
            self._sessions = Sessions(keeping)

    def remove(self, worker: WorkerHandle) -> None:
        """A worker gets nothing more."""
        self._dispatcher.remove(worker)
        self.limited.discard(worker)
        self._capacities.pop(worker, None)
        if self._sessions is not None:
            self._sessions.forget(worker)

    def finished(self, worker: WorkerHandle, count: int) -> None:
        """A worker is through with so many exchanges."""
        self._in_progress -= count
        if self._became_idle is not None and not self._in_progress:
            self._less(0)
        if assignments := self._dispatcher.finished(worker, count):
            self._assign(assignments)
        if self._capacities:
            self._widen(worker)

    def declined(self, worker: WorkerHandle, exchange: Exchange) -> None:
        """A worker gives an exchange back."""
        self._give_back(worker, [exchange])

    def heard(self, worker: WorkerHandle) -> None:
        """A worker's loop turns."""
        self._assign(self._dispatcher.heard(worker))
        if not self._dispatcher.limits(worker):
            self.limited.discard(worker)

    def missed(self, worker: WorkerHandle, seconds: float) -> None:
        """A worker has rung so long ago, and was not heard."""
        self.wake_ups.missed(worker, seconds)

    def resize(self, worker: WorkerHandle) -> None:
        """A worker with threads has more room than before, or less."""
        if worker not in self._capacities:
            self._assign(self._dispatcher.resize(worker, worker.capacity, worker.room))

    def set_pace(self, seconds: float) -> None:
        """Give workers as many at once as is worth it where an exchange takes so much CPU time."""
        crowded = len(self._workers) >= self._cpus
        limit = CROWDED_BATCH_SECONDS if crowded else BATCH_SECONDS
        self._batch = max(1, min(BATCH_SIZE, int(limit / max(seconds, 1e-6))))

    def worker_gone(self, worker: WorkerHandle, silent: bool = False) -> None:
        """A worker is no more: what it had begun is lost, and others get the rest.

        `silent`: it is there, and does not answer, so that the clients' answer is that the time is over.
        """
        self.remove(worker)
        self._workers.pop(worker, None)
        never_begun = worker.never_begun()
        for number, exchange in worker.give_up_exchanges().items():
            envelopes = never_begun.get(number)
            if envelopes is None:
                self._less()
                exchange.lost(504 if silent else 500)
            else:
                exchange.unassign(envelopes)
                if exchange.state is ExchangeState.NEW:
                    self._place_again(exchange)
                else:
                    self._less()

    def answer_instead(self, destination: Destination) -> None:
        """Have another destination answer everything until a worker becomes ready: none is to be expected soon."""
        self._instead = destination
        for exchange in self._dispatcher.clear_line():
            self._line_patience.discard(exchange)
            self._less()
            exchange.redirect(destination)

    def close(self) -> None:
        """Cancel all timers."""
        self._line_patience.close()
        for limits in (self._limits, self._interrupts):
            if limits is not None:
                limits.close()
        if self._watch is not None:
            self._watch.cancel()
        self.wake_ups.close()

    # --------------------------------------------------------------------------------------------------------------

    def _place(self, exchange: Exchange) -> None:
        sessions = self._sessions
        ahead = True  # whether it may wait in a worker
        if self.interface == "wsgi":  # where each takes a thread
            ahead = exchange.whole
            exchange.keepers = self._keepers
        worker: WorkerHandle | Unassigned
        if sessions is not None and exchange.endpoints[0] is not None and sessions.belongs(exchange.head):
            worker = self._find_worker_of(exchange, exchange.endpoints[0][0], sessions, ahead)
        else:
            worker = self._find_any(exchange, ahead)
        if isinstance(worker, Unassigned):
            self._leave_unassigned(exchange, worker)
            return
        worker.assign(exchange)
        if self._capacities or self._limits is not None:
            self._limit(worker, exchange)
        if self._watch is None:
            self._watch_workers()

    def _leave_unassigned(self, exchange: Exchange, why: Unassigned) -> None:
        if why is Unassigned.WAITS:
            if exchange.state is not ExchangeState.WAITING:  # for its body
                exchange.mark_waiting()
            self._line_patience.add(exchange)
        else:
            self._less()
            self._refuse(exchange, "limit-waiting", "Too many requests are waiting")

    def _find_any(self, exchange: Exchange, ahead: bool) -> WorkerHandle | Unassigned:
        """Find a worker for an exchange: what comes in one turn goes together, to where the first of it is at home."""
        batch_of = self._batch_of
        if self._room_in_batch and batch_of is not None and self._dispatcher.submit_to(batch_of):
            self._room_in_batch -= 1
            return batch_of
        worker = self._dispatcher.submit(exchange, exchange.home, ahead)
        if self._batch > 1 and not isinstance(worker, Unassigned):
            if self._batch_of is None:
                self._loop.call_soon(self._end_batches)
            self._batch_of, self._room_in_batch = worker, self._batch - 1
        return worker

    def _find_worker_of(
        self, exchange: Exchange, address: str, sessions: Sessions[WorkerHandle], ahead: bool
    ) -> WorkerHandle | Unassigned:
        """The worker that a client's sessions are in. One that is stuck, too: to any other they are unknown."""
        worker = sessions.worker_of(address)
        if worker is not None and self._dispatcher.insist(worker, ahead):
            return worker
        found = self._dispatcher.submit(exchange, None, ahead)
        if worker is None and not isinstance(found, Unassigned):
            sessions.begin(address, found)
        return found

    def _end_batches(self) -> None:
        self._batch_of, self._room_in_batch = None, 0

    def _assign(self, assignments: list[tuple[WorkerHandle, Exchange]]) -> None:
        """Carry out assignments, after those that are being carried out, if this comes of one of them (`resize`)."""
        self._to_assign.extend(assignments)
        if self._assigning or not self._to_assign:
            return
        self._assigning = True
        try:
            while self._to_assign:
                worker, exchange = self._to_assign.popleft()
                self._line_patience.discard(exchange)
                self._give(worker, exchange)
        finally:
            self._assigning = False
        self._watch_workers()

    def _give(self, worker: WorkerHandle, exchange: Exchange) -> None:
        worker.assign(exchange)
        self._limit(worker, exchange)

    def _limit(self, worker: WorkerHandle, exchange: Exchange) -> None:
        """Limit an exchange's time, and how long others wait for one that is the first of its worker."""
        if worker in self._capacities:
            self._loop.call_later(ALONE, self._widen, worker)
        if self._limits is not None:
            self._limits.start(exchange)

    def _widen(self, worker: WorkerHandle) -> None:
        """A worker has answered its first exchange, or does not come to an end with it."""
        capacity = self._capacities.pop(worker, None)
        if capacity is not None:
            self._assign(self._dispatcher.resize(worker, capacity, worker.room))

    def _watch_workers(self) -> None:
        if self._watch is None:
            self._watch = self._loop.call_later(LOOP_SILENCE, self._look_for_late)

    def _look_for_late(self) -> None:
        """Give what waits for a busy loop or thread to another."""
        self._watch = None
        for worker in list(self._workers):
            if worker.watched:
                late = worker.take_back_late()
                if worker.line.stuck:
                    self._dispatcher.stuck(worker)
                    self.limited.add(worker)
                    self._loop.call_later(STUCK_FOR_LONG, worker.have_watchdog_release)
                    self.wake_ups.ask_later()
                if late:
                    self._give_back(worker, late)
                if worker.watched:
                    self._watch_workers()

    def _asleep(self) -> list[WorkerHandle]:
        return self._dispatcher.asleep

    def _give_back(self, worker: WorkerHandle, exchanges: list[Exchange]) -> None:
        fresh: list[Exchange] = []
        faithful: list[Exchange] = []  # they wait for the worker that they were taken from
        for exchange in exchanges:
            if exchange.state is not ExchangeState.NEW:  # its client has gone
                self._less()
            elif self._sessions is not None and self._sessions.belongs(exchange.head):
                faithful.append(exchange)
            else:
                exchange.mark_waiting()
                self._line_patience.add(exchange)
                fresh.append(exchange)
        self._assign(self._dispatcher.give_back(worker, fresh, len(exchanges)))
        for exchange in faithful:
            self._place_again(exchange)

    def _waited_too_long(self, exchange: Exchange) -> None:
        assignments = self._dispatcher.withdraw(exchange)
        self._less()
        self._refuse(exchange, "timeout-waiting", "No worker became free in time")
        self._assign(assignments)

    def _refuse(self, exchange: Exchange, limit: str, reason: str) -> None:
        self._observer.request_refused(limit, reason)
        exchange.refuse(503, reason, [(b"retry-after", b"%d" % RETRY_AFTER)])

    def _place_again(self, exchange: Exchange) -> None:
        """Give an exchange that came back, or whose body is here, to a worker, or to who answers instead of one."""
        if self._instead is None:
            self._place(exchange)
        else:
            self._less()
            exchange.redirect(self._instead)

    def _less(self, count: int = 1) -> None:
        self._in_progress -= count
        if not self._in_progress and self._became_idle is not None:
            self._became_idle.set_result(None)
            self._became_idle = None
