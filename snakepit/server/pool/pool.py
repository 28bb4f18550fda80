"""All workers of one app, and the policy that keeps them alive.

The pool starts the workers, replaces them, and retires all of them at the end. What they do meanwhile is the flow's
business (see snakepit.server.dispatch.queue). It knows nothing of sockets and HTTP.

A worker that serves is replaced by make before break: its successor imports the app and completes its start-up, takes
its place, and only then is the worker retired, which finishes what it has begun. A successor that can't start changes
nothing. Who asks for a replacement wants what is on disk then: a successor that is on its way already is dismissed for
a newer one. Reload, recycling and scaling all go this way; so does the end of a worker that nobody asked for, but that
there the break came first.

At the start, a worker that can't start is the end of the server, unless the pool is `patient`: then everything is
answered with what went wrong, until a replacement works. Where another one could start, it is tried again before that
(see snakepit.server.pool.starts, which also says in which order workers start, and how long they may take).

A worker that dies takes with it the exchanges that it had begun: each gets 500, or a broken connection where its
response had begun. Those that it had not taken from its channel go to others.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.dispatch.queue import Flow
from snakepit.server.event_loop.background import spawn
from snakepit.server.event_loop.timers import Timers
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.heartbeat import Health
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.outcome import STOPPING, Outcome, as_error
from snakepit.server.pool.starts import ATTEMPTS, Starts
from snakepit.server.pool.succession import Succession
from snakepit.server.pool.wear import Wear
from snakepit.server.responders import unavailable as error_page
from snakepit.server.workers.runtimes import RUNTIMES
from snakepit.server.workers.worker import Worker
from snakepit.system.memory import resident_memory

if TYPE_CHECKING:
    from snakepit.wire.settings import AppSettings

QUICK_DEATH = 10.0
"""Seconds; a worker that dies sooner after it became ready may do so for ever, so the next one waits."""

BACKOFF = 0.2, 30.0
"""Seconds before the first and before the latest replacement of workers that die quickly; doubled each time."""

LAST_CALL = 3.0
"""Seconds that workers get to shut down once what they were doing has been cut."""

CUT_START = 0.5
"""Seconds that workers get, when the server stops, to leave an import, or to hear that their start-up is to end."""


class Pool:
    """See the module.

    `first_ready` is set when exchanges can be answered, `all_ready` when there have been as many workers as there are
    to be, and `failure` when exchanges never will be answered.
    """

    def __init__(self, options: PoolOptions, observer: Observer, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._observer = observer
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self.flow = Flow(
            options.concurrency, options.waiting, options.waiting_seconds, loop, options.response_seconds, self._stuck
        )
        self._health = Health(lambda: self.workers, options.silent_seconds, self._silent, loop)
        self._starts = Starts(options.startup_seconds, self._start_timed_out)
        self._wear = Wear(self, observer, options.max_rss, options.runtime == "process")
        self._workers: dict[int, Worker] = {}
        self._wanted = options.workers
        self._version = 0
        self._recycling = asyncio.Lock()
        self._closing = False
        self._interface = ""
        self._quick_deaths = 0
        self._left_open = 0  # interpreters that were abandoned, or that daemon threads keep from being closed
        self._abandoned: dict[Worker, bool] = {}  # and whether something stays open
        self._told_of_trouble = False  # since workers were last started
        self._ready_at: dict[Worker, float] = {}
        self._successors: dict[int, Succession] = {}  # by the number of the worker to be replaced
        self._retiring: dict[Worker, Succession | None] = {}  # and who came in its place
        self._lost: dict[int, Worker] = {}  # that have nobody in their place yet, by number
        self._arrivals: dict[int, asyncio.Future[str]] = {}  # what keeps one from starting that was asked for later on
        self._ages = Timers(loop)  # of workers whose lifetime is limited
        self._restarts = Timers(loop)  # by the number of the worker to be replaced
        self._tasks: set[asyncio.Task[object]] = set()
        self._minding: set[asyncio.Task[object]] = set()  # deadlines of retired workers, and memory
        self.first_ready = asyncio.Event()
        self.all_ready = asyncio.Event()
        self.failure: asyncio.Future[SnakepitError] = loop.create_future()

    def __repr__(self) -> str:
        states = ", ".join(f"{worker.number} {worker.state.name}" for worker in self.workers + self.retiring)
        return f"<Pool [{states}] {self.flow}>"

    @property
    def workers(self) -> list[Worker]:
        """The workers, by number."""
        return [self._workers[number] for number in sorted(self._workers)]

    @property
    def retiring(self) -> list[Worker]:
        """Those that were replaced or are not wanted any more, and have not ended yet."""
        return list(self._retiring)

    @property
    def living(self) -> list[Worker]:
        """Those that have not ended, but for the abandoned."""
        workers = dict.fromkeys(self._living)
        return [w for w in workers if not w.ended.is_set() and w.state is not WorkerState.ABANDONED]

    @property
    def serving(self) -> dict[Worker, float]:
        """The workers that get exchanges, and since when (loop time)."""
        return dict(self._ready_at)

    @property
    def in_progress(self) -> int:
        """Exchanges in workers and in the line."""
        return self.flow.in_progress

    @property
    def waiting(self) -> int:
        """Exchanges in the line."""
        return self.flow.waiting

    @property
    def abandoned(self) -> int:
        """Workers that were left to themselves and have not ended."""
        return sum(self._abandoned.values())

    @property
    def wanted(self) -> int:
        """How many workers there are to be."""
        return self._wanted

    @property
    def version(self) -> int:
        """How often the app has been imported anew, or has been tried to be, by all workers; what they serve is one
        of these versions."""
        return self._version

    @property
    def interface(self) -> str:
        """What the app speaks: "asgi" or "wsgi"; empty before the first worker is ready."""
        return self._interface

    def load(self, worker: Worker) -> int:
        """Exchanges that a worker has."""
        return len(worker.exchanges)

    def submit(self, exchange: Exchange) -> None:
        """Give an exchange to a worker, or let it wait, or refuse it with 503."""
        self.flow.submit(exchange)

    def withdraw(self, exchange: Exchange) -> None:
        """Forget an exchange that waits in the line."""
        self.flow.withdraw(exchange)

    async def wait_idle(self) -> None:
        """Return when no exchange is in progress."""
        await self.flow.wait_idle()

    # -- the start, and other numbers of workers -------------------------------------------------------------------

    async def start(self) -> None:
        """Make all workers, and start the first; the others start when that is ready."""
        for number in range(1, self._wanted + 1):
            self._workers[number] = self._make_worker(number)
        await self._starts.begin(self.workers)
        if self._options.max_rss is not None:
            self._spawn(self._wear.watch(), self._minding)

    async def scale(self, workers: int) -> Outcome:
        """Have so many workers, one at least: more are started, those with the highest numbers retire.

        Returns when the new ones are ready or could not start, and the others have ended.
        """
        if self._closing:
            return Outcome(0, STOPPING)
        self._wanted = max(1, workers)
        leaving = [self._dismiss(number) for number in sorted(self._workers) if number > self._wanted]
        started, trouble = self._start_missing()
        if trouble:
            self._log.error("%s", trouble)
        troubles = await asyncio.gather(*(asyncio.shield(arrival) for arrival in self._arrivals.values()))
        ending = [task for task in leaving if task is not None]
        if ending:
            await asyncio.wait(ending)
        return Outcome(started + len(leaving), next(filter(None, [trouble, *troubles]), ""))

    def _start_missing(self) -> tuple[int, str]:
        """Start workers until there are enough; returns how many, and why not more."""
        missing = [number for number in range(1, self._wanted + 1) if number not in self._workers]
        for started, number in enumerate(missing):
            try:
                worker = self._workers[number] = self._make_worker(number)
            except ConfigError as error:  # too many open files
                self._wanted = number - 1
                return started, f"Worker {number} can't be started: {error}"
            self._arrivals[number] = self._loop.create_future()
            self._starts.start(worker)
        return len(missing), ""

    def _arrived(self, number: int, trouble: str) -> None:
        """A worker that was asked for is there, or could not start."""
        arrival = self._arrivals.pop(number, None)
        if arrival is not None:
            arrival.set_result(trouble)

    def _dismiss(self, number: int) -> "asyncio.Task[object] | None":
        """Let a worker go without a successor; returns what waits for its end."""
        why = f"worker {number} is not wanted any more"
        self._arrived(number, why)
        self._ages.forget(number)
        self._restarts.forget(number)
        self._lost.pop(number, None)
        worker = self._workers.pop(number)
        self._drop_successor(number, why)
        return self._see_off(worker, None)

    def _make_worker(self, number: int) -> Worker:
        seats = 1 if self._options.interface == "asgi" else self._options.threads
        if self._options.working_directory is not None:
            self._options.working_directory.enter_anew()
        try:
            runtime = RUNTIMES[self._options.runtime](seats)
            settings: AppSettings = {**self._options.settings, "page_script": self._page_script()}
            return Worker(number, settings, runtime, self, self._loop)
        except OSError as error:
            raise ConfigError(
                f"no channel for worker {number}: {error.strerror}; use fewer interpreters or threads, or raise the "
                "limit on open files (ulimit -n)"
            ) from None

    def _page_script(self) -> str:
        address = self._options.page_script
        return f"{address}{self._version}" if address else ""

    # -- make before break -----------------------------------------------------------------------------------------

    async def replace(self, number: int) -> Outcome:
        """Have a successor take a worker's place as soon as it is ready; returns whether one did.

        What the worker has begun it finishes, after that.
        """
        trouble = await asyncio.shield(self._begin_succession(number))
        return Outcome(0 if trouble else 1, trouble)

    async def reload(self) -> Outcome:
        """Replace every worker, one after the other; stops at the first that can't be."""
        self._version += 1
        count = 0
        for number in sorted(self._workers):
            if number in self._workers:
                outcome = await self.replace(number)
                if not outcome:
                    return Outcome(count, outcome.trouble)
                count += 1
        return Outcome(count)

    async def replace_all(self) -> Outcome:
        """Replace every worker, all at once; the first that can't be ends it."""
        self._version += 1
        numbers = frozenset(self._workers)
        begun = [self._begin_succession(number, numbers) for number in sorted(numbers)]
        troubles = await asyncio.gather(*(asyncio.shield(trouble) for trouble in begun))
        return Outcome(troubles.count(""), next(filter(None, troubles), ""))

    def _begin_succession(self, number: int, siblings: frozenset[int] = frozenset()) -> "asyncio.Future[str]":
        if self._closing:
            return self._refused(STOPPING)
        if number not in self._workers:
            return self._refused(f"there is no worker {number}")
        try:
            worker = self._make_worker(number)
        except ConfigError as error:  # too many open files
            self._log.error("Worker %d can't be replaced now: %s", number, error)
            return self._refused(str(error))
        self._restarts.forget(number)
        self._told_of_trouble = False
        alone = not self._successors and not self._retiring
        succession = self._successors.get(number)
        if succession is None:
            memory = resident_memory() if alone else None
            succession = self._successors[number] = Succession(worker, self._loop.create_future(), memory)
        else:  # what it imports may have changed since it began
            former, succession.worker = succession.worker, worker
            self._see_off(former, None)
        succession.siblings = siblings
        self._starts.start(worker)
        return succession.trouble

    def _refused(self, why: str) -> "asyncio.Future[str]":
        refused: asyncio.Future[str] = self._loop.create_future()
        refused.set_result(why)
        return refused

    def _succeed(self, worker: Worker) -> None:
        """A successor is ready: it takes over."""
        succession = self._successors.pop(worker.number)
        predecessor = self._workers[worker.number]
        self._workers[worker.number] = worker
        self._see_off(predecessor, succession)
        succession.settle("")

    def _drop_successor(self, number: int, why: str) -> None:
        """Let a worker that is on its way not take over."""
        succession = self._successors.pop(number, None)
        if succession is not None:
            self._see_off(succession.worker, None)
            succession.settle(why)
            if number in self._lost:  # and so nobody is in its place
                self._restart_later(number, BACKOFF[0])

    def _see_off(self, worker: Worker, succession: "Succession | None") -> "asyncio.Task[object] | None":
        """Retire a worker, and mind its deadline; returns what does, unless it has ended already."""
        self.flow.remove(worker)
        self._ready_at.pop(worker, None)
        if not self._starts.drop(worker) and worker.state in (WorkerState.STARTING, WorkerState.READY):
            self._retiring[worker] = succession
            worker.retire()
            deadline = self._loop.time() + self._options.retiring_seconds
            return self._spawn(self._end([worker], deadline), self._minding)
        return None

    def _spawn(
        self, coroutine: Coroutine[object, object, object], among: "set[asyncio.Task[object]]"
    ) -> "asyncio.Task[object]":
        return spawn(coroutine, among)

    # -- recycling -------------------------------------------------------------------------------------------------

    def _count_age(self, worker: Worker) -> None:
        options = self._options
        if options.max_requests is not None:
            worker.requests_left = options.max_requests + random.randint(0, options.max_requests_jitter)
        if options.lifetime is not None:
            self._ages.start(worker.number, options.lifetime, self._recycle, worker)

    def _recycle(self, worker: Worker) -> None:
        if self._is_current(worker) and worker.number not in self._successors:
            self._spawn(self.recycle(worker), self._tasks)

    async def recycle(self, worker: Worker) -> bool:
        """Replace a worker when its turn comes, unless it is being replaced; returns False if no other could start."""
        async with self._recycling:  # one at a time: starting takes CPU time from those that serve
            if self._is_current(worker) and worker.number not in self._successors:
                replaced = await self.replace(worker.number)
                if not replaced and self._is_current(worker):
                    self._count_age(worker)
                return bool(replaced)
        return True

    def _is_current(self, worker: Worker) -> bool:
        return self._workers.get(worker.number) is worker

    # -- from the workers ------------------------------------------------------------------------------------------

    def worker_loaded(self, worker: Worker) -> None:
        """A worker imported the app."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker completed its start-up: exchanges may go to it."""
        number = worker.number
        self._ready_at[worker] = self._loop.time()
        self._observer.worker_ready(worker)
        self._arrived(number, "")
        succession = self._successors.get(number)
        if succession is not None and succession.worker is worker:
            self._succeed(worker)
        lost = self._lost.pop(number, None)
        if lost is not None and lost.copies:
            self._tell_of_memory(lost, lost.memory_at_end)
        self._count_age(worker)
        self._health.start()
        self.first_ready.set()
        self._starts.go_on()
        if len(self._ready_at) >= self._wanted:
            self.all_ready.set()
        self._interface = worker.interface
        self.flow.add(worker, worker.capacity if worker.interface == "wsgi" else self._options.worker_concurrency)

    def worker_free(self, worker: Worker) -> None:
        """A worker is through with an exchange."""
        if worker.requests_left is not None:
            worker.requests_left -= 1
            if worker.requests_left == 0:
                self._recycle(worker)
        self.flow.free(worker)

    def worker_declined(self, worker: Worker, exchange: Exchange) -> None:
        """A worker gives an exchange back."""
        self.flow.declined(worker, exchange)

    def worker_heard(self, worker: Worker) -> None:
        """A worker's loop turns."""
        self.flow.heard(worker)

    def worker_missed(self, worker: Worker, seconds: float) -> None:
        """A worker has rung, and was not heard."""
        self.flow.missed(worker, seconds)

    def worker_pace(self, worker: Worker, seconds: float) -> None:
        """A worker knows how long an exchange takes."""
        self.flow.pace(seconds)

    def worker_failed(self, worker: Worker) -> None:
        """A worker can't start: no server without it at the start, another attempt later on."""
        if self._is_current(worker) and not self.all_ready.is_set():
            self._could_not_start(worker)

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
        retired = worker in self._retiring
        succession = self._retiring.pop(worker, None)
        if succession is not None and worker.copies:
            self._tell_of_memory(worker, succession.memory_before)
        if worker.state is WorkerState.ABANDONED:
            self._left_open -= self._abandoned.pop(worker)  # it has come to its end after all
            return
        kind, fault = worker.failure
        told = worker.state is WorkerState.FAILED and retired
        if worker.state is WorkerState.RETIRING and worker.said_goodbye and kind != "lost":
            self._retired_worker_ended(worker)
            return
        if worker.state is not WorkerState.FAILED:
            worker.to(WorkerState.LOST)
        lived = self._loop.time() - self._ready_at.pop(worker, self._loop.time())
        self.flow.salvage(worker)
        worker.to(WorkerState.CLOSED)
        why = fault if kind == "lost" and "\n" not in fault else f"{kind}\n{fault}" if fault else "without a word"
        if self._closing:
            if not self.failure.done():  # or it is most likely the same trouble, and that is being reported
                self._log.error("%s did not end as it should: %s", str(worker).capitalize(), fault or "no word of it")
        elif told:
            pass
        elif retired:
            self._log.error("%s ended unexpectedly: %s", str(worker).capitalize(), why)
        elif not self._is_current(worker):
            self._successor_ended(worker, why)
        elif not self.all_ready.is_set():
            self._ages.forget(worker.number)
            self._could_not_start(worker)
        else:
            self._ages.forget(worker.number)
            self._tell_of_end(worker, why)
            self._worker_lost(worker, lived)

    def _tell_of_end(self, worker: Worker, why: str) -> None:
        kind = worker.failure[0]
        if kind == "timeout":
            self._log.error("%s", why)
        elif kind != "config":
            self._log.error("%s ended unexpectedly: %s", str(worker).capitalize(), why)

    def _retired_worker_ended(self, worker: Worker) -> None:
        """A worker ended that was told to."""
        self.flow.salvage(worker)
        worker.to(WorkerState.CLOSED)
        kind, fault = worker.failure
        if kind == "lifespan" and not self.failure.done():  # in its shut-down; one that was still starting is no loss
            self._log.error("%s: %s", str(worker).capitalize(), fault)

    def _successor_ended(self, worker: Worker, why: str) -> None:
        """A worker that was to replace another could not start."""
        number = worker.number
        succession = self._successors.get(number)
        if succession is None or succession.worker is not worker:
            return  # it was dropped when it had failed already
        del self._successors[number]
        predecessor = self._workers[number]
        if number in self._lost:
            self._tell_of_end(worker, why)
            self._worker_lost(worker, 0.0)
        elif predecessor.state in (WorkerState.STARTING, WorkerState.READY):
            self._observer.successor_failed(worker, worker.failure[1] or why)
            if predecessor.state is WorkerState.READY:
                self._count_age(predecessor)  # its time may have come meanwhile
        else:
            self._could_not_start(worker)
        trouble = str(as_error(worker))
        succession.settle(trouble)
        for sibling in succession.siblings:  # it would most likely fail in the same way, and is not to take over
            self._drop_successor(sibling, trouble)

    def _worker_lost(self, worker: Worker, lived: float) -> None:
        """A worker is no more that was to serve; another is to come."""
        number, kind = worker.number, worker.failure[0]
        self._arrived(number, str(as_error(worker)))
        self._lost[number] = worker
        if kind == "config":
            self._replace_later(number, worker.failure[1])
            return
        first, most = BACKOFF
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH else 0
        delay = 0.0 if self._quick_deaths < 2 else min(first * 2.0 ** (self._quick_deaths - 2), most)
        if self._options.patient and kind in ("import", "lifespan", "timeout") and not self._ready_at:
            self._show(worker)
        if number not in self._successors:  # or one is on its way anyhow
            self._observer.worker_replaced(worker, delay)
            self._restart_later(number, delay)

    def _could_not_start(self, worker: Worker) -> None:
        """A worker could not start, and none has served in its place."""
        if self._is_current(worker) and self._try_again(worker):
            return
        if not self._options.patient:
            if not self.failure.done():
                self.failure.set_result(as_error(worker))
            return
        self._starts.go_on()
        if not self._told_of_trouble:
            self._told_of_trouble = True  # the others most likely have the same
            self._log.error("%s can't start: %s", str(worker).capitalize(), as_error(worker))
            if not self._ready_at:
                self._show(worker)
                self._log.error("Every request gets 500 until a file changes")

    def _try_again(self, worker: Worker) -> bool:
        """If another worker could start, give this one's place another attempt; returns whether there is one."""
        error = as_error(worker)
        if not self._ready_at or self._closing or isinstance(error, ConfigError):
            return False
        pause = self._starts.pause_before_next_attempt(worker.number)
        name = str(worker).capitalize()
        if pause is None:
            self._log.error("%s could not start in %d attempts, though another one could", name, ATTEMPTS)
            return False
        self._log.warning("%s could not start, though another one could; it is tried again: %s", name, error)
        if not worker.ended.is_set() and worker not in self._retiring:
            self._retiring[worker] = None
            self._spawn(self._end([worker], self._loop.time() + self._options.retiring_seconds), self._minding)
        self._restarts.start(worker.number, pause, self._restart, worker.number)
        return True

    def _start_timed_out(self, worker: Worker, fault: str) -> None:
        """A worker took too long to start: it is ended, if it can be, and nobody waits for it."""
        worker.failure = ("timeout", fault)
        worker.to(WorkerState.FAILED)
        self._retiring[worker] = None
        self._spawn(self._cut_start([worker], self._loop.time() + self._options.retiring_seconds), self._minding)
        if not self._is_current(worker):
            self._successor_ended(worker, fault)
        elif not self.all_ready.is_set():
            self._could_not_start(worker)
        else:
            self._tell_of_end(worker, fault)
            self._worker_lost(worker, 0.0)

    def _show(self, worker: Worker) -> None:
        """Answer everything with what keeps a worker from starting."""
        self.flow.answer_instead(500, error_page.FIELDS, error_page.body(str(as_error(worker)), self._page_script()))
        self.first_ready.set()

    def _tell_of_memory(self, predecessor: Worker, before: int | None) -> None:
        now = resident_memory()
        size = None if now is None or before is None else max(0, now - before)
        self._observer.memory_kept(predecessor, size)
        self._wear.kept(sum(file for _, file in predecessor.copies) if size is None else size)

    def reopen_logs(self) -> None:
        """Have all workers open log files anew that were moved away."""
        for worker in self._living:
            if worker.state in (WorkerState.READY, WorkerState.RETIRING):
                worker.reopen_logs()

    # -- what hangs --------------------------------------------------------------------------------------------------

    def _stuck(self, worker: Worker, exchange: Exchange) -> None:
        """An exchange timed out and can't be ended: replace its worker, once."""
        if self._closing or worker.outworn or not self._is_current(worker) or self._options.runtime == "thread":
            return
        if worker.state is WorkerState.READY:
            worker.outworn = True
            self._log.error(
                "%s is replaced: %s, which timed out there, can't be ended%s",
                str(worker).capitalize(),
                exchange.asked_for,
                f"\n{exchange.where}" if exchange.where else "",
            )
            self._spawn(self._replace_outworn(worker), self._tasks)

    async def _replace_outworn(self, worker: Worker) -> None:
        await self.recycle(worker)
        worker.outworn = False  # if it is still there, what hangs next gives another reason to try

    def _silent(self, worker: Worker) -> None:
        """A worker does not answer: others get what it has not begun, and another its place."""
        self._log.error("%s has not answered for %g s", str(worker).capitalize(), self._options.silent_seconds)
        self._ages.forget(worker.number)
        lived = self._loop.time() - self._ready_at.pop(worker, self._loop.time())
        worker.failure = ("lost", "it did not answer")
        worker.to(WorkerState.LOST)
        self._abandon(worker, 504)
        self._worker_lost(worker, lived)

    # -- in place of workers that were lost ------------------------------------------------------------------------

    def _restart_later(self, number: int, delay: float) -> None:
        if not self._closing and number not in self._successors:
            self._restarts.start(number, delay, self._restart, number)

    def _restart(self, number: int) -> None:
        try:
            worker = self._workers[number] = self._make_worker(number)
        except ConfigError as error:
            self._replace_later(number, str(error))
        else:
            self._starts.start(worker)

    def _replace_later(self, number: int, why: str) -> None:
        """The system is out of something, such as open files; later there may be more of it."""
        self._log.error("Worker %d can't be replaced yet: %s", number, why)
        self._restart_later(number, BACKOFF[1])

    # -- the end -----------------------------------------------------------------------------------------------------

    async def close(self, deadline: float) -> int:
        """Retire every worker; past `deadline` (loop time) cut and, if need be, abandon.

        Returns how many interpreters stay open: of abandoned workers, and of those with daemon threads.
        """
        self._closing = True
        self._starts.close()
        self._health.close()
        self._restarts.close()
        self._ages.close()
        for task in self._minding:
            task.cancel()
        serving = [worker for worker in self.workers if worker.state is not WorkerState.ABANDONED]
        workers = [*serving, *(succession.worker for succession in self._successors.values())]
        for succession in self._successors.values():
            succession.settle(STOPPING)
        for number in list(self._arrivals):
            self._arrived(number, STOPPING)
        starting = [w for w in workers if w.state is WorkerState.STARTING or w.failure[0] == "timeout"]
        for worker in workers:
            self.flow.remove(worker)
            worker.retire()
        others = [worker for worker in (*workers, *self._retiring) if worker not in starting]
        await asyncio.gather(self._cut_start(starting, deadline), self._end(others, deadline))
        for worker in self._abandoned:
            worker.let_go()
        self.flow.close()
        return self._left_open

    async def _cut_start(self, workers: list[Worker], deadline: float) -> None:
        """Stop workers that are on their way: nobody waits for them. What a start-up has begun may be ended in time."""
        for worker in workers:
            worker.stop()
        living = await self._wait_ended(workers, self._loop.time() + CUT_START)
        for worker in living:
            if not worker.ends_start_up:
                self._abandon(worker)
        await self._end([worker for worker in living if worker.state is not WorkerState.ABANDONED], deadline)

    def kill(self) -> None:
        """Kill whatever can be killed: the loop does not run any more, and this is all that can be done without it."""
        for worker in self._living:
            worker.kill()

    @property
    def _living(self) -> list[Worker]:
        """All workers, with those that are to come and those that retire."""
        successors = [succession.worker for succession in self._successors.values()]
        return [*self.workers, *successors, *self._retiring]

    async def _end(self, workers: list[Worker], deadline: float) -> None:
        """Wait for retired workers; past `deadline` cut and, if need be, abandon."""
        living = await self._wait_ended(workers, deadline)
        if living:
            for worker in living:
                worker.stop()
            living = await self._wait_ended(living, self._loop.time() + LAST_CALL)
        for worker in living:
            if worker.state is not WorkerState.ABANDONED:
                self._abandon(worker)

    def _abandon(self, worker: Worker, status: int = 500) -> None:
        """Wait for a worker no more; what it has begun is answered like this."""
        self._retiring.pop(worker, None)
        self.flow.salvage(worker, status)
        worker.stop()  # once more: what it had not read was taken back, and it is to end if it ever can
        self._abandoned[worker] = worker.abandon()
        self._left_open += self._abandoned[worker]
        if self._abandoned[worker]:
            self._log.warning("%s does not end; its thread is left to itself", str(worker).capitalize())
        else:
            self._log.warning("%s does not end; it is killed", str(worker).capitalize())
        if self._abandoned[worker]:
            self._loop.call_later(LAST_CALL, self._mind_abandoned)  # an exception may yet end it

    def _mind_abandoned(self) -> None:
        if self.abandoned >= self._wanted and not self._closing:
            reason = f"{self.abandoned} abandoned worker{'s have' if self.abandoned > 1 else ' has'} not ended"
            if not self._observer.worn_out(reason):
                self._log.warning("The server should be restarted: %s", reason)

    async def _wait_ended(self, workers: list[Worker], deadline: float) -> list[Worker]:
        """Wait for workers to end until `deadline`; returns those that have not."""
        try:
            async with asyncio.timeout_at(deadline):
                for worker in workers:
                    await worker.ended.wait()
        except TimeoutError:
            pass
        return [worker for worker in workers if not worker.ended.is_set()]
