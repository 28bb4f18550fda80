"""The roster decides which workers an app has. Pure: it takes facts and returns actions to carry out.

Each worker has a place, by its number. A place has the worker that serves or will serve, and perhaps a starting
successor. To replace a worker that serves, its successor imports the app, completes its start-up and takes the place.
Only then the old worker retires, and finishes what it has begun. A successor that can't start changes nothing. A
request for a replacement means the files that are on disk at that moment: so a successor that is already starting is
dropped for a newer one. Reload, recycling and scaling all work this way. So does the replacement of a worker that ended
by itself, except that it starts after the worker's end.

At the server's start, a worker that can't start ends the server, unless the roster is `patient`: then every request is
answered with the error, until a replacement works. If another worker could start, the failed one is first tried again.

The first worker starts alone, and the others when it is ready: so they find what it has created (a table, a folder),
and do not race for it. A worker that still loses such a race, perhaps to another server process, gets another attempt.

The roster only reads attributes of a worker (its state, its failure). The pool carries out actions in their order,
before it reports the next fact.
"""

import logging
from collections import Counter
from collections.abc import Collection, Sequence

from snakepit.errors import ConfigError
from snakepit.server.events.kinds import Kind
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import actions, retries
from snakepit.server.pool.actions import Action, tell_error
from snakepit.server.pool.failures import as_error, cause_of_end, of_daemon_threads
from snakepit.server.pool.outcome import STOPPING
from snakepit.server.pool.remains import Remains
from snakepit.server.pool.retries import Retries
from snakepit.server.pool.succession import Succession
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.words import capitalized

REASONS = ("ended", "silent", "hang", "requests", "lifetime", "memory", "reload")
"""Why a worker is replaced: it ended by itself; it, or an exchange in it, hangs; it has reached a limit; by command."""

_IN_WORDS = {
    "hang": "a request in the one before could not be ended",
    "requests": "the one before had served as many requests as --limit-max-requests says",
    "lifetime": "the one before was as old as --workers-lifetime says",
    "memory": "more memory was in use than --workers-max-rss says",
}
"""Of these, those for which a replacement is an event of its own."""

_ALIVE = (WorkerState.STARTING, WorkerState.READY)


