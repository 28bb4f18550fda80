"""The lifespan protocol (ASGI specification, "Lifespan Protocol" 2.0): once per worker.

`auto` means: an app that raises before it has received anything, or during start-up without saying
`lifespan.startup.failed`, has no lifespan, and is served without.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from snakepit.errors import LifespanError, LocalProtocolError, WorkerStopping, fault

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]


class Lifespan:
    """Runs one app's lifespan, in a `task`. `state` is what the app left for its requests.

    `on_failure` is called, once at most, with what made the lifespan fail after its start-up and before it was told to
    shut down. An app may return from it then: that is no failure.
    """

    def __init__(
        self, app: AsgiApp, mode: Literal["auto", "on", "off"], on_failure: Callable[[str], None] = lambda trouble: None
    ) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: str | None = None
        self._cause: BaseException | None = None  # of a failed start-up
        self._on_failure = on_failure
        self._told_to_shut_down = False
        self._failed = False  # after start-up
        self._supported = mode != "off"
        self.task: asyncio.Task[None] | None = None
        self._cancelled = False  # before it had completed its start-up

    async def start(self) -> None:
        """Run the app's start-up. Raises LifespanError."""
        if not self._supported or self._cancelled:
            return
        self.task = asyncio.get_running_loop().create_task(self.run())
        self.task.add_done_callback(self._over)
        await self._incoming.put({"type": "lifespan.startup"})
        await self._started.wait()
        if self._failure is not None:
            raise LifespanError(self._failure) from self._cause

    def cancel_start(self) -> None:
        """Cancel a start-up that is under way or to come; `start` returns when the app has tidied up after itself."""
        if not self._started.is_set():
            self._cancelled = True
            if self.task is not None:
                self.task.cancel()

    async def shut_down(self) -> str | None:
        """Run the app's shut-down; returns what went wrong with it, if anything that has not been told before."""
        if not self._supported or self.task is None:
            return None
        self._told_to_shut_down = True
        await self._incoming.put({"type": "lifespan.shutdown"})
        await self._stopped.wait()
        return self._failure

    async def run(self) -> None:
        """Call the app: the task."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self.wait_message, self._send)
            if not self._started.is_set() and self._failure is None and not self._cancelled:
                self._without("the app returned from its lifespan without completing its start-up")
        except BaseException as error:  # an app may raise anything here; in "auto" it means "I have no lifespan"
            if self._cancelled or issubclass(type(error), WorkerStopping):
                pass  # it was told to end
            elif self._started.is_set():
                self._fail(f"the app's lifespan failed\n{fault(error)}")
            else:
                self._cause = error
                self._without(f"the app's lifespan start-up failed\n{fault(error)}")

    async def wait_message(self) -> Message:
        """Wait for what the app is told next: its `receive`."""
        return await self._incoming.get()

    def _over(self, task: asyncio.Task[None]) -> None:
        """Nothing more comes of it: not in `run`, no line of which is executed where it is cancelled early."""
        self._started.set()
        self._stopped.set()

    def _fail(self, trouble: str) -> None:
        """After start-up; what comes second, such as the exception behind a `shutdown.failed`, tells the same."""
        if self._failed:
            return
        self._failed = True
        if self._told_to_shut_down:
            self._failure = trouble
        else:
            self._on_failure(trouble)

    def _without(self, trouble: str) -> None:
        if self._mode == "on":
            self._failure = self._failure or trouble
        elif self._failure is None:
            self._supported = False

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        text = str(message.get("message", ""))
        if kind == "lifespan.startup.complete" and not self._started.is_set():
            self._cancelled = False
            self._started.set()
        elif kind == "lifespan.startup.failed" and not self._started.is_set():
            if not self._cancelled:
                self._failure = _with_text("lifespan start-up", text)
                self._cause = sys.exception()  # that the app handles by saying so
            self._started.set()
        elif kind == "lifespan.shutdown.complete" and self._started.is_set() and not self._stopped.is_set():
            self._stopped.set()
        elif kind == "lifespan.shutdown.failed" and self._started.is_set() and not self._stopped.is_set():
            self._fail(_with_text("lifespan shut-down" if self._told_to_shut_down else "lifespan", text))
            self._stopped.set()
        else:
            raise LocalProtocolError(f"the lifespan message {kind!r} makes no sense here")


def _with_text(phase: str, text: str) -> str:
    """Starlette sends a whole traceback as the message; it reads better from a line of its own."""
    separator = "\n" if "\n" in text else ": "
    return f"the app's {phase} failed{separator if text else ''}{text.rstrip()}"
