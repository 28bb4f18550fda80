"""snakepit.control.text: what `snakepit status` prints."""

import time

import pytest

from snakepit.control.text import duration, render, render_apps

SINCE = time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))

STATUS = {
    "name": "shop",
    "state": "serving",
    "pid": 12,
    "supervisor": 11,
    "app": "main:app",
    "address": "http://127.0.0.1:8000",
    "version": "0.1.0",
    "python": "3.14.0",
    "runtime": "interpreter",
    "since": SINCE,
    "uptime": 3700.0,
    "connections": 20,
    "open_connections": 3,
    "requests": 40,
    "in_progress": 2,
    "waiting": 1,
    "memory": 64 * 2**20,
    "restarts": 5,
    "abandoned": 0,
    "lost_wakeups": 0,
    "workers": [
        {
            "number": 1,
            "state": "ready",
            "interface": "asgi",
            "exchanges": 1,
            "served": 39,
            "age": 3699.0,
            "import_seconds": 0.25,
            "startup_seconds": 0.011,
        },
        {
            "number": 2,
            "state": "starting",
            "interface": "",
            "exchanges": 0,
            "served": 0,
            "age": 3.2,
            "import_seconds": 0.0,
            "startup_seconds": 0.0,
        },
    ],
}
STATUS["apps"] = [{"name": "main:app", "route": "/", "workers": STATUS["workers"]}]


STATE = {
    "verdict": {"level": "well", "reasons": []},
    "in_flight": {"requests": [], "more": 0},
    "several": False,
}


def slow(path, worker, seconds, state="running"):
    return {"method": "GET", "path": path, "worker": worker, "app": "main:app", "seconds": seconds, "state": state}


def test_that_it_is_well():
    assert render(STATUS, STATE).startswith("Verdict      all is well\nName         shop\n")


def test_what_is_not_well_what_is_slow_and_what_to_ask_next():
    requests = [slow("/a\x1b[2J", 2, 26.34), slow("/b", None, 3, "waiting"), slow("/c", 1, 2), slow("/d", 1, 1.5)]
    state = STATE | {
        "verdict": {"level": "bad", "reasons": ["None of 2 workers reacts", "1 request is waiting for a worker"]},
        "in_flight": {"requests": requests, "more": 4},
    }
    assert render(STATUS, state).splitlines()[:7] == [
        "Verdict      None of 2 workers reacts",
        "             1 request is waiting for a worker",
        "Slow now     GET /a\\x1b[2J, 26.3 s, running, worker 2",
        "             GET /b, 3.0 s, waiting",
        "             GET /c, 2.0 s, running, worker 1",
        "Next         snakepit stacks shows where they are",
        "Name         shop",
    ]
    assert ", worker 2 of main:app" in render(STATUS, state | {"several": True})


def test_all_of_it():
    assert render(STATUS) == (
        "Name         shop\n"
        "Server       serving, pid 12, supervisor 11\n"
        "App          main:app\n"
        "Address      http://127.0.0.1:8000\n"
        "Runtime      interpreter, Snakepit 0.1.0, Python 3.14.0\n"
        "Up           1 h 1 min, since 2026-01-02 03:04:05\n"
        "Connections  3 open, 20 in all\n"
        "Requests     2 in progress, 1 of them waiting, 40 in all\n"
        "Memory       64 MiB\n"
        "Restarts     5\n"
        "\n"
        "WORKER  STATE     INTERFACE  NOW  SERVED  AGE        IMPORT  START-UP\n"
        "1       ready     ASGI       1    39      1 h 1 min  0.25 s  0.01 s\n"
        "2       starting             0    0       3 s"
    )


def test_what_there_may_not_be():
    assert "\nAbandoned    2 workers that do not end\n" in render({**STATUS, "abandoned": 2})
    assert "\nLost         3 wake-ups, which is a bug in snakepit; please" in render({**STATUS, "lost_wakeups": 3})
    text = render({**STATUS, "name": None, "supervisor": None, "address": None, "memory": None, "workers": []})
    assert text.startswith("Server       serving, pid 12\n")
    assert "\nAddress      none yet\n" in text
    assert "\nMemory       unknown\n" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7260, "2 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


SEVERAL = [
    {
        "name": name,
        "route": route,
        "state": state,
        "workers": workers,
        "in_progress": 1,
        "waiting": 0,
    }
    for name, route, state, workers in [
        ("shop", "shop.example.com", "serving", STATUS["workers"]),
        ("/api", "/api", "stopped", []),
    ]
]


def test_of_several_apps_each_worker_stands_with_its_own():
    shown = render(STATUS | {"app": "shop, /api", "apps": SEVERAL}).splitlines()
    assert shown[-3].split()[:3] == ["APP", "WORKER", "STATE"]
    assert [line.split()[:3] for line in shown[-2:]] == [["shop", "1", "ready"], ["shop", "2", "starting"]]


def test_apps():
    assert render_apps(SEVERAL) == (
        "APP   ROUTE             STATE    WORKERS  NOW  WAITING  SERVED\n"
        "shop  shop.example.com  serving  2        1    0        39\n"
        "/api  /api              stopped  0        1    0        0"
    )


def event(number, kind="scaled"):
    moment = f"2026-01-02T03:{number:02}:00.000Z"
    return {"time": moment, "kind": kind, "text": f"event {number}"}


def test_how_loaded_it_is():
    lines = render(STATUS, STATE | {"load": {"rate": 12.34, "busy": 0.456}}).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Requests"))
    assert lines[at + 1] == "Load         12 requests/s; workers had one for 46% of the time (the last 10 s)"
    assert "Load         0.3 requests/s" in render(STATUS, STATE | {"load": {"rate": 0.3, "busy": 0.0}})


@pytest.mark.parametrize("load", [None, {}, {"rate": None, "busy": None}])
def test_a_server_that_does_not_know_its_load(load):
    assert "Load" not in render(STATUS, STATE | {"load": load})


def test_what_happened_lately():
    events = [event(9), event(8, "worker-ready"), event(7, "listening"), *(event(number) for number in range(6, 0, -1))]
    lines = render(STATUS, STATE | {"events": events, "time": 1767323400.0}).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Lately"))
    assert [line[-7:] for line in lines[at : at + 6]] == ["event 3", "event 4", "event 5", "event 6", "event 9", ""]
    assert "Lately" not in render(STATUS, STATE | {"events": [], "time": 1.0})
