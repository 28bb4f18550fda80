"""server.dashboard.verdict: what is said of a server, by its state."""

import pytest

from snakepit.server.dashboard.verdict import verdict


def worker(number=1, state="ready", reacts=True):
    return {"number": number, "state": state, "reacts": reacts}


def app(name="shop", state="serving", workers=None, waiting=0, trouble=""):
    workers = [worker(1), worker(2)] if workers is None else workers
    return {"name": name, "state": state, "workers": workers, "waiting": waiting, "trouble": trouble}


def judge(*apps, server="serving", in_flight=(), several=False, **more):
    found = verdict(
        {
            "server": {"state": server, "abandoned": 0, "lost_wakeups": 0, **more},
            "apps": apps or [app()],
            "several": several,
            "in_flight": {"requests": [{"state": state, "seconds": seconds} for state, seconds in in_flight]},
        }
    )
    return found.level, found.reasons


def test_all_is_well():
    assert judge() == ("well", [])
    assert judge(app(workers=[worker(), worker(2, "retiring", False), worker(3, "starting")])) == ("well", [])
    assert judge(app(state="starting", workers=[worker(state="starting")])) == ("well", [])


@pytest.mark.parametrize(
    ("workers", "level", "reason"),
    [
        ([], "bad", "no worker is ready"),
        ([worker(state="starting")], "bad", "no worker is ready"),
        ([worker(reacts=False)], "bad", "the only worker does not react"),
        ([worker(1, reacts=False), worker(2, reacts=False)], "bad", "none of 2 workers reacts"),
        ([worker(1), worker(2, reacts=False)], "look", "worker 2 does not react"),
        ([worker(1), worker(2, reacts=False), worker(3, reacts=False)], "look", "workers 2, 3 do not react"),
    ],
)
def test_workers(workers, level, reason):
    assert judge(app(workers=workers)) == (level, [reason[0].upper() + reason[1:]])
    assert judge(app(workers=workers), several=True) == (level, [f"shop: {reason}"])


def test_apps_are_named_where_there_are_several_and_the_worst_comes_first():
    assert judge(
        app("blog", "stopped"),
        app("shop", waiting=1),
        app("api", "failed", trouble="no module api"),
        several=True,
    ) == (
        "bad",
        [
            "api: the app can't be started: no module api",
            "blog: the app is stopped",
            "shop: 1 request is waiting for a worker",
        ],
    )


@pytest.mark.parametrize(
    ("in_flight", "reasons"),
    [
        ([("running", 4.9), ("responding", 60.0), ("waiting", 9.0)], []),
        ([("running", 5.1)], ["1 request is in the app for more than 5 s, the longest for 5 s"]),
        (
            [("running", 61.0), ("running", 7.0)],
            ["2 requests are in the app for more than 5 s, the longest for 61 s"],
        ),
    ],
)
def test_slow_requests(in_flight, reasons):
    assert judge(in_flight=in_flight) == ("look" if reasons else "well", reasons)


def test_the_server_itself():
    assert judge(server="stopping") == ("look", ["The server is stopping"])
    assert judge(abandoned=1) == ("look", ["1 worker did not end, and may still use memory and CPU"])
    assert judge(lost_wakeups=3)[0] == "look"
