"""snakepit.server.dispatch.queue, with workers of threads: what waits in a worker, and what has a thread to itself."""

import asyncio

from clients import FakeClient
from ready_pools import play

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.server.responders.refusal import Refusal
from snakepit.server.workers.runtimes import InterpreterRuntime
from snakepit.server.workers.seats import FOLLOWERS
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import envelopes

NEVER_SLOW = 0.0
"""What the clock of seats shows, always."""


class Threads:
    """A pool of one worker with threads, which was never started, but said that it is ready. No thread is ever slow."""

    def __init__(self, threads, waiting=1000, **more):
        self.loop = asyncio.get_running_loop()
        options = PoolOptions(1, threads, 1000, None, waiting, 30.0, "wsgi", "interpreter", {}, **more)
        self.pool = Pool(options, Observer(), self.loop)
        self.worker = WorkerHandle(1, {}, InterpreterRuntime(threads), self.pool, self.loop)
        self.workers = [self.worker]
        self.worker._take([envelopes.loaded("wsgi", 0.0, [], [], []), envelopes.ready(0.0)])
        self.worker._seats._clock = lambda: NEVER_SLOW
        self.number = 0

    def submit(self, *kinds):
        """Submit exchanges: uploads, whose body is still to come, and whole ones."""
        exchanges = []
        for kind in kinds:
            self.number += 1
            head = RequestHead("POST", b"/", "1.1", [], False, more=kind == "upload")
            exchanges.append(Exchange(self.number, FakeClient(), self.pool.queue, head))
            self.pool.queue.submit(exchanges[-1])
        return exchanges

    def answer(self, *exchanges):
        self.worker._take([envelopes.answer(exchange.number, 200, NONE, b"") for exchange in exchanges])

    @property
    def at_work(self):
        """The numbers of the exchanges on each seat."""
        return sorted(seat.exchanges for seat in self.worker._seats._busy)


def states(exchanges):
    return [exchange.state for exchange in exchanges]


WAITING, ASSIGNED = ExchangeState.WAITING, ExchangeState.ASSIGNED


def test_whole_ones_wait_in_the_worker_and_uploads_in_the_line():
    async def scenario(made):
        exchanges = made.submit("upload", "upload", "whole", "whole", "upload", "whole")
        assert states(exchanges) == [ASSIGNED] * 4 + [WAITING] * 2
        assert made.at_work == [[1], [2], [3, 4]]
        assert made.pool.queue.waiting == 3

    play(scenario, 3, of=Threads)


def test_uploads_from_the_line_have_threads_to_themselves_and_whole_ones_behind_them_have_not():
    """Several get what they wait for at once, and one of these takes the last thread that could be followed."""

    async def scenario(made):
        held = made.submit("upload", "whole", "whole")
        behind = made.submit("upload", "upload", "whole", "whole")
        assert states(behind) == [WAITING] * 4
        made.answer(*held[1:])
        assert made.at_work == [[1], [4], [5]]
        assert states(behind) == [ASSIGNED] * 2 + [WAITING] * 2
        made.answer(behind[0])
        assert made.at_work == [[1], [5], [6, 7]]

    play(scenario, 3, of=Threads)


def test_a_worker_of_one_thread_has_more_than_it_is_at_unless_that_is_an_upload():
    async def scenario(made):
        exchanges = made.submit(*["whole"] * (FOLLOWERS + 2))
        assert states(exchanges) == [ASSIGNED] * FOLLOWERS + [WAITING] * 2
        made.answer(*exchanges[:FOLLOWERS])
        assert made.at_work == [[FOLLOWERS + 1, FOLLOWERS + 2]]
        made.answer(*exchanges[FOLLOWERS:])
        upload, whole = made.submit("upload", "whole")
        assert (upload.state, whole.state) == (ASSIGNED, WAITING)
        made.answer(upload)
        assert whole.state is ASSIGNED

    play(scenario, 1, of=Threads)


def test_as_many_wait_as_may_wherever_they_do():
    async def scenario(made):
        exchanges = made.submit("whole", "whole", "whole", "whole")
        assert states(exchanges) == [ASSIGNED, ASSIGNED, ASSIGNED, ExchangeState.CLOSED]
        assert exchanges[3]._client.sent == [503]
        assert made.pool.queue.waiting == 2

    play(scenario, 1, 2, of=Threads)


def test_what_is_taken_back_goes_to_the_head_of_the_line():
    async def scenario(made):
        first, *others = made.submit("whole", "whole", "whole")
        upload, *_ = made.submit("upload", "whole")
        made.worker._seats._clock = lambda: 1000.0
        made.pool.queue._look_for_late()
        assert made.at_work == [[1]]
        assert made.pool.queue._dispatcher.line[:3] == [*others, upload]
        made.answer(first)
        assert made.at_work == [[2, 3]]

    play(scenario, 1, of=Threads)


# -- bodies that are kept until they are here --------------------------------------------------------------------------


def keeping(threads):
    return Threads(threads, kept_body=1000)


def test_an_upload_gets_a_thread_when_it_is_here():
    async def scenario(made):
        uploads = made.submit("upload", "upload", "upload")
        [whole] = made.submit("whole")
        assert states(uploads) == [WAITING] * 3
        assert whole.state is ASSIGNED
        assert (made.pool.queue.in_progress, made.pool.queue.waiting) == (4, 0)
        for upload in uploads:
            upload.add_body(b"x", False)
        assert states(uploads) == [ASSIGNED] * 3, "they are whole now, and may wait in the worker"
        made.answer(*uploads, whole)
        assert made.pool.queue.in_progress == 0

    play(scenario, 1, of=keeping)


def test_an_upload_that_is_long_waits_for_a_thread_to_itself():
    async def scenario(made):
        [whole, upload] = made.submit("whole", "upload")
        upload.add_body(b"x" * 1000, True)
        assert upload.state is WAITING
        assert made.pool.queue.waiting == 1
        made.answer(whole)
        assert upload.state is ASSIGNED

    play(scenario, 1, of=keeping)


def test_an_upload_whose_client_goes_is_forgotten():
    async def scenario(made):
        [upload] = made.submit("upload")
        upload.client_gone()
        assert upload.state is ExchangeState.CLOSED
        assert made.pool.queue.in_progress == 0
        await made.pool.queue.wait_idle()

    play(scenario, 1, of=keeping)


def test_an_upload_whose_app_is_stopped_meanwhile():
    async def scenario(made):
        [upload] = made.submit("upload")
        made.pool.queue.answer_instead(Refusal(503, "This app is stopped"))
        assert upload.state is WAITING
        upload.add_body(b"x", False)
        assert upload.state is ExchangeState.CLOSED
        assert upload._client.status == 503
        assert made.pool.queue.in_progress == 0

    play(scenario, 1, of=keeping)
