"""The thread that owns a worker's runtime.

It starts the worker and waits for its end. Importing the app, which takes the time, goes on in parallel with that of
other workers.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence

from snakepit.errors import ConfigError, WorkerLost, fault
from snakepit.server.event_loop.background import spawn
from snakepit.server.workers.runtimes import Runtime
from snakepit.system.memory import resident_memory
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.settings import AppSettings


class RuntimeThread:
    """The thread that runs a worker to its end, hears its last words, and closes what it ran in.

    Args:
        listening: where the worker's words come in. May change while they do.
        keeps_open: whether the app has left threads in the runtime that can't be ended. Asked after the last words.
        on_closing: called in the loop when the worker has ended, and what it ran in is being closed.
        on_ended: called in the loop with why the worker has ended, as the kind and the fault of a FAILED envelope, the
            kind being "config" if it could not even be started; and with the bytes resident in the process before the
            runtime was closed.
    """

    def __init__(
        self,
        runtime: Runtime,
        loop: asyncio.AbstractEventLoop,
        listening: Sequence[MainEnd],
        keeps_open: Callable[[], bool],
        on_closing: Callable[[], None],
        on_ended: Callable[[str, str, int | None], None],
    ) -> None:
        self._runtime = runtime
        self._loop = loop
        self._listening = listening
        self._keeps_open = keeps_open
        self._on_closing = on_closing
        self._on_ended = on_ended

    def start(self, number: int, settings: AppSettings) -> None:
        """Start the thread, for the worker of this number."""
        name = f"snakepit-worker-{number}"
        threading.Thread(target=self._run, args=(number, settings), name=name, daemon=self._runtime.daemon).start()

    def _run(self, number: int, settings: AppSettings) -> None:
        kind, trouble = "lost", ""
        memory: int | None = None
        try:
            try:
                self._runtime.run(number, settings)
            finally:
                self._hear_last_words()
                memory = resident_memory()
                self._call_in_loop(self._on_closing)
                self._runtime.close(self._keeps_open())
        except ConfigError as error:
            kind, trouble = "config", str(error)
        except WorkerLost as error:
            trouble = str(error)
        except Exception as error:  # whatever ends a worker must be told, or its exchanges wait for ever
            trouble = fault(error)
        self._call_in_loop(self._on_ended, kind, trouble, memory)

    def _hear_last_words(self) -> None:
        heard = threading.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def hear() -> None:
            try:
                for end in list(self._listening):  # what comes may close some of them
                    await end.hear_out()
            finally:
                heard.set()

        def begin() -> None:
            spawn(hear(), tasks)

        if self._call_in_loop(begin):
            while not heard.wait(1.0) and not self._loop.is_closed():
                pass

    def _call_in_loop[*Ts](self, call: Callable[[*Ts], None], *args: *Ts) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            return False  # the loop is closed: the server has ended without this worker
        return True
