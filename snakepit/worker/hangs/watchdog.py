"""The watchdog: a thread in each worker that answers while all other threads are busy.

It waits at a channel of its own, which costs nothing. It sends heartbeats to the pool, so that the pool knows whether
Python code can still run here; it ends code that takes too long, see `worker.hangs.contract`; and the worker sends its
last envelopes through it.

The loop and the threads of the app are told the same, and get a moment to end the code themselves.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from snakepit.errors import RequestTimeout, WorkerStopping
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.system.log_files import reopen_log_files
from snakepit.wire import envelopes
from snakepit.wire.carrier import ChannelAddress
from snakepit.wire.ends import attach_blocking
from snakepit.wire.envelopes import KIND, Envelope
from snakepit.wire.queues import BlockingQueueCarrier
from snakepit.wire.sockets import BlockingSocketCarrier
from snakepit.worker import app_metrics
from snakepit.worker.hangs.contract import NOTHING, Interruptible

if TYPE_CHECKING:
    from snakepit.stacks.sampler import Sampler

FIRST_LOOK = 0.05
"""Seconds until the first check whether code has ended; doubled for each further check."""

LAST_LOOK = 3.0
"""Seconds; if the next check would come later than that, the watchdog gives up an exchange."""

RARELY = 30.0
"""Seconds between checks of an abandoned worker that still does not end."""

_ENDING = 1.0  # seconds that the thread gets to end itself
_ALL = 0  # in place of an exchange's number: everything


class Watchdog:
    """A thread that reads a channel of its own while all other threads of its worker are busy.

    A process may end while this thread runs; an interpreter may not.
    """

    def __init__(self, address: ChannelAddress) -> None:
        self._end = attach_blocking(address)
        self._running: Interruptible | None = None
        self._looks: dict[int, tuple[float, float]] = {}  # by exchange: when to look, and the pause before that
        self._untold: set[int] = set()  # exchanges of which the pool does not know yet what was done about them
        self._abandoned = False
        self._saying = threading.Lock()
        self._has_left = False
        self._sampler: Sampler | None = None  # of a profile that is being made
        self._profile = 0, 0.0  # the question that it answers, and its end
        self._next_sample = 0.0
        self._collecting: threading.Thread | None = None  # reads the app's metrics
        daemon = True if isinstance(self._end.carrier, BlockingSocketCarrier) else None  # None: as the thread we are in
        self._thread = threading.Thread(target=self._run, name="snakepit-watchdog", daemon=daemon)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if the system has no thread for it; `leave` still works then."""
        self._thread.start()

    def watch(self, running: Interruptible) -> None:
        """Watch this code from now on."""
        self._running = running

    def leave(self, words: list[Envelope]) -> None:
        """End, and send a worker's last envelopes. Code that was to be checked is ended now, so no thread stays."""
        carrier = self._end.carrier
        if isinstance(carrier, BlockingQueueCarrier) and self._thread.is_alive():
            carrier.hang_up()
            self._thread.join(_ENDING)
        self._look(math.inf)
        if self._sampler is not None:
            self._end_profile(self._sampler)
        self._say(*words)
        with self._saying:
            self._has_left = True
        if isinstance(carrier, BlockingQueueCarrier):
            carrier.close()

    def _run(self) -> None:
        try:
            while (came := self._wait()) is not None:
                for envelope in came:
                    if (handle := self._HANDLERS.get(envelope[KIND])) is not None:
                        handle(self, envelope)
                self._look(time.monotonic())
                if self._sampler is not None:
                    self._sample(self._sampler)
        except Exception:  # the watchdog must not fail silently
            import logging

            logging.getLogger("snakepit.worker").exception("Error in a watchdog")

    def _wait(self) -> list[Envelope] | None:
        """Wait for an envelope, at most until the next check is due; None: nothing more will come."""
        try:
            return self._end.wait(self._pause())
        except (OSError, ValueError):
            return None  # hung up, or the main interpreter has gone

    def _pause(self) -> float | None:
        """Return the seconds until the next check; None if there is none."""
        dues = [due for due, _ in self._looks.values()]
        if self._sampler is not None:
            dues.append(self._next_sample)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _on_heartbeat_asked(self, envelope: Envelope) -> None:
        self._say(envelopes.heartbeat(0.0, 0.0))

    def _on_release(self, envelope: Envelope) -> None:
        _, _, upto = envelope
        self._say(*(self._running.release(upto) if self._running is not None else ()))

    def _on_timed_out(self, envelope: Envelope) -> None:
        _, number = envelope
        self._untold.add(number)
        self._look_again(number, FIRST_LOOK)

    def _on_stack_asked(self, envelope: Envelope) -> None:
        self._say(envelopes.stack(self._running.start_stack() if self._running is not None else ""))

    def _on_stacks_asked(self, envelope: Envelope) -> None:
        _, _, question = envelope
        with StandardLibraryFirst():
            from snakepit.stacks import snapshot, stack
        stacks, left_out = snapshot.snapshot()
        self._say(envelopes.stacks(question, stack.packed(stacks), left_out))

    def _on_profile_asked(self, envelope: Envelope) -> None:
        _, _, question, seconds = envelope
        if self._sampler is not None:
            self._end_profile(self._sampler)
        if seconds:
            with StandardLibraryFirst():
                from snakepit.stacks.sampler import Sampler
            now = time.monotonic()
            self._sampler, self._profile, self._next_sample = Sampler(), (question, now + seconds), now

    def _sample(self, sampler: "Sampler") -> None:
        now = time.monotonic()
        if now >= self._next_sample:
            sampler.sample()
            self._next_sample = now + sampler.PAUSE
            if now >= self._profile[1]:
                self._end_profile(sampler)

    def _end_profile(self, sampler: "Sampler") -> None:
        self._sampler = None
        sampler.close()
        self._say(envelopes.profile(self._profile[0], *sampler.told()))

    def _on_reopen_logs(self, envelope: Envelope) -> None:
        _, troubles = reopen_log_files()
        for trouble in troubles:
            import logging

            logging.getLogger("snakepit.worker").error("%s", trouble)

    def _on_metrics_asked(self, envelope: Envelope) -> None:
        # not in this thread: the app may have collectors of its own, which may hang
        if self._collecting is None or not self._collecting.is_alive():
            self._collecting = threading.Thread(
                target=self._tell_metrics, name="snakepit-metrics", daemon=self._thread.daemon
            )
            self._collecting.start()

    def _tell_metrics(self) -> None:
        self._say(*app_metrics.wait_told())

    def _on_stop(self, envelope: Envelope) -> None:
        self._look_again(_ALL, FIRST_LOOK)

    def _on_abandoned(self, envelope: Envelope) -> None:
        self._abandoned = True
        self._look_again(_ALL, FIRST_LOOK)

    def _look_again(self, number: int, pause: float) -> None:
        self._looks[number] = time.monotonic() + pause, pause

    def _say(self, *said: Envelope) -> None:
        end = self._end
        with self._saying:  # the last words come from another thread, and leave whatever waits
            if self._has_left:
                return
            end.post(*said, large=True)
            end.flush_all()

    def _look(self, now: float) -> None:
        for number, (due, pause) in list(self._looks.items()):
            if due <= now:
                self._looks.pop(number, None)
                if number == _ALL:
                    self._end_all(pause)
                else:
                    self._end_exchange(number, pause)

    def _end_exchange(self, number: int, pause: float) -> None:
        ended = NOTHING if self._running is None else self._running.end_exchange(number, RequestTimeout)
        again = ended != NOTHING and pause * 2 <= LAST_LOOK
        if again:
            self._look_again(number, pause * 2)
        if number in self._untold and not (ended is None and again):
            self._untold.discard(number)
            self._say(envelopes.interrupted(number, *(ended or NOTHING)))

    def _end_all(self, pause: float) -> None:
        if self._running is not None:
            self._running.end_all(WorkerStopping, self._abandoned)
        if self._abandoned or pause * 2 <= LAST_LOOK:
            self._look_again(_ALL, min(pause * 2, RARELY))

    _HANDLERS: ClassVar[dict[int, Callable[["Watchdog", Envelope], None]]] = {
        envelopes.ASK_HEARTBEAT: _on_heartbeat_asked,
        envelopes.RELEASE: _on_release,
        envelopes.TIMED_OUT: _on_timed_out,
        envelopes.ASK_STACK: _on_stack_asked,
        envelopes.ASK_PROFILE: _on_profile_asked,
        envelopes.ASK_STACKS: _on_stacks_asked,
        envelopes.REOPEN_LOGS: _on_reopen_logs,
        envelopes.ASK_METRICS: _on_metrics_asked,
        envelopes.STOP: _on_stop,
        envelopes.ABANDONED: _on_abandoned,
    }
    """The handlers of envelopes, by kind."""
