"""What an exchange of a WSGI app has around it in its worker: a seat, whose channel's other end is a script."""

import io
from collections import deque
from wsgiref.util import FileWrapper

from fakes import fake_of

from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.wire.ends import LIMIT, BlockingEnd
from snakepit.wire.envelopes import ANSWER, BODY, DONE, RESPONSE
from snakepit.wire.queues import BlockingQueueCarrier
from snakepit.worker.hangs.wsgi_threads import RunningThreads
from snakepit.worker.wsgi.environ import EnvironFactory
from snakepit.worker.wsgi.seats import WsgiSeat

NUMBER = 7
"""Of the one exchange there is, where a test does not say which."""


@fake_of(BlockingQueueCarrier)
class Script:
    """What carries a channel's items: keeps what is sent, and hands out the script, one step for each wait.

    `has_come` is what somebody finds who does not wait, `there` what is found before anything of the script. `full`:
    how many waits it takes until the main interpreter has room for more.
    """

    def __init__(self, steps, has_come=(), there=()):
        self.steps = deque(steps)
        self.has_come = deque(has_come)
        self.there = deque(there)
        self.items = []
        self.full = 0

    @property
    def posted(self):
        return [envelope for item in self.items for envelope in item]

    def waiting(self):
        return LIMIT if self.full > 0 else 0

    def arrived(self):
        return len(self.there)

    def send(self, item):
        self.items.append(decode(item))

    send_before_wait = send

    def take(self):
        return encode([self.there.popleft()]) if self.there else None

    def ring(self):
        pass

    def wait(self, seconds=None):
        if seconds == 0.0:
            self.there.extend([self.has_come.popleft()] if self.has_come else [])
            return
        assert self.steps, f"would wait for ever, after {self.posted}"
        self.full -= 1
        self.there.extend(self.steps.popleft())


def request(body=b"", more=False, expects_continue=False, number=NUMBER, method="POST"):
    headers = [(b"host", b"a")]
    return envelopes.request(number, method, b"/", "1.1", headers, None, None, "http", body, more, expects_continue)


ENVIRON = {
    "root_path": "",
    "mount": "",
    "multithread": False,
    "multiprocess": False,
    "file_wrapper": FileWrapper,
    "errors": io.StringIO(),
}


def run(app, script, end=None, environs=None, same_process=True, error_pages=None):
    """Have a seat serve until it is told to retire."""
    end = end or BlockingEnd(script)
    threads = RunningThreads([], [end])
    WsgiSeat(end, app, environs or EnvironFactory(**ENVIRON), threads, same_process, error_pages).run()


def kinds(posted):
    return [envelope[0] for envelope in posted]


def trouble(posted):
    """What went wrong in the app; with an ANSWER nothing can have."""
    last = posted[-1]
    assert last[0] in (DONE, ANSWER)
    assert last[1] == NUMBER
    assert kinds(posted).count(DONE) + kinds(posted).count(ANSWER) == 1
    assert last[0] == DONE or not {RESPONSE, BODY} & set(kinds(posted)), "an ANSWER is the whole response"
    return last[2] if last[0] == DONE else None


def body_of(posted):
    return b"".join(
        envelope[2] if envelope[0] == BODY else envelope[4]
        for envelope in posted
        if envelope[0] in (RESPONSE, ANSWER, BODY)
    )
