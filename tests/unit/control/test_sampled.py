"""snakepit.control.sampled: the threads of an answer."""

import pytest

from snakepit.control.sampled import Frame, threads_of

ONE, OTHER = Frame("/a.py", 1, "app", "app"), Frame("/lib.py", 2, "work", "library")


def place(frames, samples, **more):
    return {"calls": [list(frame[:3]) for frame in frames], "kinds": [frame.kind for frame in frames]} | {
        "samples": samples,
        **more,
    }


def test_each_thread_of_each_worker_and_those_of_main():
    answer = {
        "workers": [
            place([ONE, OTHER], [["t", [0, 1], 0.5], ["a", [0], 1.0], ["t", [0], 0.25]], number=1, app="a:b"),
            place([], [], number=2, app="a:b"),
        ],
        "main": place([OTHER], [["MainThread", [0], 2.0]]),
    }
    threads = threads_of(answer)
    assert [(thread.name, thread.samples, thread.seconds) for thread in threads] == [
        ("worker 1 of a:b, a", [([ONE], 1.0)], 1.0),
        ("worker 1 of a:b, t", [([ONE, OTHER], 0.5), ([ONE], 0.25)], 0.75),
        ("main, MainThread", [([OTHER], 2.0)], 2.0),
    ]


def test_main_was_not_asked():
    assert threads_of({"workers": [], "main": None}) == []


def test_a_server_of_another_version():
    with pytest.raises(KeyError, match="main"):
        threads_of({"workers": []})
