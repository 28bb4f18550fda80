"""snakepit.control.stacks_text: what `snakepit stacks` prints."""

import pytest

from snakepit.control.stacks_text import NOTHING, render


def call(function, ours=False, file="/srv/app.py", line=3):
    return {"file": file, "line": line, "function": function, "ours": ours}


def request(number, path, seconds, state="running"):
    return {"number": number, "method": "GET", "path": path, "seconds": seconds, "state": state}


def stack(name, *calls, request=None, kind="thread", tasks=0, waits_for=""):
    return {
        "kind": kind,
        "name": name,
        "tasks": tasks,
        "idle": all(call["ours"] for call in calls),
        "request": request,
        "waits_for": waits_for,
        "calls": list(calls),
    }


def worker(number, *stacks, waiting=(), trouble="", app="main:app", left_out=0):
    return {
        "number": number,
        "app": app,
        "state": "ready",
        "pid": 1,
        "answered": not trouble,
        "trouble": trouble,
        "stacks": list(stacks),
        "left_out": left_out,
        "requests_without_stack": list(waiting),
    }


def text(*workers, main=(), show_all=False):
    return render({"workers": workers, "main": list(main)}, show_all)


IDLE = stack("snakepit-worker-1", call("wait", ours=True))


def test_requests_come_first_and_the_longest_before_all(tmp_path):
    source = tmp_path / "app.py"
    source.write_text("def spin():\n    while True:\n        pass\n", encoding="utf-8")
    spinning = stack(
        "snakepit-worker-2",
        call("WsgiExchange.run", ours=True),
        call("spin", file=str(source)),
        request=request(8, "/loop", 12.34),
    )
    waiting = stack("Task-4", call("handler"), request=request(9, "/lock", 1.0), kind="task", tasks=1)
    cleaner = stack("cleaner", call("clean"))
    assert text(worker(1, IDLE, cleaner, waiting), worker(2, spinning)) == (
        "GET /loop, 12.3 s, running, worker 2\n"
        "  thread snakepit-worker-2\n"
        f'    File "{source}", line 3, in spin\n'
        "      pass\n\n"
        "GET /lock, 1.0 s, running, worker 1\n"
        "  task Task-4\n"
        '    File "/srv/app.py", line 3, in handler\n\n'
        "Thread cleaner of worker 1\n"
        '    File "/srv/app.py", line 3, in clean\n\n'
        "1 idle stack left out; --all shows all"
    )


def test_all_of_a_request_stands_together():
    asked = request(8, "/thread", 2)
    thread = stack("asyncio_0", call("work"), request=asked)
    task = stack("Task-3", call("handler"), request=asked, kind="task", tasks=3, waits_for="2 of the 3")
    lines = text(worker(1, thread, task)).splitlines()
    assert [line for line in lines if "app.py" not in line] == [
        "GET /thread, 2.0 s, running, worker 1",
        "  thread asyncio_0",
        "  task Task-3, and 2 more at the same place",
        "    waits for 2 of the 3",
    ]


def test_calls_of_snakepit_are_left_out_unless_they_are_asked_for():
    found = worker(
        1, stack("a", call("run", ours=True), call("app"), call("receive", ours=True), request=request(1, "/", 1))
    )
    assert text(found).splitlines()[2:] == ['    File "/srv/app.py", line 3, in app', "    in Snakepit: receive"]
    assert [line.rpartition(" ")[2] for line in text(found, show_all=True).splitlines()[2:]] == [
        "run",
        "app",
        "receive",
    ]


def test_a_request_that_is_in_no_call_of_the_app_shows_the_innermost():
    found = worker(1, stack("a", call("run", ours=True), call("post", ours=True), request=request(1, "/", 1)))
    assert text(found).splitlines()[2:] == ['    File "/srv/app.py", line 3, in post']


def test_a_worker_that_does_not_answer_comes_first():
    lines = text(
        worker(1, waiting=[request(3, "/waits", 0.5)]), worker(2, trouble="it hangs", waiting=[request(2, "/gil", 9)])
    ).split("\n\n")
    assert lines == [
        "Worker 2: it hangs",
        "GET /gil, 9.0 s, running, worker 2\n  no stack is known: its worker does not answer",
        "GET /waits, 0.5 s, running, worker 1\n  no stack is known: it waits for its turn in the worker",
    ]


def test_nothing_runs():
    assert text(worker(1)) == NOTHING
    assert text(worker(1, IDLE), main=[IDLE]) == f"{NOTHING}\n\n2 idle stacks left out; --all shows all"
    assert text(worker(1, IDLE), main=[IDLE], show_all=True).count("\n") == 4
    assert text(worker(1, left_out=5)).endswith("5 more left out, since there are so many")


def test_of_several_apps_each_worker_has_its_name():
    assert text(worker(1, stack("a", call("b")), app="shop"), worker(1, app="blog")).startswith(
        "Thread a of worker 1 of shop\n"
    )


def test_of_the_main_interpreter():
    assert text(main=[stack("a", call("b"))]).startswith("Thread a of the main interpreter\n")


@pytest.mark.parametrize(("path", "shown"), [("/\x1b[2J", "/\\x1b[2J"), ("/\xe9", "/\xe9"), ("/\x9b", "/\\x9b")])
def test_what_would_move_a_terminals_cursor_is_escaped(path, shown):
    assert text(worker(1, waiting=[request(1, path, 1)])).startswith(f"GET {shown}, ")
