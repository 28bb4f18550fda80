"""control.top_screen and control.looks: what there is room for, at any size."""

import io

import pytest
from rich.console import Console

from snakepit.control.looks import Looks
from snakepit.control.top_screen import Screen, plain


def worker(number, state="ready", reacts=True, busy=0.5, at=None):
    return {
        "number": number, "state": state, "reacts": reacts, "busy": busy, "exchanges": 2, "served": 12345,
        "age": 3700.0, "at": at,
    }  # fmt: skip


def request(number, path="/slow", seconds=12.0, state="running", app="main:app", its_worker=1):
    return {
        "id": number, "method": "GET", "path": path, "seconds": seconds, "state": state, "app": app,
        "worker": its_worker,
    }  # fmt: skip


def state(workers=2, requests=0, level="well", reasons=(), several=False, time=1.0, count=0, counted=True, pid=7):
    return {
        "time": time,
        "server": {
            "name": None, "app": "main:app", "address": "http://127.0.0.1:8000", "pid": pid, "python": "3.14.10",
            "uptime": 70.0, "restarts": 0,
        },
        "verdict": {"level": level, "reasons": list(reasons)},
        "requests": count, "errors": count // 10, "counted": counted, "in_progress": 5, "waiting": 3,
        "memory": 200 * 2**20, "connections": 9, "several": several,
        "apps": [{"name": "main:app", "workers": [worker(number + 1) for number in range(workers)]}],
        "in_flight": {"requests": [request(number) for number in range(requests)], "more": 0},
    }  # fmt: skip


def looks(**more):
    made = Looks()
    made.add(state(**more))
    made.add(state(**{**more, "time": 3.0, "count": 400}))
    return made


def shown(looks, width=80, height=24, whole=False):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False, color_system=None)
    console.print(Screen(looks, whole), height=None if whole else height)
    return console.file.getvalue().splitlines()


def test_all_of_it():
    lines = shown(looks(requests=2, level="look", reasons=["3 requests are waiting"]))
    text = "\n".join(lines)
    assert lines[0].startswith("main:app · http://127.0.0.1:8000 · pid 7 · Python 3.14.10 · up 1 min 10 s")
    assert lines[1].strip() == "● Worth a look: 3 requests are waiting"
    for said in ("Requests 200 /s", "In flight 5", "Waiting 3", "Errors 20 /s", "200 MiB", "GET /slow", "12.0 s"):
        assert said in text
    assert "12,345" in text
    assert "q  quit" in lines[-1]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 50), (40, 12), (200, 60), (30, 12)])
@pytest.mark.parametrize("workers", [0, 1, 3, 200])
@pytest.mark.parametrize("requests", [0, 1, 40])
def test_it_fits(width, height, workers, requests):
    reasons = [f"reason {number}" for number in range(9)]
    lines = shown(looks(workers=workers, requests=requests, level="bad", reasons=reasons), width, height)
    assert len(lines) <= height
    assert max(len(line.rstrip()) for line in lines) <= width


def test_what_there_is_no_room_for_is_counted():
    text = "\n".join(shown(looks(workers=60, requests=3)))
    assert "WORKER +" in text
    assert "GET /slow" in text


def test_without_a_terminal_there_is_room_for_all_and_no_keys():
    lines = shown(looks(workers=60, requests=40), whole=True)
    assert sum("12,345" in line for line in lines) == 60
    assert sum("GET /slow" in line for line in lines) == 40
    assert "quit" not in lines[-1]


@pytest.mark.parametrize("height", [24, 50])
@pytest.mark.parametrize("calls", [1, 200])
def test_where_a_request_is(height, calls):
    made = looks(requests=3)
    made.stack = "GET /slow", "".join(f'  File "x.py", line {call}, in f\n    call {call}\n' for call in range(calls))
    lines = shown(made, height=height)
    assert len(lines) <= height
    assert f"  call {calls - 1}" in lines
    assert "GET /slow" in lines
    assert "q  quit" in lines[-1]


def test_several_apps_are_named():
    text = "\n".join(shown(looks(requests=1, several=True), width=120))
    assert text.count("main:app 1") == 2


def test_what_is_not_known():
    made = Looks()
    made.add({**state(counted=False), "memory": None})
    made.state["apps"][0]["workers"][0].update(busy=None, reacts=False)
    text = "\n".join(shown(made))
    assert "Requests – /s" in text
    assert "silent" in text


@pytest.mark.parametrize(
    ("text", "harmless"), [("/a", "/a"), ("/\x1b[2J", "/?[2J"), ("/\x9b2J\n", "/?2J?"), ("/ü", "/ü"), ("\u202e", "?")]
)
def test_nothing_controls_the_terminal(text, harmless):
    assert plain(text) == harmless
    made = looks(requests=1)
    made.state["in_flight"]["requests"][0]["path"] = text
    assert f"GET {harmless}" in "\n".join(shown(made))


def test_rates():
    made = Looks()
    made.add(state(time=10.0, count=100))
    assert (made.rate, made.errors) == (None, None)
    made.add(state(time=12.0, count=140))
    assert (made.rate, made.errors) == (20.0, 2.0)
    made.add(state(time=13.0, count=0, pid=8))
    assert made.rate is None, "another process, which counts anew"
    made.add(state(time=14.0, count=30, pid=8, counted=False))
    assert (made.rate, made.errors) == (30.0, None)
    made.add(state(time=14.0, count=30, pid=8))
    assert made.rate is None
    assert list(made.rates) == [20.0, 30.0]


def happened(*numbers, level="info", kind="scaled"):
    return [
        {"time": "1970-01-01T00:00:01.000Z", "kind": kind, "level": level, "text": f"event {number}\x1b[2J"}
        for number in numbers
    ]


def with_events(events, **more):
    made = looks(**more)
    made.state = {**made.state, "events": events}
    return made


def test_what_happened_lately():
    events = [*happened(1, level="error"), *happened(0, kind="worker-ready"), *happened(*range(2, 20))]
    text = "\n".join(shown(with_events(events), whole=True))
    assert "LATELY" in text
    assert "event 1\\x1b[2J" in text
    assert "event 8\\x1b" in text
    assert "event 9\\x1b" not in text
    assert "event 0\\x1b" not in text


@pytest.mark.parametrize("height", range(10, 40))
@pytest.mark.parametrize("requests", [0, 3])
def test_events_take_only_the_room_that_is_left(height, requests):
    lines = shown(with_events(happened(*range(9)), requests=requests), height=height)
    without = shown(looks(requests=requests), height=height)
    assert len(lines) == len(without)
    assert [line for line in without if line.strip()] == [
        line for line in lines if line.strip() and "event" not in line and "LATELY" not in line
    ]
    assert ("LATELY" in "\n".join(lines)) is ("event 0" in "\n".join(lines))
    assert "event 0" in "\n".join(lines) or height < 22


def test_a_stack_takes_the_place_of_events():
    made = with_events(happened(1))
    made.stack = ("GET /slow", "  File x")
    assert "LATELY" not in "\n".join(shown(made, height=40))
