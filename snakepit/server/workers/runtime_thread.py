"""The thread that owns a worker's runtime.

It starts the worker and waits for its end. Importing the app, which takes the time, goes on in parallel with that of
other workers.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from snakepit.errors import ConfigError, WorkerLost, fault
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.workers.runtimes import Runtime
from snakepit.system.memory import resident_memory
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.settings import AppSettings


class RuntimeThread:
    """The thread that runs a worker to its end, hears its last words, and closes what it ran in.

    `began`: when it was started, as by `time.monotonic`. `closing` is set when the worker has ended, and what it ran in
    is being closed: since `closing_since`, in loop time. `ended` is set when that is closed, or `is_left_open` until
    the threads in it have ended. `memory_at_end`: the bytes resident in the process before.

    Args:
        number: the worker's, from 1.
        settings: what all workers of the app are told.
        listening: where the worker's words come in. May change while they do.
        on_closing: called in the loop when the worker has ended, and its last words were heard.
        keeps_open: whether the app has left threads in the runtime that can't be ended. Asked after the last words.
        on_ended: called in the loop with why the worker has ended, as the kind and the fault of a FAILED envelope, the
            kind being "config" if it could not even be started.
    """

    def __init__(
        self,
        runtime: Runtime,
        number: int,
        settings: AppSettings,
        loop: asyncio.AbstractEventLoop,
        listening: Sequence[MainEnd],
        on_closing: Callable[[], None],
        keeps_open: Callable[[], bool],
        on_ended: Callable[[str, str], None],
    ) -> None:
        self.began = monotonic()
        self.closing = asyncio.Event()
        self.closing_since: float | None = None
        self.ended = asyncio.Event()
        self.is_left_open = False
        self.memory_at_end: int | None = None
        self._runtime = runtime
        self._number = number
        self._settings = settings
        self._loop = loop
        self._listening = listening
        self._on_closing = on_closing
        self._keeps_open = keeps_open
        self._on_ended = on_ended

    async def start(self) -> None:
        """Start the thread. What keeps it from starting ends the worker."""
        self.began = monotonic()
        name = f"snakepit-worker-{self._number}"
        try:
            for end in self._listening:
                await end.open()
            threading.Thread(target=self._run, name=name, daemon=self._runtime.daemon).start()
        except Exception as error:  # or the worker would be starting for ever
            self._runtime.close(False)
            self._end("lost", fault(error))

    def drop(self) -> None:
        """Let go of the runtime, in which nothing was started."""
        self._runtime.close(False)
        self.close_ends()
        self.closing.set()
        self.ended.set()

    def close_ends(self) -> None:
        """Do not listen to the worker any more."""
        for end in self._listening:
            end.close()

    def kill(self) -> bool:
        """End the worker whatever it does, where that can be done; returns whether it can. From any thread."""
        return self._runtime.kill()

    @property
    def process(self) -> int | None:
        """The process that is the worker's alone, while there is one."""
        return self._runtime.process

    @property
    def memory(self) -> int | None:
        """Bytes of memory that the worker has in RAM; None unless it has a process of its own."""
        process = self.process
        return None if process is None else resident_memory(process)

    def _run(self) -> None:
        kind, trouble = "lost", ""
        try:
            try:
                self._runtime.run(self._number, self._settings)
            finally:
                self._hear_last_words()
                self.memory_at_end = resident_memory()
                self._call_in_loop(self._begin_closing)
                self.is_left_open = self._keeps_open()
                self._runtime.close(self.is_left_open)
        except ConfigError as error:
            kind, trouble = "config", str(error)
        except WorkerLost as error:
            trouble = str(error)
        except Exception as error:  # whatever ends a worker must be told, or its exchanges wait for ever
            trouble = fault(error)
        self._call_in_loop(self._end, kind, trouble)
        if self.is_left_open:
            self._runtime.wait_closed()
            self.is_left_open = False

    def _begin_closing(self) -> None:
        self.closing_since = self._loop.time()
        self.closing.set()
        self._on_closing()

    def _end(self, kind: str, trouble: str) -> None:
        self.closing.set()
        self.ended.set()
        self._on_closing()  # again, unless it could not be started
        self._on_ended(kind, trouble)
        self.close_ends()

    def _hear_last_words(self) -> None:
        heard = threading.Event()
        tasks = BackgroundTasks()

        async def hear() -> None:
            try:
                for end in list(self._listening):  # what comes may close some of them
                    await end.wait_ended()
            finally:
                heard.set()

        def begin() -> None:
            tasks.begin(hear())

        if self._call_in_loop(begin):
            while not heard.wait(1.0) and not self._loop.is_closed():
                pass

    def _call_in_loop[*Ts](self, call: Callable[[*Ts], None], *args: *Ts) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            return False  # the loop is closed: the server has ended without this worker
        return True
