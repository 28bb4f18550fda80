"""What clients notice when server processes come and go under a constant load, in figures: `make stress`.

Each test prints one line of JSON.
"""

import json
import os
import signal
import sys
import time

import pytest
from steady_load import CONNECTIONS, loaded
from support import RUNTIME, Client, gone, running, wait_until

HAND_OVERS = 20
CRASHES = 3
SLACK = 1.0  # seconds that the first answer after a crash may take beside the app's start

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals"),
    pytest.mark.skipif(RUNTIME == "thread", reason="has no supervisor"),
]


def wait_for_another(server, former):
    wait_until(lambda: server.pid != former, "another process starts")
    wait_until(lambda: server.err.count("Listening on") == server.err.count("Snakepit "), "it listens")


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_hand_overs(app, capsys):
    with running(app, "--no-access-log", "--timeout-keep-alive", "60") as server:
        with loaded(server, again=True) as load:
            for _ in range(HAND_OVERS):
                former = server.pid
                server.process.send_signal(signal.SIGUSR2)
                wait_for_another(server, former)
                wait_until(lambda former=former: gone(former), "the process before ends")
        with capsys.disabled():
            print(
                "\n"
                + json.dumps({"test": "hand-overs", "app": app, "runtime": RUNTIME, "times": HAND_OVERS} | vars(load))
            )
        assert (load.failed, load.closed, load.refused) == ([], [], 0)
        assert server.stop() == 0


@pytest.mark.parametrize("app", ["dying:app", "dying:wsgi"])
@pytest.mark.parametrize("how", ["kill", "segfault"])
def test_crashes(app, how, capsys):
    """Connections belong to the process, so each breaks once; none is refused, and no answer is wrong."""
    if how == "segfault" and RUNTIME == "process":
        pytest.skip("ends a worker there, not the server")
    for _ in range(CRASHES):  # a server each: one that crashes again within seconds is started less and less quickly
        with running(app, "--no-access-log", "--timeout-keep-alive", "60") as server:
            with loaded(server, again=True, path="/pid") as load:
                time.sleep(1)  # of quiet service
                former = server.pid
                began = time.monotonic()
                if how == "kill":
                    os.kill(former, signal.SIGKILL)
                else:
                    with Client(server) as client, pytest.raises(ConnectionError):
                        client.request("/segfault")
                assert server.get("/pid").status == 200
                outage = time.monotonic() - began
                wait_for_another(server, former)
            told = {"test": how, "app": app, "runtime": RUNTIME, "seconds_to_next_answer": round(outage, 3)}
            with capsys.disabled():
                print("\n" + json.dumps(told | vars(load) | {"closed": len(load.closed)}))
            assert (load.failed, load.refused) == ([], 0)
            assert len(load.closed) <= CONNECTIONS
            assert outage < SLACK
            assert server.stop() == 0
