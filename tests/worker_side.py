"""What an exchange of an ASGI app has around it in its worker: an end and a worker that keep what they are given."""

import asyncio

from fakes import fake_of

from snakepit.wire import envelopes
from snakepit.wire.codec import encode
from snakepit.wire.envelopes import DONE, RESPONSE
from snakepit.wire.loop_ends import WorkerLoopEnd
from snakepit.worker.asgi.lifespan import Lifespan
from snakepit.worker.asgi.loop import AsgiWorker

NUMBER = 7
"""Of the one exchange there is."""


@fake_of(WorkerLoopEnd)
class FakeEnd:
    """Keeps what is posted; `send` says that all of it is on its way, as it is at the end of a turn of the loop."""

    def __init__(self):
        self.posted = []
        self._sent = 0

    def post(self, envelope, large=False):
        encode([envelope])  # raises for what could not cross
        self.posted.append(envelope)

    def post_done(self, exchange):
        kind, number, *fields = self.posted[-1] if len(self.posted) > self._sent else (None, None)
        if kind == RESPONSE and number == exchange:
            self.posted[-1] = envelopes.answer(number, *fields[:-1])
        else:
            self.post(envelopes.done(exchange, None))

    def send(self):
        self._sent = len(self.posted)


@fake_of(AsgiWorker)
class FakeWorker:
    """What an exchange uses of its worker."""

    def __init__(self, app, root_path=""):
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.lifespan = Lifespan(app, "off")
        self.root_path = root_path
        self.stopping = self.may_time_out = False
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
