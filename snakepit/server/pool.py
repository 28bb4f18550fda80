"""All workers of one app, and the policy that keeps them alive.

The pool starts the workers, gives exchanges to them as the dispatcher says, replaces them, and retires all of them at
the end. It knows nothing of sockets and HTTP.

A worker that serves is replaced by make before break: its successor imports the app and completes its start-up, takes
its place, and only then is the worker retired, which finishes what it has begun. A successor that can't start changes
nothing. Reload, recycling and scaling all go this way; so does the end of a worker that nobody asked for, but that
there the break came first.

A worker that dies takes with it the exchanges that it had begun: each gets 500, or a broken connection where its
response had begun. Those that it had not taken from its channel go to others.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from dataclasses import dataclass

from snakepit.errors import AppError, AppImportError, ConfigError, LifespanError, SnakepitError, WorkerLost
from snakepit.lifecycle import ExchangeState, WorkerState
from snakepit.memory import resident_memory
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
        retiring_seconds: how long a retired worker may take to finish what it has begun.
        max_requests: exchanges after which a worker is replaced; None: never.
        max_requests_jitter: up to so many more, at random, so that workers are not all replaced at once.
        lifetime: seconds after which a worker is replaced; None: never.
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
    retiring_seconds: float = 30.0
    max_requests: int | None = None
    max_requests_jitter: int = 0
    lifetime: float | None = None


class Observer:
    """Whoever wants to follow the workers' lives; does nothing by itself."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker takes exchanges now."""

    def worker_replaced(self, worker: Worker, delay: float) -> None:
        """A worker ended by itself; another is started after `delay` seconds."""

    def successor_failed(self, worker: Worker, fault: str) -> None:
        """A worker that was to replace another could not start; the other goes on."""

    def memory_kept(self, predecessor: Worker, size: int | None) -> None:
        """A worker that held private copies of C extensions has been replaced, and what these keep stays in memory.

        `size`: by how many bytes the process has grown, if that can be told. A process in which this happens often
        should be replaced itself.
        """


