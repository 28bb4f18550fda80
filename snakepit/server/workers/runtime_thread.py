"""The thread that owns a worker's runtime: it starts the worker and waits for its end.

Importing the app, which takes the time, goes on there in parallel with that of other workers.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine

from snakepit.errors import ConfigError, WorkerLost, fault
from snakepit.server.event_loop.background import spawn
from snakepit.server.workers.runtimes import Runtime
from snakepit.system.memory import resident_memory
from snakepit.wire.settings import AppSettings


class RuntimeThread:
    """Runs a worker from its start to its end, and closes its runtime.

    Args:
        number: the worker's.
        settings: what the worker is told.
        hear_out: reads all that the worker has sent; in the loop.
        leaves_threads: whether daemon threads of the app go on, so that the interpreter can't be closed.
        ended: called in the loop at the end, with the kind and the text of what went wrong (empty: nothing), and with
            the bytes resident in the process before the runtime was closed.
    """

    def __init__(
        self,
        runtime: Runtime,
        number: int,
        settings: AppSettings,
        loop: asyncio.AbstractEventLoop,
        hear_out: Callable[[], Coroutine[object, object, None]],
        leaves_threads: Callable[[], bool],
        ended: Callable[[str, str, int | None], None],
    ) -> None:
        self._runtime = runtime
        self._number = number
        self._settings = settings
        self._loop = loop
        self._hear_out = hear_out
        self._leaves_threads = leaves_threads
        self._ended = ended

    def start(self) -> None:
        """Start the thread."""
        name = f"snakepit-worker-{self._number}"
        threading.Thread(target=self._own, name=name, daemon=self._runtime.daemon).start()

    def _own(self) -> None:
        kind, trouble = "lost", ""
        memory = None
        try:
            try:
                self._runtime.run(self._number, self._settings)
            finally:
                self._wait_last_words()
                memory = resident_memory()
                self._runtime.close(self._leaves_threads())
        except ConfigError as error:
            kind, trouble = "config", str(error)
        except WorkerLost as error:
            trouble = str(error)
        except Exception as error:  # whatever ends a worker must be told, or its exchanges wait for ever
            trouble = fault(error)
        self._call_in_loop(self._ended, kind, trouble, memory)

    def _wait_last_words(self) -> None:
        heard = threading.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def hear() -> None:
            try:
                await self._hear_out()
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
