"""All workers of one app, and the policy that keeps them alive.

The pool starts the workers, gives exchanges to them as the dispatcher says, replaces a worker that ended by itself,
and retires all of them at the end. It knows nothing of sockets and HTTP.

A worker that dies takes with it the exchanges that it had begun: each gets 500, or a broken connection where its
response had begun. Those that it had not taken from its channel go to others.
"""

import asyncio
import logging
from dataclasses import dataclass

from snakepit.errors import AppError, AppImportError, ConfigError, LifespanError, SnakepitError, WorkerLost
from snakepit.lifecycle import ExchangeState, WorkerState
from snakepit.server.deadlines import Deadlines
from snakepit.server.dispatcher import Dispatcher
from snakepit.server.exchange import Exchange
from snakepit.server.runtimes import RUNTIMES, RuntimeName
from snakepit.server.worker import PATIENCE, Worker

BATCH = 8
BATCH_SECONDS = 200e-6
"""What comes in one loop iteration is given to a worker in batches, of so many exchanges and so much of their CPU time
at most: waking a worker takes 20 µs, and is not worth it for less. Where exchanges take longer, each goes to the least
loaded worker by itself."""

RETRY_AFTER = 1
"""Seconds that a refused client is asked to wait (RFC 9110 section 10.2.3): a full line moves on in less."""

QUICK_DEATH = 10.0
"""Seconds; a worker that dies sooner after it became ready may do so for ever, so the next one waits."""

BACKOFF = 0.2, 30.0
"""Seconds before the first and before the latest replacement of workers that die quickly; doubled each time."""

LAST_CALL = 3.0
"""Seconds that workers get to shut down once what they were doing has been cut."""


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """What the pool must know.

    Args:
        workers: how many.
        threads: WSGI: exchanges at once in one worker.
        worker_concurrency: ASGI: exchanges at once in one worker.
        concurrency: exchanges in all, in workers and waiting; None: as many as workers and line take.
        waiting: how many exchanges may wait in the line.
        waiting_seconds: how long one may wait there.
        interface: "auto", "asgi" or "wsgi".
        runtime: what workers run in.
        settings: what each worker is told; see snakepit.worker.bootstrap.
    """

    workers: int
    threads: int
    worker_concurrency: int
    concurrency: int | None
    waiting: int
    waiting_seconds: float
    interface: str
    runtime: RuntimeName
    settings: dict[str, object]


class Observer:
    """Whoever wants to follow the workers' lives; does nothing by itself."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker takes exchanges now."""

    def worker_replaced(self, worker: Worker, delay: float) -> None:
        """A worker ended by itself; another is started after `delay` seconds."""

    def memory_kept(self, worker: Worker, predecessor: Worker) -> None:
        """A worker that held private copies of C extensions has been replaced, and what these keep stays in memory.

        A process in which this happens often should be replaced itself.
        """


