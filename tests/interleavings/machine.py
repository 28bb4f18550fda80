"""Threads that run one at a time, and a clock, both in the hands of a test.

A thread of the machine runs until it waits, or until it comes to a *point*: what it does to a queue, or a line of the
watched code. There it may be interrupted, by another thread that could run, or by the clock, which then jumps to what
falls due next, as if the system had let the thread wait. It goes on when the others have had their turn. A *policy*
decides which thread interrupts which. So a test can try each interruption of a small scenario, or many of a larger one,
and repeat any.

Real code runs here: event loops are asyncio's own, over a selector that waits in the machine; see `Loop`. What it must
not have is a lock, a socket or a queue that waits outside of the machine.
"""

import asyncio
import faulthandler
import random
import socket
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from types import CodeType, FrameType
from typing import Any

from waiting import FACTOR

LAST_POINT = 100_000
"""The most points in one run; more of them mean an endless loop."""


LONGEST = 0.1
"""Seconds for which an interrupted thread may be kept waiting."""

PATIENCE = 30.0 * FACTOR
"""Seconds for one run, which takes milliseconds."""


class Over(BaseException):
    """Raised in threads that still wait when the machine ends."""


class Stalled(AssertionError):
    """The run does not end."""


class Thread:
    """The machine's `threading.Thread`: started by `start`, ends when its target returns."""

    def __init__(self, machine: "Machine", target: Callable[[], object], name: str, lines: bool) -> None:
        self.name = name
        self.lines = lines  # of watched code are points
        self.machine = machine
        self.ready: Callable[[], bool] | None = None  # what it waits for; None: nothing
        self.deadline: float | None = None  # and until when
        self.alive = False
        current = machine.current
        self.process = name if current is None else current.process  # its own, or that of the thread that made it
        self._target = target
        self._go = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __repr__(self) -> str:
        return self.name

    def start(self) -> None:
        self.alive = True
        self.machine.threads.append(self)
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        until = None if timeout is None else self.machine.now + timeout
        self.machine.wait(lambda: not self.alive, until)

    def is_alive(self) -> bool:
        return self.alive

    @property
    def can_run(self) -> bool:
        if not self.alive:
            return False
        if self.ready is None:
            return True
        return self.ready() or (self.deadline is not None and self.deadline <= self.machine.now)

    def resume(self) -> None:
        self._go.release()

    def halt(self) -> None:
        self._go.acquire()
        if self.machine.over:
            raise Over

    def end(self) -> None:
        self._thread.join(10.0)
        assert not self._thread.is_alive(), f"{self} does not end"

    def _run(self) -> None:
        try:
            self.halt()
            if self.lines:
                sys.settrace(self.machine.trace)
            self._target()
        except Over:
            return
        except BaseException as error:
            self.machine.errors.append(error)
        finally:
            sys.settrace(None)
            self.alive = False
        self.machine.next_after(self)