@dataclass(frozen=True, slots=True)
class Succession:
    """A worker that is to take another's place."""

    worker: Worker
    outcome: "asyncio.Future[bool]"
    memory_before: int | None
    """Bytes resident in the process when it began."""


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
        self._wanted = options.workers
        self._recycling = asyncio.Lock()
        self._closing = False
        self._quick_deaths = 0
        self._left_open = 0  # interpreters that daemon threads keep from being closed
        self._ready_at: dict[Worker, float] = {}
        self._successors: dict[int, Succession] = {}  # by the number of the worker to be replaced
        self._retiring: dict[Worker, Succession | None] = {}  # and who came in its place
        self._lost: dict[int, Worker] = {}  # that are being replaced, by number
        self._ages: dict[int, asyncio.TimerHandle] = {}  # of workers whose lifetime is limited
        self._restarts: dict[int, asyncio.TimerHandle] = {}  # by the number of the worker to be replaced
        self._tasks: set[asyncio.Task[object]] = set()
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
    def wanted(self) -> int:
        """How many workers there are to be."""
        return self._wanted

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

    async def replace(self, number: int) -> bool:
        """Have a successor take a worker's place as soon as it is ready; returns whether it did.

        What the worker has begun it finishes, after that.
        """
        succession = self._successors.get(number)
        if succession is None:
            if self._closing or number not in self._workers:
                return False
            restart = self._restarts.pop(number, None)
            if restart is not None:
                restart.cancel()
            try:
                worker = self._make_worker(number)
            except ConfigError as error:  # too many open files
                self._log.error("Worker %d can't be replaced now: %s", number, error)
                return False
            succession = self._successors[number] = Succession(worker, self._loop.create_future(), resident_memory())
            await worker.start()
        return await asyncio.shield(succession.outcome)

    async def reload(self) -> bool:
        """Replace every worker, one after the other; stops at the first that can't be. Returns whether all were."""
        for number in sorted(self._workers):
            if number in self._workers and not await self.replace(number):
                return False
        return True

    async def replace_all(self) -> bool:
        """Replace every worker, all at once. Returns whether all were."""
        outcomes = await asyncio.gather(*map(self.replace, sorted(self._workers)))
        return all(outcomes)

    async def scale(self, workers: int) -> None:
        """Have so many workers, one at least: more are started, those with the highest numbers retire."""
        self._wanted = max(1, workers)
        for number in range(1, self._wanted + 1):
            if number not in self._workers and number not in self._restarts:
                await self._start_worker(number)
        for number in [number for number in self._workers if number > self._wanted]:
            self._dismiss(number)

    def _dismiss(self, number: int) -> None:
        """Let a worker go without a successor."""
        self._forget_age(number)
        if number in self._restarts:
            self._restarts.pop(number).cancel()
        worker = self._workers.pop(number)
        succession = self._successors.pop(number, None)
        if succession is not None:
            self._see_off(succession.worker, None)
            succession.outcome.set_result(False)
        self._see_off(worker, None)

    def _see_off(self, worker: Worker, succession: "Succession | None") -> None:
        """Retire a worker, and mind its deadline."""
        self._dispatcher.remove(worker)
        self._ready_at.pop(worker, None)
        if worker.state not in (WorkerState.STARTING, WorkerState.READY):
            return
        self._retiring[worker] = succession
        worker.retire()
        self._spawn(self._mind(worker))

    async def _mind(self, worker: Worker) -> None:
        """Cut what a retired worker does not finish in time."""
        await self._end([worker], self._loop.time() + self._options.retiring_seconds)

    def _succeed(self, worker: Worker) -> None:
        """A successor is ready: it takes over."""
        succession = self._successors.pop(worker.number)
        predecessor = self._workers[worker.number]
        self._workers[worker.number] = worker
        self._see_off(predecessor, succession)
        if not succession.outcome.done():
            succession.outcome.set_result(True)

    def _count_age(self, worker: Worker) -> None:
        options = self._options
        if options.max_requests is not None:
            worker.requests_left = options.max_requests + random.randint(0, options.max_requests_jitter)
        if options.lifetime is not None:
            self._forget_age(worker.number)
            self._ages[worker.number] = self._loop.call_later(options.lifetime, self._recycle, worker)

    def _forget_age(self, number: int) -> None:
        handle = self._ages.pop(number, None)
        if handle is not None:
            handle.cancel()

    def _recycle(self, worker: Worker) -> None:
        if self._workers.get(worker.number) is worker and worker.number not in self._successors:
            self._spawn(self._recycle_in_turn(worker))

    async def _recycle_in_turn(self, worker: Worker) -> None:
        async with self._recycling:  # one at a time: starting takes CPU time from those that serve
            if self._workers.get(worker.number) is worker and not await self.replace(worker.number):
                self._count_age(worker)

    def _spawn(self, coroutine: Coroutine[object, object, object]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_worker(self, number: int) -> None:
        worker = self._workers[number] = self._make_worker(number)
        await worker.start()

    def _make_worker(self, number: int) -> Worker:
        seats = 1 if self._options.interface == "asgi" else self._options.threads
        try:
            runtime = RUNTIMES[self._options.runtime](seats)
            return Worker(number, self._options.settings, runtime, self, self._loop)
        except OSError as error:
            raise ConfigError(
                f"no channel for worker {number}: {error.strerror}; use fewer interpreters or threads, or raise the "
                "limit on open files (ulimit -n)"
            ) from None

    def worker_loaded(self, worker: Worker) -> None:
        """A worker imported the app."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker completed its start-up: exchanges may go to it."""
        self._ready_at[worker] = self._loop.time()
        self._observer.worker_ready(worker)
        if worker.number in self._successors and self._successors[worker.number].worker is worker:
            self._succeed(worker)
        lost = self._lost.pop(worker.number, None)
        if lost is not None and lost.copies:
            self._tell_of_memory(lost, lost.memory_at_end)
        self._count_age(worker)
        self.first_ready.set()
        if len(self._ready_at) >= self._wanted:
            self.all_ready.set()
        capacity = worker.capacity if worker.interface == "wsgi" else self._options.worker_concurrency
        self._assign(self._dispatcher.add(worker, capacity))

    def worker_free(self, worker: Worker) -> None:
        """A worker is through with an exchange."""
        self._one_less()
        if worker.requests_left is not None:
            worker.requests_left -= 1
            if worker.requests_left == 0:
                self._recycle(worker)
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
        succession = self._retiring.pop(worker, None)
        if succession is not None and worker.copies:
            self._tell_of_memory(worker, succession.memory_before)
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
        if self._workers.get(worker.number) is not worker:
            self._successor_failed(worker, f"{kind}\n{fault}" if fault else "without a word")
            return
        self._forget_age(worker.number)
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

    def _successor_failed(self, worker: Worker, why: str) -> None:
        succession = self._successors.get(worker.number)
        if succession is None or succession.worker is not worker:
            if not self._closing:  # a retired one that did not end as it should
                self._log.error("%s ended unexpectedly: %s", str(worker).capitalize(), why)
            return
        del self._successors[worker.number]
        if not self._closing:
            self._observer.successor_failed(worker, worker.failure[1] or why)
        if not succession.outcome.done():
            succession.outcome.set_result(False)
        lost = self._lost.get(worker.number)
        if lost is not None and not self._closing:  # and so nobody serves in its place
            self._restart_later(worker.number, BACKOFF[0])

    def _tell_of_memory(self, predecessor: Worker, before: int | None) -> None:
        now = resident_memory()
        size = None if now is None or before is None else max(0, now - before)
        self._observer.memory_kept(predecessor, size)

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
        self._lost[worker.number] = worker
        if worker.number in self._successors:  # one is on its way anyhow
            return
        self._observer.worker_replaced(worker, delay)
        self._restart_later(worker.number, delay)

    def _restart_later(self, number: int, delay: float) -> None:
        self._restarts[number] = self._loop.call_later(delay, self._restart, number)

    def _restart(self, number: int) -> None:
        del self._restarts[number]
        self._spawn(self._start_replacement(number))

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
        for handle in (*self._restarts.values(), *self._ages.values()):
            handle.cancel()
        workers = [*self.workers, *(succession.worker for succession in self._successors.values())]
        for succession in self._successors.values():
            if not succession.outcome.done():
                succession.outcome.set_result(False)
        for worker in workers:
            self._dispatcher.remove(worker)
            worker.retire()
        left_open = await self._end([*workers, *self._retiring], deadline)
        self._patience.close()
        if self._watch is not None:
            self._watch.cancel()
        return left_open + self._left_open

    async def _end(self, workers: list[Worker], deadline: float) -> int:
        """Wait for retired workers; past `deadline` cut and, if need be, abandon. Returns how many stay open."""
        living = await self._wait_ended(workers, deadline)
        if living:
            for worker in living:
                worker.stop()
            living = await self._wait_ended(living, self._loop.time() + LAST_CALL)
        left_open = 0
        for worker in living:
            if worker.state is WorkerState.ABANDONED:
                continue
            if worker.abandon():
                left_open += 1
                self._log.warning("%s does not end; its thread is left to itself", str(worker).capitalize())
            else:
                self._log.warning("%s does not end; it is killed", str(worker).capitalize())
        return left_open

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