class Pool:
    """See the module. `first_ready` is set when exchanges can be served; `failure` when they never will be."""

    def __init__(self, options: PoolOptions, observer: Observer, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._observer = observer
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self._dispatcher: Dispatcher[Worker, Exchange] = Dispatcher(options.waiting)
        self._patience: Deadlines[Exchange] = Deadlines(loop, options.waiting_seconds, self._waited_too_long)
        self._workers: dict[int, Worker] = {}
        self._batch = 1  # exchanges of one loop iteration that go to a worker before the next one is found
        self._batch_of: Worker | None = None
        self._room_in_batch = 0
        self._watch: asyncio.TimerHandle | None = None  # set while something waits for a worker
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._interface = ""
        self._quick_deaths = 0
        self._left_open = 0  # interpreters that daemon threads keep from being closed
        self._ready_at: dict[Worker, float] = {}
        self._held_copies: dict[int, Worker] = {}  # workers to be replaced that held copies, by number
        self._restarts: dict[int, asyncio.TimerHandle] = {}  # by the number of the worker to be replaced
        self._tasks: set[asyncio.Task[None]] = set()
        self.first_ready = asyncio.Event()
        self.all_ready = asyncio.Event()
        self.failure: asyncio.Future[SnakepitError] = loop.create_future()

    def __repr__(self) -> str:
        states = ", ".join(f"{worker.number} {worker.state.name}" for worker in self._workers.values())
        return f"<Pool [{states}] {self._dispatcher}>"

    @property
    def workers(self) -> list[Worker]:
        """The workers, by number."""
        return [self._workers[number] for number in sorted(self._workers)]

    @property
    def in_progress(self) -> int:
        """Exchanges in workers and in the line."""
        return self._in_progress

    @property
    def waiting(self) -> int:
        """Exchanges in the line."""
        return self._dispatcher.waiting

    @property
    def interface(self) -> str:
        """What the app speaks: "asgi" or "wsgi"; empty before the first worker is ready."""
        return self._interface

    def load(self, worker: Worker) -> int:
        """Exchanges that a worker has."""
        return len(worker.exchanges)

    # -- exchanges -------------------------------------------------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """Give an exchange to a worker, or let it wait, or refuse it with 503."""
        limit = self._options.concurrency
        if limit is not None and self._in_progress >= limit:
            self._refuse(exchange, "Too many requests at once")
            return
        self._in_progress += 1
        self._idle.clear()
        self._place(exchange)

    def withdraw(self, exchange: Exchange) -> None:
        """Forget an exchange that waits in the line."""
        self._dispatcher.withdraw(exchange)
        self._patience.discard(exchange)
        self._one_less()

    async def wait_idle(self) -> None:
        """Return when no exchange is in progress."""
        await self._idle.wait()

    def _place(self, exchange: Exchange) -> None:
        worker = self._find_worker(exchange)
        if worker is not None:
            worker.assign(exchange)
            self._watch_workers()
        elif self._dispatcher.in_line(exchange):
            exchange.wait()
            self._patience.add(exchange)
        else:
            self._one_less()
            self._refuse(exchange, "Too many requests are waiting")

    def _find_worker(self, exchange: Exchange) -> Worker | None:
        if self._room_in_batch and self._batch_of is not None and self._dispatcher.submit_to(self._batch_of):
            self._room_in_batch -= 1
            return self._batch_of
        worker = self._dispatcher.submit(exchange)
        if worker is not None and self._batch > 1:
            if self._batch_of is None:
                self._loop.call_soon(self._end_batches)
            self._batch_of, self._room_in_batch = worker, self._batch - 1
        return worker

    def _end_batches(self) -> None:
        self._batch_of, self._room_in_batch = None, 0

    def _assign(self, assignments: list[tuple[Worker, Exchange]]) -> None:
        for worker, exchange in assignments:
            self._patience.discard(exchange)
            worker.assign(exchange)
        if assignments:
            self._watch_workers()

    def _watch_workers(self) -> None:
        if self._watch is None:
            self._watch = self._loop.call_later(PATIENCE, self._look_for_late)

    def _look_for_late(self) -> None:
        """Give what waits for a busy loop or thread to another."""
        self._watch = None
        for worker in list(self._workers.values()):
            if worker.state is WorkerState.READY and worker.watched:
                late = worker.take_back_late()
                if worker.stuck:
                    self._dispatcher.stuck(worker)
                if late:
                    self._give_back(worker, late)
                if worker.watched:
                    self._watch_workers()

    def _give_back(self, worker: Worker, exchanges: list[Exchange]) -> None:
        fresh: list[Exchange] = []
        for exchange in exchanges:
            if exchange.state is ExchangeState.NEW:
                exchange.wait()
                self._patience.add(exchange)
                fresh.append(exchange)
            else:  # its client has gone
                self._one_less()
        self._assign(self._dispatcher.give_back(worker, fresh, len(exchanges)))

    def _waited_too_long(self, exchange: Exchange) -> None:
        self._dispatcher.withdraw(exchange)
        self._one_less()
        self._refuse(exchange, "No worker became free in time")

    def _refuse(self, exchange: Exchange, reason: str) -> None:
        exchange.refuse(503, reason, [(b"retry-after", b"%d" % RETRY_AFTER)])

    def _one_less(self) -> None:
        self._in_progress -= 1
        if not self._in_progress:
            self._idle.set()

    # -- workers -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start all workers; they become ready in their own time."""
        for number in range(1, self._options.workers + 1):
            await self._start_worker(number)

    async def _start_worker(self, number: int) -> None:
        seats = 1 if self._options.interface == "asgi" else self._options.threads
        try:
            runtime = RUNTIMES[self._options.runtime](seats)
            worker = Worker(number, self._options.settings, runtime, self, self._loop)
        except OSError as error:
            raise ConfigError(
                f"no channel for worker {number}: {error.strerror}; use fewer interpreters or threads, or raise the "
                "limit on open files (ulimit -n)"
            ) from None
        self._workers[number] = worker
        await worker.start()

    def worker_loaded(self, worker: Worker) -> None:
        """A worker imported the app."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker completed its start-up: exchanges may go to it."""
        self._ready_at[worker] = self._loop.time()
        self._observer.worker_ready(worker)
        predecessor = self._held_copies.pop(worker.number, None)
        if predecessor is not None:
            self._observer.memory_kept(worker, predecessor)
        self.first_ready.set()
        if len(self._ready_at) == self._options.workers:
            self.all_ready.set()
        self._interface = worker.interface
        capacity = worker.capacity if worker.interface == "wsgi" else self._options.worker_concurrency
        self._assign(self._dispatcher.add(worker, capacity))

    def worker_free(self, worker: Worker) -> None:
        """A worker is through with an exchange."""
        self._one_less()
        self._assign(self._dispatcher.finished(worker))

    def worker_declined(self, worker: Worker, exchange: Exchange) -> None:
        """A worker gives an exchange back."""
        self._give_back(worker, [exchange])

    def worker_heard(self, worker: Worker) -> None:
        """A worker's loop turns."""
        self._assign(self._dispatcher.heard(worker))

    def worker_pace(self, worker: Worker, seconds: float) -> None:
        """A worker knows how long an exchange takes."""
        self._batch = max(1, min(BATCH, int(BATCH_SECONDS / max(seconds, 1e-6))))

    def worker_failed(self, worker: Worker) -> None:
        """A worker can't start: no server without it at the start, another attempt later on."""
        if not self.all_ready.is_set():
            self._fail(_as_error(worker))

    def worker_ended(self, worker: Worker) -> None:
        """A worker's thread has ended; unless that was asked for, replace it."""
        if worker.daemon_threads:
            self._left_open += 1
            self._log.info(
                "%s leaves %s running (%s), so its interpreter stays open until the process ends",
                str(worker).capitalize(),
                "a daemon thread" if len(worker.daemon_threads) == 1 else "daemon threads",
                ", ".join(worker.daemon_threads),
            )
        if worker.state is WorkerState.ABANDONED:
            return
        if worker.state is WorkerState.RETIRING and worker.said_goodbye and worker.failure[0] in ("", "lifespan"):
            worker.to(WorkerState.CLOSED)
            if worker.failure[0] and not self.failure.done():
                self._log.error("%s: %s", str(worker).capitalize(), worker.failure[1])
            return
        if worker.state is not WorkerState.FAILED:
            worker.to(WorkerState.LOST)
        self._dispatcher.remove(worker)
        kind, fault = worker.failure
        lived = self._loop.time() - self._ready_at.pop(worker, self._loop.time())
        self._salvage(worker)
        worker.to(WorkerState.CLOSED)
        if self._closing:
            if not self.failure.done():  # or it is most likely the same trouble, and that is being reported
                self._log.error("%s did not end as it should: %s", str(worker).capitalize(), fault or "no word of it")
            return
        if not self.all_ready.is_set():
            self._fail(_as_error(worker))
            return
        if kind == "config":
            self._replace_later(worker.number, fault)
        elif kind == "lost" and "\n" not in fault:
            self._replace(worker, lived, fault)
        else:
            self._replace(worker, lived, f"{kind}\n{fault}" if fault else "without a word")

    def _salvage(self, worker: Worker) -> None:
        never_begun = worker.never_begun()
        for number, exchange in list(worker.exchanges.items()):
            envelopes = never_begun.get(number)
            if envelopes is None:
                self._one_less()
                exchange.lost()
            else:
                exchange.come_back(envelopes)
                if exchange.state is ExchangeState.NEW:
                    self._place(exchange)
                else:
                    self._one_less()
        worker.exchanges.clear()

    def _replace(self, worker: Worker, lived: float, why: str) -> None:
        first, most = BACKOFF
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH else 0
        delay = 0.0 if self._quick_deaths < 2 else min(first * 2.0 ** (self._quick_deaths - 2), most)
        self._log.error("%s ended unexpectedly: %s", str(worker).capitalize(), why)
        self._observer.worker_replaced(worker, delay)
        if worker.copies:
            self._held_copies[worker.number] = worker
        self._restart_later(worker.number, delay)

    def _restart_later(self, number: int, delay: float) -> None:
        self._restarts[number] = self._loop.call_later(delay, self._restart, number)

    def _restart(self, number: int) -> None:
        del self._restarts[number]
        task = self._loop.create_task(self._start_replacement(number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_replacement(self, number: int) -> None:
        if self._closing:
            return
        try:
            await self._start_worker(number)
        except ConfigError as error:
            self._replace_later(number, str(error))

    def _replace_later(self, number: int, why: str) -> None:
        """The system is out of something, such as open files; later there may be more of it."""
        self._log.error("Worker %d can't be replaced yet: %s", number, why)
        self._restart_later(number, BACKOFF[1])

    def _fail(self, error: SnakepitError) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def close(self, deadline: float) -> int:
        """Retire every worker; past `deadline` (loop time) cut and, if need be, abandon.

        Returns how many interpreters stay open: of abandoned workers, and of those with daemon threads.
        """
        self._closing = True
        for handle in self._restarts.values():
            handle.cancel()
        for worker in self.workers:
            self._dispatcher.remove(worker)
            worker.retire()
        living = await self._wait_ended(self.workers, deadline)
        if living:
            for worker in living:
                worker.stop()
            living = await self._wait_ended(living, self._loop.time() + LAST_CALL)
        left_open = 0
        for worker in living:
            if worker.abandon():
                left_open += 1
                self._log.warning("%s does not end; its thread is left to itself", str(worker).capitalize())
            else:
                self._log.warning("%s does not end; it is killed", str(worker).capitalize())
        self._patience.close()
        if self._watch is not None:
            self._watch.cancel()
        return left_open + self._left_open

    async def _wait_ended(self, workers: list[Worker], deadline: float) -> list[Worker]:
        """Wait for workers to end until `deadline`; returns those that have not."""
        try:
            async with asyncio.timeout_at(deadline):
                for worker in workers:
                    await worker.ended.wait()
        except TimeoutError:
            pass
        return [worker for worker in workers if not worker.ended.is_set()]


def _as_error(worker: Worker) -> AppError | ConfigError | WorkerLost:
    kind, fault = worker.failure
    if kind == "config":
        return ConfigError(fault)
    if kind == "import":
        return AppImportError(fault)
    if kind == "lifespan":
        return LifespanError(fault)
    return WorkerLost(f"{worker} ended before it was ready\n{fault}".rstrip())
