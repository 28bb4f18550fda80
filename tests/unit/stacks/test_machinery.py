"""snakepit.stacks.machinery: which calls of a stack are the app's, whose the others are, and which wait."""

import asyncio.base_events
import asyncio.events
import asyncio.queues
import asyncio.tasks
import selectors
import threading
from pathlib import Path

import pytest

import snakepit
from snakepit.stacks.machinery import kind_of, ours, waits
from snakepit.worker.asgi import lifespan
from snakepit.worker.asgi.lifespan import Lifespan

OURS = str(Path(snakepit.__file__).parent / "worker" / "wsgi" / "exchange.py"), 1, "WsgiExchange.run"
LIFESPAN = lifespan.__file__
THREAD = threading.__file__, 1, "Thread._bootstrap"
LOOP = asyncio.base_events.__file__, 1, "BaseEventLoop._run_once"
HANDLE = asyncio.events.__file__, 1, "Handle._run"
SLEEP = asyncio.tasks.__file__, 1, "sleep"
FROZEN = "<frozen runpy>", 1, "_run_code"
APP = "/srv/app.py", 1, "handler"
LIBRARY = "/srv/venv/lib/python3.14/site-packages/flask/app.py", 1, "Flask.full_dispatch_request"


def shown(*calls, **kwargs):
    return [call for call, is_ours in zip(calls, ours(calls, **kwargs), strict=True) if not is_ours]


@pytest.mark.parametrize(
    ("calls", "of_the_app"),
    [
        ([THREAD, OURS, LIBRARY, APP], [LIBRARY, APP]),
        ([THREAD, OURS, LOOP, HANDLE, OURS, APP, SLEEP], [APP, SLEEP]),
        ([THREAD, APP, SLEEP], [APP, SLEEP]),
        ([THREAD, OURS, APP, OURS], [APP]),
        ([THREAD, OURS, LOOP], []),
        ([THREAD, OURS, SLEEP], []),
        ([THREAD, SLEEP], []),
        ([], []),
    ],
)
def test_what_leads_to_the_app_is_not_the_apps(calls, of_the_app):
    assert shown(*calls) == of_the_app


def test_in_the_first_thread_of_a_process_what_leads_to_snakepit_is_not_the_apps_either():
    assert shown(FROZEN, LIBRARY, OURS, LIBRARY, OURS, LOOP, is_thread=False) == []
    assert shown(FROZEN, APP, is_thread=False) == [APP]


def test_a_lifespan_that_waits_for_its_end_is_idle():
    begins = LIFESPAN, 1, Lifespan.run.__qualname__
    waits_for_end = LIFESPAN, 2, Lifespan.wait_message.__qualname__
    assert shown(OURS, begins, LIBRARY, APP, waits_for_end, (asyncio.queues.__file__, 1, "Queue.get")) == []
    assert shown(OURS, begins, LIBRARY, APP, SLEEP) == [LIBRARY, APP, SLEEP]


def test_whatever_an_app_calls_for_a_request_is_shown():
    assert shown(THREAD, OURS, SLEEP) == []
    assert shown(THREAD, OURS, SLEEP, led=2) == [SLEEP]
    assert shown(APP, OURS, LOOP, OURS, APP, led=4) == [APP]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (APP, "app"),
        (LIBRARY, "library"),
        (("<attrs generated init>", 1, "__init__"), "library"),
        (OURS, "machinery"),
        (THREAD, "machinery"),
        (FROZEN, "machinery"),
    ],
)
def test_whose_code_it_is(call, kind):
    assert kind_of(call[0]) == kind


SELECT = selectors.__file__, 1, "DefaultSelector.select"
QUEUES = str(Path(snakepit.__file__).parent / "wire" / "queues.py")


@pytest.mark.parametrize(
    ("innermost", "idle"),
    [
        (SELECT, True),
        (THREAD, True),
        ((QUEUES, 1, "BlockingQueueCarrier.wait"), True),
        ((QUEUES, 1, "_wait_rung"), True),
        ((QUEUES, 1, "QueueCarrier.ring"), False),
        (LOOP, False),
        (HANDLE, False),
        (APP, False),
    ],
)
def test_what_waits(innermost, idle):
    assert waits(innermost) is idle
