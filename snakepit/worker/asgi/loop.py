"""The worker of an ASGI app: one event loop, one task per exchange (ASGI specification 3.0, HTTP 2.3).

Envelopes come off the channel in the loop; each request starts its task at once, in the same turn (an eager task), so
a handler that never waits costs no further turn and its response leaves with whatever else this turn has to say. What
an exchange does is in `snakepit.worker.asgi.exchange`.
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, ClassVar, cast

from snakepit.errors import Interrupted, LifespanError, fault
from snakepit.wire import envelopes
from snakepit.wire.carrier import discard
from snakepit.wire.envelopes import KIND, NUMBER, REQUEST, Envelope, position
from snakepit.wire.loop_ends import attach_worker_loop
from snakepit.worker.asgi.exchange import AsgiExchange
from snakepit.worker.asgi.lifespan import AsgiApp, Lifespan
from snakepit.worker.asgi.pace import OVER, Pace
from snakepit.worker.error_page.choice import error_pages
from snakepit.worker.hangs.asgi_tasks import RunningTasks

if TYPE_CHECKING:
    from snakepit.wire.settings import WorkerSettings
    from snakepit.worker.asgi.lag import TurnLag
    from snakepit.worker.hangs.watchdog import Watchdog

_log = logging.getLogger("snakepit.worker")

_MORE, _SCHEME = position(REQUEST, "more"), position(REQUEST, "scheme")

SENDING_FILES = frozenset({"starlette", "litestar"})
"""Packages that have the server send files (ASGI's `http.response.pathsend`). Only apps with one of these are offered
that, since to offer it costs each request a dict in a dict: 4 % of what a worker does for the smallest app."""

_OF_HTTP = "http", "https"
"""The schemes of all exchanges but WebSockets."""


def serve(app: object, settings: "WorkerSettings", loaded: Envelope, watchdog: "Watchdog") -> Envelope | None:
    """Run the app until this worker is retired; returns why not: a FAILED envelope."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = AsgiWorker(cast("AsgiApp", app), settings, loop)
    watchdog.watch(worker.tasks)
    try:
        return loop.run_until_complete(worker.serve(loaded))
    finally:
        worker.close()  # whatever ended the loop, nothing more may be begun while it is cleaned up
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.run_until_complete(worker.end.wait_closed())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class AsgiWorker:
    """Takes envelopes, runs the app, and knows what it runs."""

    def __init__(self, app: AsgiApp, settings: "WorkerSettings", loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.lifespan = Lifespan(app, settings["lifespan"], self._lifespan_failed)
        self.state = self.lifespan.state
        self.root_path = settings["root_path"]
        self.mount = settings["mount"]
        self.ws_max_queue = settings["ws_max_queue"]
        self._exchanges: dict[int, AsgiExchange] = {}
        self._taken: deque[Envelope] = deque()  # off the channel, and not handled yet
        self.stopping = False  # told to cut what has begun
        self._closed = False
        self._fresh_contexts = settings["reset_contextvars"]
        self.app_sends_files = not SENDING_FILES.isdisjoint(sys.modules)
        self.may_time_out = settings["timeout_request"] is not None
        self.error_pages = error_pages(settings, "asgi")
        self._retired = asyncio.Event()
        self._idle = asyncio.Event()
        self._pace = Pace()
        self._lag: TurnLag | None = None  # as long as nobody asks for metrics
        self.end = attach_worker_loop(settings["channels"][0], loop, self._take, self._stop)
        callers = [AsgiExchange.run.__code__, Lifespan.run.__code__]
        if self.error_pages is not None:
            callers += self.error_pages.callers
        self.tasks = RunningTasks(loop, self.held_up, callers, lambda: self.lifespan.task)
        for address in settings["channels"][1:]:
            discard(address)  # seats of a WSGI app, which this is not

    async def serve(self, loaded: Envelope) -> Envelope | None:
        """Start up, serve until retired, shut down; returns why that can't be, a FAILED envelope."""
        await self.end.open()
        self.end.post(loaded)
        try:
            before = time.perf_counter()
            await self.lifespan.start()
            self._cpu = time.thread_time()
            if not self.stopping:
                self.end.post(envelopes.ready(time.perf_counter() - before))
            await self._retired.wait()
            self._set_idle()
            await self._idle.wait()
            trouble = await self.lifespan.shut_down()
            if trouble is not None:
                self.end.post(envelopes.failed("lifespan", trouble))
        except LifespanError as error:
            return envelopes.failed(
                "lifespan", str(error), self.error_pages.of_failure(error) if self.error_pages is not None else b""
            )
        finally:
            self.end.flush_all()
            self.close()
        return None

    def close(self) -> None:
        """Begin nothing more, and say nothing more."""
        self._closed = True
        if self._lag is not None:
            self._lag.close()
        self.end.close()

    def _lifespan_failed(self, trouble: str) -> None:
        if not self._closed:
            self.end.post(envelopes.lifespan_failed(trouble))

    def _stop(self) -> None:
        """Cut what has begun, and end: told so, or the main process has gone, and all clients with it."""
        self.stopping = self.tasks.stopping = True
        self.lifespan.cancel_start()
        self._retired.set()
        for begun in list(self._exchanges.values()):
            begun.cancel()

    def finished(self, exchange: AsgiExchange) -> None:
        """Forget an exchange in which the app had waited for something, and has ended."""
        self._exchanges.pop(exchange.number, None)
        exchange.task = None
        self.tasks.cancelled.discard(exchange.number)
        if self._retired.is_set():
            self._set_idle()

    def _set_idle(self) -> None:
        if not self._exchanges:
            self._idle.set()

    def _take(self, came: list[Envelope]) -> None:
        taken, pace = self._taken, self._pace
        taken.extend(came)
        pace.turns += 1
        if pace.asleep:
            pace.woke()
        while taken:
            try:
                envelope = taken.popleft()
            except IndexError:  # the watchdog took the last one
                break
            try:
                if envelope[KIND] == REQUEST:
                    pace.begun += 1
                    self._begin(envelope)
                else:
                    self._HANDLERS.get(envelope[KIND], AsgiWorker._tell_exchange)(self, envelope)
            except Interrupted:  # meant for the app's code, which had just ended
                pass
            except Exception:  # one exchange's trouble must not take what came behind it along
                _log.exception("Error while handling what came for exchange %d", envelope[NUMBER])
        if pace.begun >= OVER:
            self.end.post(envelopes.cpu_per_request(pace.average()))

    def _tell_exchange(self, envelope: Envelope) -> None:
        """Pass on what belongs to an exchange; nothing, if that is over."""
        kind, number, *fields = envelope
        exchange = self._exchanges.get(number)
        if exchange is not None and (tell := exchange.TOLD_OF.get(kind)) is not None:
            tell(exchange, *fields)

    def _on_heartbeat_asked(self, envelope: Envelope) -> None:
        self.end.post(envelopes.heartbeat(*self.end.rang))

    def _on_lag_asked(self, envelope: Envelope) -> None:
        if self._lag is None:
            from snakepit.worker.asgi.lag import TurnLag

            self._lag = TurnLag(self.loop)
        self._lag.wanted()
        self.end.post(envelopes.lag(list(self._lag.counts), self._lag.total))

    def _on_retire(self, envelope: Envelope) -> None:
        self._retired.set()

    def _on_stop(self, envelope: Envelope) -> None:
        self._stop()

    def held_up(self) -> list[Envelope]:
        """Take what this loop holds up, which is in a computation; called in the watchdog's thread.

        Of what has come and waits for this turn to get to it, whole requests leave, each by one operation on the deque:
        either this thread has one or the loop. Everything else stays where it is, in its order.
        """
        said = self.end.take_answers()
        busy = self.tasks.current()
        if busy:
            said.append(envelopes.blocked_by(busy))
        for envelope in list(self._taken):
            if envelope[KIND] == REQUEST and not envelope[_MORE]:
                try:
                    self._taken.remove(envelope)
                except ValueError:  # the loop took it
                    continue
                said.append(envelopes.declined(envelope[NUMBER], envelope))
        return said

    def _begin(self, envelope: Envelope) -> None:
        """Run the app for a request until it waits for something, or to its end."""
        try:
            make = AsgiExchange if envelope[_SCHEME] in _OF_HTTP else _websocket()
            exchange = make(self, envelope)
        except Exception as error:  # a bug of ours must end this exchange, not the reading of the channel
            self.end.post(envelopes.done(envelope[NUMBER], fault(error)))
            return
        if self._fresh_contexts:
            task = asyncio.Task(exchange.run(), loop=self.loop, eager_start=True, context=Context())
        else:
            task = asyncio.Task(exchange.run(), loop=self.loop, eager_start=True)
        if not task.done():
            self._pace.any_waited = True
            self._exchanges[exchange.number] = exchange
            exchange.goes_on(task)

    _HANDLERS: ClassVar[dict[int, Callable[["AsgiWorker", Envelope], None]]] = {
        envelopes.ASK_HEARTBEAT: _on_heartbeat_asked,
        envelopes.ASK_LAG: _on_lag_asked,
        envelopes.RETIRE: _on_retire,
        envelopes.STOP: _on_stop,
    }
    """What is done about envelopes, by kind, except requests; all others belong to an exchange."""


def _websocket() -> type[AsgiExchange]:
    from snakepit.worker.asgi.websocket import AsgiWebSocket

    return AsgiWebSocket


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what the app left running, as asyncio.run does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
