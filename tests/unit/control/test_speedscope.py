"""snakepit.control.speedscope: the format's rules, as its schema has them."""

import json

from snakepit.control.sampled import Frame, SampledThread
from snakepit.control.speedscope import speedscope


def assert_valid(file):
    """Check a file against https://www.speedscope.app/file-format-schema.json, as far as sampled profiles go."""
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    for frame in frames:
        assert isinstance(frame["name"], str)
        assert isinstance(frame["file"], str)
        assert isinstance(frame["line"], int)
    for profile in file["profiles"]:
        assert profile["type"] == "sampled"
        assert isinstance(profile["name"], str)
        assert profile["unit"] in ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
        assert profile["startValue"] <= profile["endValue"]
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= at < len(frames) for stack in profile["samples"] for at in stack)
        assert all(weight >= 0 for weight in profile["weights"])
    assert 0 <= file["activeProfileIndex"] < max(1, len(file["profiles"]))


def test_a_profile_for_each_thread():
    one, other = Frame("/a.py", 1, "app", "app"), Frame("/a.py", 2, "work", "app")
    threads = [
        SampledThread("worker 1, t", [([one, other], 0.5), ([one], 0.25)]),
        SampledThread("worker 2, t", [([], 1.0)]),
        SampledThread("main, u", [([one, other], 1.0)]),
    ]
    file = json.loads(json.dumps(speedscope(threads, "a profile", "snakepit 1")))
    assert_valid(file)
    assert [frame["name"] for frame in file["shared"]["frames"]] == ["app", "work"]
    assert [(profile["name"], profile["samples"], profile["endValue"]) for profile in file["profiles"]] == [
        ("worker 1, t", [[0, 1], [0]], 0.75),
        ("worker 2, t", [[]], 1.0),
        ("main, u", [[0, 1]], 1.0),
    ]


def test_nothing_was_sampled():
    assert_valid(speedscope([], "a profile", "snakepit 1"))
