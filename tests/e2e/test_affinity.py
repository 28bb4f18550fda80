"""A connection stays with its worker while that is about as free as the least loaded."""

from contextlib import ExitStack

import pytest
from support import NEEDS_TWO_WORKERS, Client, running

pytestmark = NEEDS_TWO_WORKERS

APPS = pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])


@APPS
def test_requests_of_a_connection_go_to_one_worker(app):
    with running(app, workers=3) as server:
        for _ in range(4):
            with Client(server) as client:
                assert len({client.request("/who").text for _ in range(20)}) == 1


@APPS
def test_where_the_worker_is_busy_another_gets_the_next(app, held):
    with running(app, workers=2) as server, Client(server) as client, ExitStack() as others:
        home = client.request("/who").text
        clients = (others.enter_context(Client(server)) for _ in range(20))
        busy = next(other for other in clients if other.request("/who").text == home)
        busy.send(held.request())
        server.wait_logged("holding")
        (other,) = {client.request("/who").text for _ in range(10)}
        assert other != home, "which has one more"
        held.release()
        assert busy.read().status == 200
