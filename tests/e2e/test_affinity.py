"""A connection stays with its worker while that is about as free as the least loaded.

If a framework of the app keeps sessions in memory, all of a client's connections stay with one worker.
"""

import re
from contextlib import ExitStack

import pytest
from support import NEEDS_TWO_WORKERS, Client, running, wait_until

pytestmark = NEEDS_TWO_WORKERS

APPS = pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])


@APPS
def test_requests_of_a_connection_go_to_one_worker(app):
    """But where one does not get to run for 2 ms, since the machine is busy, another gets what it has not begun."""
    with running(app, workers=3) as server:

        def stays():
            with Client(server) as client:
                return len({client.request("/who").text for _ in range(20)}) == 1

        wait_until(stays, "all requests of a connection go to one worker")


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


def test_a_session_of_socketio_on_connections_of_its_own():
    """Each request of a long-polling client on another connection: only its worker knows the session."""
    with running("sockets.socketio_app:app") as server:
        for _ in range(8):
            opened = server.get("/socket.io/?EIO=4&transport=polling")
            session = re.search('"sid":"([^"]+)"', opened.text)[1]
            polling = f"/socket.io/?EIO=4&transport=polling&sid={session}"
            sent = server.get(polling, method="POST", body=b'40{"token":"right"}')
            assert (sent.status, sent.text) == (200, "OK"), sent.text
            assert server.get(polling).text.startswith('40{"sid":'), "which it was sent, or this waits"


def test_all_requests_of_a_client_where_pages_are_kept_in_memory(held):
    """Whatever that worker has to do, and until it is replaced."""
    with running("paged:app") as server:
        server.wait_logged("nicegui keeps each page in the memory of one worker")
        home = server.get("/who").text
        with Client(server) as busy:
            busy.send(held.request())
            server.wait_logged("holding")
            assert {server.get("/who").text for _ in range(20)} == {home}
            held.release()
            assert busy.read().status == 200
        assert server.command("reload").returncode == 0
        (successor,) = {server.get("/who").text for _ in range(20)}
        assert successor != home


def test_the_first_request_of_a_worker_comes_alone_where_the_framework_sets_itself_up_in_it():
    with running("dashing:app", workers=2) as server, ExitStack() as clients:
        several = [clients.enter_context(Client(server)) for _ in range(12)]
        for client in several:
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert [client.read().status for client in several] == [200] * 12
