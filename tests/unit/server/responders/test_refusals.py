"""server.responders.refusal and server.responders.failed: answers in the stead of an app."""

import pytest
from clients import FakeClient

from snakepit.http.events import RequestHead
from snakepit.http.fields import render
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.responders import failed as failed_module
from snakepit.server.responders.failed import Failed
from snakepit.server.responders.refusal import Refusal

HEAD = RequestHead("GET", b"/", "1.1", [], False)


def submit(responder):
    exchange = Exchange(1, client := FakeClient(), responder, HEAD)
    assert responder.takes(HEAD)
    responder.submit(exchange)
    return exchange, client


@pytest.mark.parametrize(("seconds", "fields"), [(None, []), (3, [(b"retry-after", b"3")])])
def test_a_refusal(seconds, fields):
    refusal = Refusal(503, "Not now", seconds)
    assert (refusal.destination, refusal.responders) == (refusal, ())
    _, client = submit(refusal)
    assert (client.status, client.body, client.fields) == (503, b"Not now", render(fields))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 10), (6, 160), (7, 300), (2000, 300)])
def test_a_failed_app_is_left_alone_for_some_time(monkeypatch, failures, seconds):
    now = [1000.0]
    monkeypatch.setattr(failed_module.time, "monotonic", lambda: now[0])
    started = []
    failed = Failed(failures, started.append)
    now[0] += seconds - 0.5
    _, client = submit(failed)
    assert (client.status, client.body) == (502, b"This app can't be started")
    assert client.fields == render([(b"retry-after", b"1")])
    assert started == []
    now[0] += 0.5
    exchange, client = submit(failed)
    assert (started, client.sent) == ([exchange], [])