class Machine:
    """See the module.

    Args:
        policy: called at each point with its number and with how many others could come instead; 0: none of them, else
            which.
        watched: the files whose lines are points.
    """

    def __init__(self, policy: Callable[[int, int], int], watched: Collection[str]) -> None:
        self.now = 1000.0  # seconds
        self.threads: list[Thread] = []
        self.errors: list[BaseException] = []
        self.points = 0
        self.over = False
        self.begun = False  # before that there are no points
        self.latest = self.now + 1e9  # seconds; a run that has not come to rest by then never will
        self.steps = 0  # points, and those where nobody else could have come
        self.at_step: Callable[[int], None] | None = None  # what befalls the machine there
        self._policy = policy
        self._watched = watched
        self._current: Thread | None = None
        self._seen: dict[CodeType, bool] = {}
        self._idle = threading.Event()

    def run(self) -> None:
        """Run until every thread waits for something that will never come, and return. Raises what a thread raised."""
        self._idle.clear()
        self._switch(self._choose())
        if not self._idle.wait(PATIENCE):
            faulthandler.dump_traceback()
            raise Stalled("a thread waits outside of the machine")
        if self.errors:
            raise self.errors[0]

    def close(self) -> None:
        """End all threads."""
        self.over = True
        for thread in self.threads:
            thread.resume()
        for thread in self.threads:
            thread.end()

    # -- called in a thread of the machine -----------------------------------------------------------------------------

    def thread(
        self, target: Callable[[], object], name: str = "thread", daemon: bool = False, lines: bool = True
    ) -> Thread:
        """In place of `threading.Thread`; `lines`: those of watched code are points."""
        return Thread(self, target, name, lines)

    @property
    def current(self) -> Thread | None:
        """The thread that runs."""
        return self._current

    def kill(self, process: str) -> None:
        """End the threads of a process where they are, without any word of theirs. From any thread, as its last act."""
        for thread in self.threads:
            if thread.process == process:
                thread.alive = False
        current = self._current
        if current is not None and not current.alive:
            self._hand_on(current, self._choose())

    def monotonic(self) -> float:
        """In place of `time.monotonic`."""
        return self.now

    def wait(self, ready: Callable[[], bool], deadline: float | None = None) -> bool:
        """Wait until `ready` returns true, at most until the deadline; returns whether it did."""
        if self.over:  # the `finally` of a thread that was ended
            raise Over
        thread = self._current
        assert thread is not None
        thread.ready, thread.deadline = ready, deadline
        if not thread.can_run:
            self._hand_on(thread, self._choose())
        thread.ready = thread.deadline = None
        return ready()

    def compute(self, seconds: float) -> None:
        """Compute for so long."""
        self.wait(lambda: False, self.now + seconds)

    def point(self) -> None:
        """Let another thread run first, if the policy says so."""
        thread = self._current
        if thread is None or self.over or not self.begun:
            return
        self.steps += 1
        if self.at_step is not None:
            self.at_step(self.steps)
        others: list[Thread | None] = [other for other in self.threads if other is not thread and other.can_run]
        deadline = self._next_deadline()
        if deadline is not None and deadline - self.now <= LONGEST:
            others.append(None)
        if not others:
            return
        self.points += 1
        if self.points > LAST_POINT:
            raise Stalled("the run does not end")
        which = self._policy(self.points, len(others))
        if which:
            chosen = others[which - 1]
            if chosen is None:
                chosen = self._let_time_pass()
            if chosen is not thread:
                self.threads.remove(thread)
                self.threads.append(thread)
                self._hand_on(thread, chosen)

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        watched = self._seen.get(code)
        if watched is None:
            watched = self._seen[code] = code.co_filename in self._watched
        return self._trace_lines if watched else None

    def _trace_lines(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.point()
        return self._trace_lines

    # ------------------------------------------------------------------------------------------------------------------

    def next_after(self, ended: Thread) -> None:
        """A thread has ended."""
        self._switch(self._choose())

    def _choose(self) -> Thread | None:
        """Return the next thread if the current one can't go on; None: none can ever run."""
        if self.errors:
            return None
        for thread in self.threads:
            if thread is not self._current and thread.can_run:
                return thread
        if self._current is not None and self._current.can_run:
            return self._current
        return self._let_time_pass() if self._next_deadline() is not None else None

    def _next_deadline(self) -> float | None:
        deadlines = [
            thread.deadline
            for thread in self.threads
            if thread.alive and thread.deadline is not None and thread.deadline > self.now
        ]
        return min(deadlines, default=None)

    def _let_time_pass(self) -> Thread:
        deadline = self._next_deadline()
        assert deadline is not None
        if deadline > self.latest and not self.errors:
            self.errors.append(Stalled("timers go on for ever"))
        self.now = deadline
        return next(thread for thread in self.threads if thread.alive and thread.deadline == deadline)

    def _hand_on(self, thread: Thread, other: Thread | None) -> None:
        if other is thread:
            return
        self._switch(other)
        thread.halt()

    def _switch(self, thread: Thread | None) -> None:
        self._current = thread
        if thread is None:
            self._idle.set()
        else:
            thread.resume()


class Lock:
    """In place of `threading.Lock`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._held = False

    def acquire(self, blocking: bool = True) -> bool:
        if not blocking and self._held:
            return False
        self._machine.wait(lambda: not self._held)
        self._held = True
        return True

    def release(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


class Condition(Lock):
    """In place of `threading.Condition`."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._notified = 0

    def wait(self) -> None:
        before = self._notified
        self.release()
        self._machine.wait(lambda: self._notified > before)
        self.acquire()

    def notify_all(self) -> None:
        self._notified += 1


class Loop(asyncio.BaseEventLoop):
    """An event loop of asyncio's in a thread of the machine; it knows the doorbells and pipes below, and no sockets."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._selector = self
        self._clock_resolution = 1e-9
        self._woken = False
        self._readable: dict[Any, Callable[[], None]] = {}

    def time(self) -> float:
        return self._machine.now

    def select(self, timeout: float | None) -> list[Callable[[], None]]:
        deadline = None if timeout is None else self._machine.now + timeout
        self._machine.wait(self._has_events, deadline)
        self._woken = False
        return [read for source, read in self._readable.items() if source.readable]

    def _has_events(self) -> bool:
        return self._woken or any(source.readable for source in self._readable)

    def _process_events(self, events: list[Callable[[], None]]) -> None:
        for read in events:
            self._add_callback(asyncio.Handle(read, (), self))

    def _write_to_self(self) -> None:
        self._woken = True

    async def create_connection(self, factory: Callable[[], Any], *, sock: Any) -> Any:
        protocol = factory()
        transport = sock.transport(self, protocol)
        protocol.connection_made(transport)
        self._readable[sock] = transport.read
        return transport, protocol

    def forget(self, source: Any) -> None:
        self._readable.pop(source, None)


class Pipe:
    """One end of a socketpair: `pair` makes two."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.came = bytearray()
        self.peer: Pipe
        self.ended = False  # nothing more comes
        self._blocking = True

    @classmethod
    def pair(cls, machine: Machine) -> "tuple[Pipe, Pipe]":
        one, other = cls(machine), cls(machine)
        one.peer, other.peer = other, one
        return one, other

    @property
    def readable(self) -> bool:
        return bool(self.came) or self.ended

    def setblocking(self, flag: bool) -> None:
        self._blocking = flag

    def send(self, data: bytes) -> int:
        self.peer.came += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.send(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self._blocking and not self.readable:
            raise BlockingIOError
        self._machine.wait(lambda: self.readable)
        data = bytes(self.came[:size])
        if not flags:
            del self.came[:size]
        return data

    def shutdown(self, how: int) -> None:
        if how == socket.SHUT_WR:
            self.peer.ended = True
        else:
            self.ended = True

    def close(self) -> None:
        self.ended = self.peer.ended = True

    def transport(self, loop: Loop, protocol: Any) -> "Transport":
        return Transport(self, loop, protocol)


class Transport(asyncio.Transport):
    """The transport by which a loop reads a pipe."""

    def __init__(self, pipe: Pipe, loop: Loop, protocol: Any) -> None:
        super().__init__()
        self._pipe = pipe
        self._loop = loop
        self._protocol = protocol
        self._closing = False

    def read(self) -> None:
        if self._closing:
            return
        data = self._pipe.recv(65536)
        if not data:
            self._protocol.eof_received()
            self.close()
        elif isinstance(self._protocol, asyncio.BufferedProtocol):
            buffer = self._protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._protocol.buffer_updated(size)
        else:
            self._protocol.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._pipe.send(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.forget(self._pipe)
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


def never(point: int, others: int) -> int:
    """The policy under which no thread is interrupted."""
    return 0


class Noting:
    """The policy `never`, which takes note of how many could have come at each point."""

    def __init__(self) -> None:
        self.others: dict[int, int] = {}

    def __call__(self, point: int, others: int) -> int:
        self.others[point] = others
        return 0


class At:
    """Interrupt at these points, by the one with this number among those that could come."""

    def __init__(self, interruptions: Mapping[int, int]) -> None:
        self._interruptions = interruptions

    def __call__(self, point: int, others: int) -> int:
        return min(self._interruptions.get(point, 0), others)


class Often:
    """Interrupt at random, at one point of `rarely`."""

    def __init__(self, seed: int, rarely: int) -> None:
        self._random = random.Random(seed)
        self._rarely = rarely

    def __call__(self, point: int, others: int) -> int:
        return 0 if self._random.randrange(self._rarely) else self._random.randrange(others) + 1
