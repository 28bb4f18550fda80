"""`--workers-max-rss`: an app that leaks is replaced in time, and no client notices."""

import json
import sys

import pytest
from support import NEEDS_TWO_WORKERS, RUNTIME, Client, Load, Server, running, wait_until

from snakepit.server.pool.wear import CHECK_PERIOD, FRESH

MIB = 2**20
LIMIT = 100  # MiB, of a worker's process, or of the one that interpreters share

GIVES_BACK = RUNTIME == "process"
"""Whether what a worker had is free again when it has ended: the C library may keep what an interpreter had."""

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def wait_seasoned(server):
    """Wait until the limit holds for all workers that there are now: what is fresh may have more."""

    def ages():
        return [worker["age"] for worker in json.loads(server.command("status", "--json").stdout)["workers"]]

    seasoned = max(ages()) + FRESH + CHECK_PERIOD
    wait_until(lambda: min(ages()) >= seasoned, "no worker is fresh")


def worn(server):
    """How often something was done about memory."""
    return server.err.count(": it is replaced") + server.err.count(": workers are replaced, one after the other")


@LINUX
@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("app", ["leaking:app", "leaking:wsgi"])
def test_an_app_that_leaks_under_load_is_replaced_and_no_request_fails(app):
    """With a supervisor, interpreters have a whole process replaced: see below."""
    options = ("--no-access-log", "--timeout-keep-alive", "60", "--workers-max-rss", str(LIMIT), "--no-supervise")
    with running(app, *options) as server:
        with Load(server, path="/?1") as load, Client(server) as leaking:
            wait_seasoned(server)
            most = 0

            def leak():
                nonlocal most
                assert leaking.request(f"/?{MIB}").status == 200
                most = max(most, server.rss())
                return worn(server)

            wait_until(leak, "the leak is noticed")
            load.wait_for_more()
            replaced = 1 if RUNTIME == "process" else 2
            wait_until(lambda: server.err.count(" ready:") >= 2 + replaced, "there are new workers")
            if GIVES_BACK:
                wait_until(lambda: server.rss() < most - LIMIT * MIB // 4, "memory is given back")
            load.wait_for_more()
        assert load.troubles == []
        assert server.stop() == 0
        assert "Traceback" not in server.err


@LINUX
@pytest.mark.skipif(RUNTIME != "interpreter", reason="they share one process")
def test_a_process_with_too_much_memory_hands_over_and_no_request_fails():
    options = ("--no-access-log", "--timeout-keep-alive", "60", "--workers-max-rss", str(LIMIT))
    with running("leaking:app", *options) as server:
        first = server.pid
        with Load(server, path="/?1", may_close=True) as load:
            wait_seasoned(server)

            def leak():
                assert server.get(f"/?{MIB}").status == 200
                return "Handed over to process" in server.err

            wait_until(leak, "another process has taken over")
            load.wait_for_more()
        assert load.troubles == []
        assert f"than --workers-max-rss {LIMIT}" in server.err
        assert server.pid != first
        assert server.rss() < LIMIT * MIB
        assert server.stop() == 0
        assert "Traceback" not in server.err


@NEEDS_TWO_WORKERS
def test_a_limit_below_what_the_server_needs_is_told_and_replaces_nothing():
    with running("leaking:app", "--workers-max-rss", "5") as server:
        count = 2 if RUNTIME == "process" else 1  # each worker's process, or the one of all
        server.wait_logged("more than --workers-max-rss 5, soon after the start: nothing is done about it", count)
        assert server.get("/").status == 200
        assert worn(server) == 0
        assert server.stop() == 0


def test_in_a_thread_there_is_no_such_limit():
    server = Server("leaking:app", "--runtime", "thread", "--workers-max-rss", "100", "--port", "0")
    try:
        assert server.wait_ended() == 2
        assert "workers_max_rss can't be used with runtime thread" in server.err
    finally:
        server.kill()
