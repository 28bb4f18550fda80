"""What an exchange of an ASGI app has around it in its worker: an end and a worker that keep what they are given."""

import asyncio

from fakes import fake_of

from snakepit.wire.codec import encode
from snakepit.wire.envelopes import DONE
from snakepit.wire.loop_ends import WorkerLoopEnd
from snakepit.worker.asgi.lifespan import Lifespan
from snakepit.worker.asgi.loop import AsgiWorker

NUMBER = 7
"""Of the one exchange there is."""


@fake_of(WorkerLoopEnd)
class FakeEnd:
    """Keeps what is posted."""

    def __init__(self):
        self.posted = []
        self.large = []  # of these, what was said to have a large body

    def post(self, envelope, large=False):
        encode([envelope])  # raises for what could not cross
        self.posted.append(envelope)
        if large:
            self.large.append(envelope)

    def call_at_end_of_turn(self, call):
        asyncio.get_running_loop().call_soon(call)


@fake_of(AsgiWorker)
class FakeWorker:
    """What an exchange uses of its worker."""

    def __init__(self, app, root_path="", mount=""):
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.lifespan = Lifespan(app, "off")
        self.state = self.lifespan.state
        self.root_path, self.mount = root_path, mount
        self.stopping = self.may_time_out = False
        self.app_sends_files = True
        self.error_pages = None
        self.end = FakeEnd()
        self.over = []

    def finished(self, exchange):
        exchange.task = None
        self.over.append(exchange)

    def posted(self, *kinds):
        return [envelope for envelope in self.end.posted if envelope[0] in kinds]


def trouble(worker):
    """What went wrong in the app; with an ANSWER nothing can have."""
    last = worker.end.posted[-1]
    return last[2] if last[0] == DONE else None
