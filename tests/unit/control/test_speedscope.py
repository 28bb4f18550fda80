"""snakepit.control.speedscope: the format's rules, as its schema has them."""

import json

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


def test_a_profile_for_each_thread_of_each_worker():
    one, other = ["/a.py", 1, "app"], ["/a.py", 2, "work"]
    workers = [
        {"number": 1, "app": "a:b", "calls": [one, other], "samples": [["t", [0, 1], 0.5], ["t", [0], 0.25]]},
        {"number": 2, "app": "a:b", "calls": [other, one], "samples": [["u", [1, 0], 1.0], ["t", [], 1.0]]},
        {"number": 3, "app": "a:b", "calls": [], "samples": []},
    ]
    file = json.loads(json.dumps(speedscope(workers, "a profile", "snakepit 1")))
    assert_valid(file)
    assert [frame["name"] for frame in file["shared"]["frames"]] == ["app", "work"]
    assert [(profile["name"], profile["samples"], profile["endValue"]) for profile in file["profiles"]] == [
        ("worker 1 of a:b, t", [[0, 1], [0]], 0.75),
        ("worker 2 of a:b, t", [[]], 1.0),
        ("worker 2 of a:b, u", [[0, 1]], 1.0),
    ]


def test_nothing_was_sampled():
    assert_valid(speedscope([], "a profile", "snakepit 1"))
