"""All workers of one app, and what is done to them.

Whom to start, to retire, to abandon the roster decides (see snakepit.server.pool.roster): the pool tells it what
happens, and carries out what it says. What workers do meanwhile is the business of the queue (see
snakepit.server.dispatch.queue), and whether they should be replaced that of the heartbeat, of the watch over starts, of
recycling and of the wear. Each of these reads the roster, and calls the pool with what it found.

A worker that dies takes with it the exchanges that it had begun. Those that it had not taken from its channel go to
others.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping

from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.dispatch.queue import SET_UP_LATE, RequestQueue
from snakepit.server.event_loop.timers import Timers
from snakepit.server.events.kinds import Kind
from snakepit.server.exchanges.body_file import NewFile
from snakepit.server.exchanges.kept_answer import KeptAnswers
from snakepit.server.exchanges.kept_body import KeptBodies
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import actions, endings
from snakepit.server.pool.actions import Action
from snakepit.server.pool.endings import Endings
from snakepit.server.pool.factory import WorkerFactory
from snakepit.server.pool.growth import Growth
from snakepit.server.pool.heartbeat import Heartbeat
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.outcome import STOPPING, Outcome
from snakepit.server.pool.recycling import Recycling
from snakepit.server.pool.roster import Roster
from snakepit.server.pool.starts import Starts
from snakepit.server.pool.wear import Wear
from snakepit.server.responders.failure_page import failure_page
from snakepit.server.responders.unavailable import Unavailable
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.system.memory import resident_memory, return_freed_memory_aside
from snakepit.system.words import capitalized

_log = logging.getLogger("snakepit.server")


class Pool:
    """Starts the workers of one app, has them replaced, and retires all of them at the end.

    `first_ready` is set when exchanges can be answered, `all_ready` when there have been as many workers as there are
    to be, and `failure` when exchanges never will be answered.
    """

    def __init__(self, options: PoolOptions, observer: Observer, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._observer = observer
        self._loop = loop
        self._roster = roster = Roster(options.workers, options.patient)
        self._recycling = recycling = Recycling(options, roster, self.replace, observer, loop)
        self.queue = RequestQueue(
            options.concurrency, options.waiting, options.waiting_seconds, loop, options.response_seconds,
            recycling.exchange_hangs, _kept_bodies(options), _kept_answers(options), observer,
        )  # fmt: skip
        self._heartbeat = Heartbeat(roster, options.silent_seconds, self._worker_silent, loop)
        self._starts = Starts(options.startup_seconds, self._start_timed_out)
        self._wear = Wear(roster, options.max_rss, options.runtime == "process", recycling.recycle, observer.worn_out)
        self._growth: Growth | None = None
        if options.max_workers > options.workers:
            self._growth = Growth(
                options.workers, options.max_workers, roster, self.queue, self._at_once, self._grow, options.app
            )
        self._factory = WorkerFactory(options, self, loop)
        self._endings = Endings(options.retiring_seconds, options.closing_seconds, self._did_not_end, loop)
        self._restarts = Timers(loop)  # by the number of the worker to be replaced
        self._settling: dict[int, asyncio.Future[str]] = {}  # what keeps a place from being taken; empty: it was
        self._arriving: dict[int, asyncio.Future[str]] = {}  # what keeps one from starting that was asked for later on
        self._counts = options.max_requests is not None  # what workers serve
        self.version = 0
        self.first_ready = asyncio.Event()
        self.all_ready = asyncio.Event()
        self.failure: asyncio.Future[SnakepitError] = loop.create_future()

    def __repr__(self) -> str:
        return f"<Pool {self._roster} {self.queue}>"

    @property
    def workers(self) -> list[WorkerHandle]:
        """The workers, by number."""
        return self._roster.workers

    @property
    def retiring(self) -> list[WorkerHandle]:
        """Those that were replaced or are not wanted any more, and have not ended yet."""
        return self._roster.retiring

    @property
    def living(self) -> list[WorkerHandle]:
        """Those that have not ended, but for the abandoned."""
        return [worker for worker in self.unended if worker.state is not WorkerState.ABANDONED]

    @property
    def unended(self) -> list[WorkerHandle]:
        """Those that have not ended, with the abandoned."""
        found = dict.fromkeys([*self._roster.unended, *self._roster.remains.abandoned])
        return [worker for worker in found if not worker.thread.ended.is_set()]

    @property
    def first_of_serving(self) -> WorkerHandle | None:
        """The worker that has got exchanges for the longest time."""
        serving = self._roster.serving
        return min(serving, key=lambda worker: serving[worker], default=None)

    @property
    def abandoned(self) -> int:
        """Workers that were left to themselves and have not ended."""
        return self._roster.remains.hanging

    @property
    def replaced(self) -> Mapping[str, int]:
        """How many workers others came in place of, by the reason."""
        return self._roster.replaced

    @property
    def wanted(self) -> int:
        """How many workers there are to be."""
        return self._roster.wanted

    # -- the start, and other numbers of workers -------------------------------------------------------------------

    async def start(self) -> None:
        """Make all workers, and start the first; the others start when that is ready."""
        first = self._roster.begin([self._make_worker(number) for number in self._roster.missing])
        await self._starts.start_first(first)
        if self._options.max_rss is not None:
            self._wear.start(self.all_ready)
        if self._growth is not None:
            self._growth.start(self.first_ready)

    async def scale(self, workers: int) -> Outcome:
        """Have so many workers, one at least: more are started, those with the highest numbers retire.

        Returns when the new ones are ready or could not start, and the others have ended. A pool that grows has so many
        at least from now on.
        """
        if self._growth is not None:
            self._growth.least = workers
        return await self._scale(workers)

    async def _grow(self, workers: int) -> Outcome:
        before, of = self.wanted, f" of {self._options.app}" if self._options.app else ""
        reason = "load" if workers > before else "quiet"
        self._observer.happened(Kind.SCALED, f"Workers{of}: {workers}, were {before}", reason=reason)
        return await self._scale(workers)

    async def _scale(self, workers: int) -> Outcome:
        if self._roster.closing:
            return Outcome(0, STOPPING)
        leaving, decided = self._roster.scale(max(1, workers))
        ending = self._carry_out(decided)
        started, trouble = self._start_missing()
        troubles = await asyncio.gather(*(asyncio.shield(arrival) for arrival in self._arriving.values()))
        ends = [ending[worker] for worker in leaving if worker in ending]
        if ends:
            await asyncio.wait(ends)
        return Outcome(started + len(leaving), next(filter(None, [trouble, *troubles]), ""))

    def _at_once(self) -> int:
        return self._options.threads if self.queue.interface == "wsgi" else 1

    def _start_missing(self) -> tuple[int, str]:
        """Start workers until there are enough; returns how many, and why not more."""
        missing = self._roster.missing
        for started, number in enumerate(missing):
            try:
                worker = self._make_worker(number)
            except ConfigError as error:  # too many open files
                self._carry_out(self._roster.not_made(number, str(error)))
                return started, f"Worker {number} can't be started: {error}"
            self._arriving[number] = self._loop.create_future()
            self._carry_out(self._roster.joined(worker))
        return len(missing), ""

    def _make_worker(self, number: int) -> WorkerHandle:
        return self._factory.make(number, self.version)

    # -- replacements ----------------------------------------------------------------------------------------------

    async def replace(self, number: int, reason: str = "reload") -> Outcome:
        """Have a successor take a worker's place as soon as it is ready; returns whether one did.

        What the worker has begun it finishes, after that. `reason`: one of the roster's REASONS.
        """
        trouble = await asyncio.shield(self._begin_succession(number, reason))
        return Outcome(0 if trouble else 1, trouble)

    async def reload(self) -> Outcome:
        """Replace every worker, one after the other; stops at the first that can't be."""
        self.version += 1
        count = 0
        for number in self._roster.numbers:
            if number in self._roster.numbers:  # still
                outcome = await self.replace(number)
                if not outcome:
                    return Outcome(count, outcome.trouble)
                count += 1
        return Outcome(count)

    async def replace_all(self) -> Outcome:
        """Replace every worker, all at once; the first that can't be ends it."""
        self.version += 1
        numbers = self._roster.numbers
        begun = [self._begin_succession(number, "reload", numbers) for number in numbers]
        troubles = await asyncio.gather(*(asyncio.shield(trouble) for trouble in begun))
        return Outcome(troubles.count(""), next(filter(None, troubles), ""))

    def _begin_succession(self, number: int, reason: str, siblings: Collection[int] = ()) -> "asyncio.Future[str]":
        refusal = self._roster.refusal(number)
        if refusal:
            return self._refused(refusal)
        try:
            worker = self._make_worker(number)
        except ConfigError as error:  # too many open files
            _log.error("Worker %d can't be replaced now: %s", number, error)
            return self._refused(str(error))
        memory = None if self._roster.changes else resident_memory()
        settling = self._settling.get(number) or self._settling.setdefault(number, self._loop.create_future())
        self._carry_out(self._roster.succession_began(worker, memory, reason, siblings))
        return settling

    def _refused(self, why: str) -> "asyncio.Future[str]":
        refused: asyncio.Future[str] = self._loop.create_future()
        refused.set_result(why)
        return refused

    # -- from the workers ------------------------------------------------------------------------------------------

    def worker_loaded(self, worker: WorkerHandle) -> None:
        """A worker imported the app."""
        self.queue.heed(worker.report.frameworks)

    def worker_ready(self, worker: WorkerHandle) -> None:
        """A worker completed its start-up: exchanges may go to it."""
        self._observer.worker_ready(worker)
        self._carry_out(self._roster.ready(worker, self._loop.time()))
        if self._options.runtime == "interpreter":
            return_freed_memory_aside()
        self._heartbeat.start()
        if worker.report.interface == "wsgi":
            self.queue.add(worker, worker.capacity, first_alone=not SET_UP_LATE.isdisjoint(worker.report.frameworks))
        else:
            self.queue.add(worker, self._options.worker_concurrency)

    def worker_free(self, worker: WorkerHandle, count: int) -> None:
        """A worker is through with so many exchanges."""
        if self._counts:
            self._recycling.served(worker)
        self.queue.finished(worker, count)

    def worker_failed(self, worker: WorkerHandle) -> None:
        """A worker can't start."""
        self._carry_out(self._roster.failed(worker))

    def worker_ended(self, worker: WorkerHandle) -> None:
        """A worker's thread has ended."""
        self._recycling.ended(worker)
        self._carry_out(self._roster.ended(worker, self._loop.time()))

    # -- from those that watch workers -----------------------------------------------------------------------------

    def _start_timed_out(self, worker: WorkerHandle, fault: str) -> None:
        """A worker took too long to start: it is ended, if it can be, and the pool does not wait for it."""
        worker.give_up(WorkerState.FAILED, "timeout", fault)
        self._carry_out(self._roster.start_timed_out(worker))

    def _worker_silent(self, worker: WorkerHandle) -> None:
        """A worker does not answer."""
        text = f"{capitalized(worker)} has not answered for {self._options.silent_seconds:g} s"
        _log.error("%s", text)
        self._observer.happened(Kind.WORKER_LOST, text, worker.number, "silent")
        worker.give_up(WorkerState.LOST, "lost", "it did not answer")
        self._carry_out(self._roster.silent(worker, self._loop.time()))

    # -- what the roster has decided -------------------------------------------------------------------------------

    def _carry_out(self, decided: list[Action]) -> "dict[WorkerHandle, asyncio.Task[None]]":
        """Do what the roster says, in this order; returns what waits for the end of workers that retire."""
        ending: dict[WorkerHandle, asyncio.Task[None]] = {}
        for action in decided:
            match action:
                case actions.Start(worker):
                    self._starts.start(worker)
                case actions.Drop(worker):
                    worker.drop()
                case actions.Retire(worker):
                    self.queue.remove(worker)
                    worker.retire()
                    ending[worker] = self._endings.await_end(worker)
                case actions.AwaitEnd(worker):
                    self._endings.await_end(worker)
                case actions.CutStart(worker):
                    self._endings.cut_start(worker)
                case actions.Abandon(worker, silent):
                    self._abandon(worker, silent)
                case actions.Close(worker, lost):
                    self._close_ended(worker, lost)
                case actions.Restart(number, seconds):
                    self._restarts.start(number, seconds, self._restart, number)
                case actions.CancelRestart(number):
                    self._restarts.forget(number)
                case actions.CountAge(worker):
                    self._recycling.count_age(worker)
                case actions.ForgetAge(number):
                    self._recycling.forget_age(number)
                case actions.Arrived(number, trouble):
                    self._arriving.pop(number).set_result(trouble)
                case actions.Settled(number, trouble):
                    self._settling.pop(number).set_result(trouble)
                case actions.Replaced(worker, seconds):
                    self._observer.worker_replaced(worker, seconds)
                case actions.SuccessorFailed(worker, fault):
                    self._observer.successor_failed(worker, fault)
                case actions.KeepMemory(worker, before):
                    self._keep_memory(worker, before)
                case actions.GiveUp(error):
                    self.failure.set_result(error)
                case actions.AnswerInstead(error):
                    self._answer_instead(error)
                case actions.Tell(level, text):
                    _log.log(level, "%s", text)
                case actions.Note(kind, text, number, reason):
                    self._observer.happened(kind, text, number, reason)
        if self._roster.first_ready:
            self.first_ready.set()
        if self._roster.all_ready:
            self.all_ready.set()
        return ending

    def _close_ended(self, worker: WorkerHandle, lost: bool) -> None:
        if lost:
            worker.to(WorkerState.LOST)
        self.queue.worker_gone(worker)
        worker.to(WorkerState.CLOSED)

    def _restart(self, number: int) -> None:
        try:
            worker = self._make_worker(number)
        except ConfigError as error:
            self._carry_out(self._roster.not_restarted(number, str(error)))
        else:
            self._carry_out(self._roster.restarted(worker))

    def _answer_instead(self, error: SnakepitError) -> None:
        script = self._factory.page_script(self.version)
        page = failure_page(error, bool(script))
        self.queue.answer_instead(Unavailable(str(error), script, page))

    def _keep_memory(self, predecessor: WorkerHandle, before: int | None) -> None:
        now = resident_memory()
        size = None if now is None or before is None else max(0, now - before)
        self._observer.memory_kept(predecessor, size)
        self._wear.kept(sum(file for _, file in predecessor.report.copies) if size is None else size)

    def reopen_logs(self) -> None:
        """Have all workers open log files anew that were moved away."""
        for worker in self._roster.unended:
            if worker.state in (WorkerState.READY, WorkerState.RETIRING):
                worker.watchdog.reopen_logs()

    # -- the end -----------------------------------------------------------------------------------------------------

    async def close(self, deadline: float) -> int:
        """Retire every worker; past `deadline` (loop time) cut and, if need be, abandon.

        Returns how many interpreters stay open: of abandoned workers, and of those with daemon threads.
        """
        self._starts.close()
        self._heartbeat.close()
        self._restarts.close()
        self._recycling.close()
        if self._growth is not None:
            self._growth.close()
        self._endings.forget_deadlines()
        self._wear.close()
        self._carry_out(self._roster.close())
        serving = [worker for worker in self.workers if worker.state is not WorkerState.ABANDONED]
        workers = [*serving, *self._roster.successors]
        starting = [w for w in workers if w.state is WorkerState.STARTING or w.failure[0] == "timeout"]
        for worker in workers:
            self.queue.remove(worker)
            worker.retire()
        others = [worker for worker in (*workers, *self.retiring) if worker not in starting]
        await self._endings.end_all(starting, others, deadline)
        for worker in self._roster.remains.abandoned:
            worker.let_go()
        self.queue.close()
        return self._roster.remains.left_open + self._endings.unclosed

    def kill(self) -> None:
        """Kill whatever can be killed: the loop does not run any more, and this is all that can be done without it."""
        for worker in self._roster.unended:
            worker.thread.kill()

    def _did_not_end(self, worker: WorkerHandle) -> None:
        self._carry_out(self._roster.did_not_end(worker))

    def _abandon(self, worker: WorkerHandle, silent: bool) -> None:
        """Wait for a worker no more."""
        self.queue.worker_gone(worker, silent)
        worker.stop()  # once more: what it had not read was taken back, and it is to end if it ever can
        killed = not worker.abandon()
        self._carry_out(self._roster.was_abandoned(worker, killed))
        if not killed:
            self._loop.call_later(endings.LAST_CALL, self._ask_for_new_process)  # an exception may yet end it

    def _ask_for_new_process(self) -> None:
        reason = self._roster.worn_out
        if reason and not self._observer.worn_out(reason):
            _log.warning("The server should be restarted: %s", reason)


def _kept_bodies(options: PoolOptions) -> KeptBodies | None:
    most, on_disk = options.kept_body, options.kept_body_on_disk
    return KeptBodies(most, _temporary_files() if on_disk else None) if most or on_disk else None


def _kept_answers(options: PoolOptions) -> KeptAnswers | None:
    most, on_disk = options.kept_answer, options.kept_answer_on_disk
    return KeptAnswers(most, _temporary_files() if on_disk else None) if most or on_disk else None


def _temporary_files() -> NewFile:
    """Return what makes a temporary file."""
    with StandardLibraryFirst():
        from tempfile import TemporaryFile  # most servers need none
    return lambda: TemporaryFile(buffering=0)