class Roster:
    """The roster of one app's workers.

    `wanted` is the number of workers that the app should have. `first_ready`: requests can be answered; `all_ready`:
    all wanted workers have been ready. `replaced` counts the workers in whose place others came, by the reason.
    """

    def __init__(self, wanted: int, patient: bool) -> None:
        self.wanted = wanted
        self.remains = Remains()
        self.closing = False
        self.first_ready = False
        self.all_ready = False
        self.replaced = Counter(dict.fromkeys(REASONS, 0))
        self._patient = patient
        self._places: dict[int, WorkerHandle] = {}
        self._unstarted: list[WorkerHandle] = []  # that wait for the first one
        self._ready_at: dict[WorkerHandle, float] = {}
        self._successions: dict[int, Succession] = {}  # by the number of the worker to be replaced
        self._retiring: dict[WorkerHandle, Succession | None] = {}  # and who came in its place
        self._lost: dict[int, WorkerHandle] = {}  # lost workers whose places are still empty
        self._arriving: set[int] = set()  # additional workers that a caller waits for
        self._retries = Retries()
        self._told_of_trouble = False  # since workers were last started
        self._gave_up = False

    def __repr__(self) -> str:
        workers = [*self.workers, *self._retiring]
        return f"<Roster [{', '.join(f'{worker.number} {worker.state.name}' for worker in workers)}]>"

    # -- who there is ------------------------------------------------------------------------------------------------

    @property
    def workers(self) -> list[WorkerHandle]:
        """The workers in their places, by number."""
        return [self._places[number] for number in sorted(self._places)]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the places that have a worker."""
        return sorted(self._places)

    @property
    def missing(self) -> list[int]:
        """The numbers of the places that should have a worker and have none."""
        return [number for number in range(1, self.wanted + 1) if number not in self._places]

    @property
    def successors(self) -> list[WorkerHandle]:
        """The starting workers that will take places."""
        return [succession.worker for succession in self._successions.values()]

    @property
    def retiring(self) -> list[WorkerHandle]:
        """The workers that were replaced or are not wanted any more, and have not ended yet."""
        return list(self._retiring)

    @property
    def serving(self) -> dict[WorkerHandle, float]:
        """The workers that get exchanges, and since when (the clock's seconds that `ready` got)."""
        return dict(self._ready_at)

    @property
    def unended(self) -> list[WorkerHandle]:
        """All workers, including successors and retiring ones."""
        return list(dict.fromkeys([*self.workers, *self.successors, *self._retiring]))

    @property
    def changes(self) -> bool:
        """Whether a worker is starting or retiring."""
        return bool(self._successions or self._retiring)

    def is_current(self, worker: WorkerHandle) -> bool:
        """Tell whether a worker has its place."""
        return self._places.get(worker.number) is worker

    def may_be_recycled(self, worker: WorkerHandle) -> bool:
        """Tell whether a worker has its place, and no successor is starting."""
        return self.is_current(worker) and worker.number not in self._successions

    # -- the start, and other numbers of workers ---------------------------------------------------------------------

    def begin(self, workers: Sequence[WorkerHandle]) -> WorkerHandle:
        """Fill the places of a new server; starts the first worker. The others start when that one is ready."""
        self._places = {worker.number: worker for worker in workers}
        first, *self._unstarted = workers
        return first

    def scale(self, wanted: int) -> tuple[list[WorkerHandle], list[Action]]:
        """Change the number of places; surplus workers retire. Afterwards `missing` has the empty places."""
        self.wanted = wanted
        todo: list[Action] = []
        leaving = [self._places[number] for number in self.numbers if number > wanted]
        for worker in leaving:
            number = worker.number
            why = f"worker {number} is not wanted any more"
            self._arrive(number, why, todo)
            todo += [actions.ForgetAge(number), actions.CancelRestart(number)]
            self._lost.pop(number, None)
            del self._places[number]
            self._drop_successor(number, why, todo)
            self._see_off(worker, None, todo)
        return leaving, todo

    def joined(self, worker: WorkerHandle) -> list[Action]:
        """Note a worker that was created for a missing place; a caller waits until it is ready."""
        self._places[worker.number] = worker
        self._arriving.add(worker.number)
        return [actions.Start(worker)]

    def not_made(self, number: int, why: str) -> list[Action]:
        """Reduce the wanted number to the existing one, since no worker could be created for a missing place."""
        self.wanted = number - 1
        text = f"Worker {number} can't be started: {why}"
        return [tell_error(text), actions.Note(Kind.WORKER_FAILED, text, number, "config")]

    # -- make before break -------------------------------------------------------------------------------------------

    def refusal(self, number: int) -> str:
        """Return why the worker in a place can't be replaced; empty: it can."""
        if self.closing:
            return STOPPING
        return "" if number in self._places else f"there is no worker {number}"

    def succession_began(
        self, worker: WorkerHandle, memory: int | None, reason: str = "reload", siblings: Collection[int] = ()
    ) -> list[Action]:
        """Note a worker that was created to take a place; `memory` and `reason`: as for `Succession`."""
        number = worker.number
        todo: list[Action] = [actions.CancelRestart(number)]
        self._told_of_trouble = False
        succession = self._successions.get(number)
        if succession is None:
            self._successions[number] = Succession(worker, memory, reason, siblings)
        else:  # the files that it imports may have changed since it began
            former, succession.worker, succession.siblings = succession.worker, worker, siblings
            succession.reason = reason
            self._see_off(former, None, todo)
        return [*todo, actions.Start(worker)]

    def _drop_successor(self, number: int, why: str, todo: list[Action]) -> None:
        """Drop a starting worker, so that it does not take over."""
        succession = self._successions.pop(number, None)
        if succession is not None:
            self._see_off(succession.worker, None, todo)
            todo.append(actions.Settled(number, why))
            if number in self._lost and self._places[number].state not in _ALIVE:  # and so its place is empty
                self._restart_later(number, retries.BACKOFF[0], todo)

    def _see_off(self, worker: WorkerHandle, succession: Succession | None, todo: list[Action]) -> None:
        """Retire a worker, or drop it if it was never started; nothing if it has ended already."""
        self._ready_at.pop(worker, None)
        if worker in self._unstarted:
            self._unstarted.remove(worker)
            todo.append(actions.Drop(worker))
        elif worker.state in _ALIVE:
            self._retiring[worker] = succession
            todo.append(actions.Retire(worker))

    # -- workers that become ready -----------------------------------------------------------------------------------

    def ready(self, worker: WorkerHandle, now: float) -> list[Action]:
        """Note that a worker completed its start-up, at this time by any clock."""
        todo: list[Action] = []
        number = worker.number
        self._ready_at[worker] = now
        self._arrive(number, "", todo)
        succession = self._successions.get(number)
        if succession is not None and succession.worker is worker:
            del self._successions[number]
            predecessor, self._places[number] = self._places[number], worker
            self._count_replacement(worker, succession.reason, todo)
            self._see_off(predecessor, succession, todo)
            todo.append(actions.Settled(number))
        lost = self._lost.pop(number, None)
        if lost is not None and lost.report.copies:
            todo.append(actions.KeepMemory(lost, lost.thread.memory_at_end))
        todo.append(actions.CountAge(worker))
        self.first_ready = True
        self._start_others(todo)
        self.all_ready = self.all_ready or len(self._ready_at) >= self.wanted
        return todo

    def _count_replacement(self, worker: WorkerHandle, reason: str, todo: list[Action]) -> None:
        self.replaced[reason] += 1
        why = _IN_WORDS.get(reason)
        if why is not None:
            text = f"{_name(worker)} is a new one: {why}"
            todo.append(actions.Note(Kind.WORKER_REPLACED, text, worker.number, reason))

    def _arrive(self, number: int, trouble: str, todo: list[Action]) -> None:
        if number in self._arriving:
            self._arriving.remove(number)
            todo.append(actions.Arrived(number, trouble))

    def _start_others(self, todo: list[Action]) -> None:
        todo += map(actions.Start, self._unstarted)
        self._unstarted.clear()

    # -- workers that can't start ------------------------------------------------------------------------------------

    def failed(self, worker: WorkerHandle) -> list[Action]:
        """Note that a worker reports that it can't start. After the server's start, only its end matters."""
        todo: list[Action] = []
        if self.is_current(worker) and not self.all_ready:
            self._could_not_start(worker, todo)
        return todo

    def start_timed_out(self, worker: WorkerHandle) -> list[Action]:
        """Treat a worker that takes too long to start as failed: the pool waits for it no more."""
        self._retiring[worker] = None
        todo: list[Action] = [actions.CutStart(worker)]
        fault = worker.failure[1]
        if not self.is_current(worker):
            self._successor_ended(worker, fault, todo)
        elif not self.all_ready:
            self._could_not_start(worker, todo)
        else:
            self._tell_of_end(worker, fault, todo)
            self._worker_lost(worker, 0.0, todo)
        return todo

    def _could_not_start(self, worker: WorkerHandle, todo: list[Action]) -> None:
        """Handle the failure of a worker in whose place none has served."""
        if self.is_current(worker) and self._try_again(worker, todo):
            return
        error = as_error(worker)
        if not self._patient:
            if not self._gave_up:
                self._gave_up = True
                todo.append(actions.GiveUp(error))
            return
        if self.is_current(worker) and worker.number in self._successions:
            return  # it imported older files: what counts is how its successor fares
        self._start_others(todo)
        if not self._told_of_trouble:
            self._told_of_trouble = True  # the others most likely have the same error
            self._tell(Kind.WORKER_FAILED, f"{_name(worker)} can't start: {error}", worker, todo)
            if not self._ready_at:
                self._show(worker, todo)
                todo.append(tell_error("Every request of this app gets 500 until a file changes"))

    def _try_again(self, worker: WorkerHandle, todo: list[Action]) -> bool:
        """Try this one's place again, if another worker could start; returns whether it is tried again."""
        error = as_error(worker)
        if not self._ready_at or self.closing or isinstance(error, ConfigError):
            return False
        number, name = worker.number, _name(worker)
        if not self._retries.allow(number):
            text = f"{name} could not start in {retries.ATTEMPTS} attempts, though another one could"
            self._tell(Kind.WORKER_FAILED, text, worker, todo)
            return False
        text = f"{name} could not start, though another one could; it is tried again: {error}"
        self._tell(Kind.WORKER_FAILED, text, worker, todo, logging.WARNING)
        if not worker.thread.ended.is_set() and worker not in self._retiring:
            self._retiring[worker] = None
            todo.append(actions.AwaitEnd(worker))
        self._restart_later(number, retries.PAUSE_BEFORE_ATTEMPT, todo)
        return True

    def _show(self, worker: WorkerHandle, todo: list[Action]) -> None:
        todo.append(actions.AnswerInstead(as_error(worker)))
        self.first_ready = True

    # -- workers that end --------------------------------------------------------------------------------------------

    def ended(self, worker: WorkerHandle, now: float) -> list[Action]:
        """Note that a worker's thread has ended, at this time by the clock of `ready`."""
        todo: list[Action] = []
        if worker.report.daemon_threads:
            self.remains.add_open(worker)
            todo.append(actions.Tell(logging.INFO, of_daemon_threads(worker)))
        retired = worker in self._retiring
        succession = self._retiring.pop(worker, None)
        if succession is not None and worker.report.copies:
            todo.append(actions.KeepMemory(worker, succession.memory_before))
        if worker.state is WorkerState.ABANDONED:
            self.remains.discard_abandoned(worker)
            todo.append(actions.Close(worker, lost=False))
            return todo
        kind, fault = worker.failure
        lived = now - self._ready_at.pop(worker, now)
        if worker.state is WorkerState.RETIRING and worker.report.said_goodbye and kind != "lost":
            todo.append(actions.Close(worker, lost=False))
            if kind == "lifespan" and not self._gave_up:  # in its shut-down, and not in a start that was cut
                todo.append(tell_error(f"{_name(worker)}: {fault}"))
            return todo
        failed = worker.state is WorkerState.FAILED
        todo.append(actions.Close(worker, lost=not failed))
        why = cause_of_end(worker)
        if self.closing:
            if not self._gave_up:  # otherwise it most likely has the same error, which is being reported
                todo.append(tell_error(f"{_name(worker)} did not end as it should: {fault or 'no word of it'}"))
        elif retired:
            if not failed:  # otherwise that has been reported
                self._tell(Kind.WORKER_LOST, f"{_name(worker)} ended unexpectedly: {why}", worker, todo)
        elif not self.is_current(worker):
            self._successor_ended(worker, why, todo)
        else:
            todo.append(actions.ForgetAge(worker.number))
            if not self.all_ready:
                self._could_not_start(worker, todo)
            else:
                self._tell_of_end(worker, why, todo)
                self.replaced["ended"] += 1
                self._worker_lost(worker, lived, todo)
        return todo

    def silent(self, worker: WorkerHandle, now: float) -> list[Action]:
        """Treat a silent worker as lost: others get what it has not begun, and a new one takes its place."""
        lived = now - self._ready_at.pop(worker, now)
        todo: list[Action] = [actions.ForgetAge(worker.number), actions.Abandon(worker, silent=True)]
        self.replaced["silent"] += 1
        self._worker_lost(worker, lived, todo)
        return todo

    def _tell_of_end(self, worker: WorkerHandle, why: str, todo: list[Action]) -> None:
        kind = worker.failure[0]
        if kind == "timeout":
            self._tell(Kind.WORKER_FAILED, why, worker, todo)
        elif kind != "config":
            event = Kind.WORKER_FAILED if kind in ("import", "lifespan") else Kind.WORKER_LOST
            self._tell(event, f"{_name(worker)} ended unexpectedly: {why}", worker, todo)

    def _tell(
        self, kind: Kind, text: str, worker: WorkerHandle, todo: list[Action], level: int = logging.ERROR
    ) -> None:
        """Log an event of a worker, and tell the observer of it."""
        reason = "ended" if kind is Kind.WORKER_LOST else worker.failure[0] or "lost"
        todo += [actions.Tell(level, text), actions.Note(kind, text, worker.number, reason)]

    def _successor_ended(self, worker: WorkerHandle, why: str, todo: list[Action]) -> None:
        """Handle the failure of a worker that should replace another."""
        number = worker.number
        succession = self._successions.get(number)
        if succession is None or succession.worker is not worker:
            return  # it was dropped after it had failed
        del self._successions[number]
        predecessor = self._places[number]
        if predecessor.state in _ALIVE:
            todo.append(actions.SuccessorFailed(worker, worker.failure[1] or why))
            if predecessor.state is WorkerState.READY:
                todo.append(actions.CountAge(predecessor))  # it may have reached its age meanwhile
            elif self._patient and not self._ready_at:
                self._told_of_trouble = True  # if the predecessor fails, too, that is with older files
                self._show(worker, todo)
        elif number in self._lost:
            self._tell_of_end(worker, why, todo)
            self._worker_lost(worker, 0.0, todo)
        else:
            self._could_not_start(worker, todo)
        trouble = str(as_error(worker))
        todo.append(actions.Settled(number, trouble))
        for sibling in succession.siblings:  # it would most likely fail in the same way, and must not take over
            self._drop_successor(sibling, trouble, todo)

    def _worker_lost(self, worker: WorkerHandle, lived: float, todo: list[Action]) -> None:
        """Handle the end of a worker that should serve: a new one takes its place."""
        number, (kind, fault) = worker.number, worker.failure
        self._arrive(number, str(as_error(worker)), todo)
        self._lost[number] = worker
        if kind == "config":
            todo += self.not_restarted(number, fault)
            return
        delay = self._retries.delay_after(lived)
        if self._patient and kind in ("import", "lifespan", "timeout") and not self._ready_at:
            self._show(worker, todo)
        if number not in self._successions:  # otherwise one is starting already
            todo.append(actions.Replaced(worker, delay))
            self._restart_later(number, delay, todo)

    # -- in place of workers that were lost --------------------------------------------------------------------------

    def restarted(self, worker: WorkerHandle) -> list[Action]:
        """Note a worker that was created for a place whose worker was lost or could not start."""
        self._places[worker.number] = worker
        return [actions.Start(worker)]

    def not_restarted(self, number: int, why: str) -> list[Action]:
        """Note that no worker could be created for such a place: the system is out of files, so try again later."""
        text = f"Worker {number} can't be replaced yet: {why}"
        todo: list[Action] = [tell_error(text), actions.Note(Kind.WORKER_FAILED, text, number, "config")]
        self._restart_later(number, retries.BACKOFF[1], todo)
        return todo

    def _restart_later(self, number: int, delay: float, todo: list[Action]) -> None:
        if not self.closing and number not in self._successions:
            todo.append(actions.Restart(number, delay))

    # -- the end -----------------------------------------------------------------------------------------------------

    def did_not_end(self, worker: WorkerHandle) -> list[Action]:
        """Note that a worker has not ended by its deadline."""
        self._retiring.pop(worker, None)
        return [] if worker.state is WorkerState.ABANDONED else [actions.Abandon(worker)]

    def was_abandoned(self, worker: WorkerHandle, killed: bool) -> list[Action]:
        """Note that an abandoned worker was killed, or else that its thread still runs."""
        self.remains.add_abandoned(worker, killed)
        fate = "it is killed" if killed else "its thread is left to itself"
        text, reason = f"{_name(worker)} does not end; {fate}", "killed" if killed else "left"
        note = actions.Note(Kind.WORKER_ABANDONED, text, worker.number, reason)
        return [actions.Tell(logging.WARNING, text), note]

    @property
    def worn_out(self) -> str:
        """Return why the process should be replaced: as many workers hang in it as are wanted; empty: no reason."""
        hanging = self.remains.hanging
        if hanging < self.wanted or self.closing:
            return ""
        return f"{hanging} abandoned worker{'s have' if hanging > 1 else ' has'} not ended"

    def close(self) -> list[Action]:
        """Start no more workers, and tell callers that wait for one."""
        if self.closing:
            return []
        self.closing = True
        todo: list[Action] = list(map(actions.Drop, self._unstarted))
        self._unstarted.clear()
        todo += [actions.Settled(number, STOPPING) for number in self._successions]
        for number in sorted(self._arriving):
            self._arrive(number, STOPPING, todo)
        return todo


def _name(worker: WorkerHandle) -> str:
    return capitalized(worker)
