"""snakepit.server.events: what is kept of what happens, and what is summed up."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from waiting import PATIENCE, turn

import snakepit
from snakepit.server.events.events import APART, KEPT, LONGEST, TELL_AGAIN, Events, gist
from snakepit.server.events.kinds import By, Kind


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events(clock):
    return Events(clock)


def refuse(events, app="shop", reason="limit-waiting"):
    events.sum_up(Kind.REFUSED, "1 request refused: it is full", "requests refused: it is full", app=app, reason=reason)


def told(events, after=0):
    return [(event.number, event.count, event.text) for event in events.after(after)]


def test_what_an_event_says(events, clock):
    events.add(Kind.WORKER_LOST, "Worker 2 ended unexpectedly", app="shop", worker=2, reason="ended")
    [event] = events.latest
    assert event.described() == {
        "number": 1,
        "time": "2027-01-15T08:00:00.000Z",
        "kind": "worker-lost",
        "level": "error",
        "app": "shop",
        "worker": 2,
        "reason": "ended",
        "count": 1,
        "since": "2027-01-15T08:00:00.000Z",
        "text": "Worker 2 ended unexpectedly",
    }
    events.add(Kind.RELOAD, "Reloading by a command", reason=By.COMMAND)
    assert json.loads(json.dumps(events.latest[0].described()))["reason"] == "command"
    assert events.latest[0].described()["app"] is None


def test_the_latest_comes_first_and_only_so_many_are_kept(events):
    for number in range(KEPT + 3):
        events.add(Kind.SCALED, f"Workers: {number}")
    assert len(events.latest) == KEPT
    assert events.latest[0].text == f"Workers: {KEPT + 2}"
    assert [event.text for event in events.after(KEPT + 1)] == [f"Workers: {KEPT + 1}", f"Workers: {KEPT + 2}"]
    assert events.count == KEPT + 3


def test_a_crash_loop_leaves_what_led_to_it(events):
    events.add(Kind.START, "It begins")
    events.add(Kind.RELOADED, "Reloaded")
    for number in range(KEPT):
        events.add(Kind.WORKER_LOST, f"{number}")
        events.add(Kind.WORKER_READY, f"{number}")
    assert [event.text for event in events.after(0)][:2] == ["It begins", "Reloaded"]
    kinds = [event.kind for event in events.latest]
    assert len(kinds) == KEPT
    assert abs(kinds.count(Kind.WORKER_LOST) - kinds.count(Kind.WORKER_READY)) <= 1


def test_what_comes_often_is_one_event(events, clock):
    refuse(events)
    assert told(events) == [(1, 1, "1 request refused: it is full")]
    for _ in range(11):
        clock.now += 0.5
        refuse(events)
    [event] = events.latest
    assert (event.number, event.key, event.count, event.text) == (2, 1, 12, "12 requests refused: it is full")
    assert event.time - event.since == 5.5


def test_it_neither_displaces_what_led_to_it_nor_wakes_anyone_again_and_again(events, clock):
    events.add(Kind.WORKER_LOST, "Worker 1 ended unexpectedly")
    for _ in range(KEPT * 3):
        refuse(events)
    assert [event.kind for event in events.after(0)] == [Kind.WORKER_LOST, Kind.REFUSED]
    number = events.count
    refuse(events)
    assert told(events, number) == []
    assert events.count == number
    clock.now += TELL_AGAIN
    assert told(events, number) == [(number + 1, KEPT * 3 + 1, f"{KEPT * 3 + 1} requests refused: it is full")]


def test_apps_and_reasons_are_counted_apart(events):
    for app, reason in (("shop", "a"), ("blog", "a"), ("shop", "b"), ("shop", "a")):
        refuse(events, app, reason)
    assert sorted((event.app, event.reason, event.count) for event in events.latest) == [
        ("blog", "a", 1), ("shop", "a", 2), ("shop", "b", 1),
    ]  # fmt: skip


def test_after_a_while_without_any_it_is_another_event(events, clock):
    refuse(events)
    refuse(events)
    clock.now += APART + 1
    refuse(events)
    assert [event.count for event in events.latest] == [1, 2], "the first is complete, though nobody has looked"


def test_its_end_is_told_without_another_one(events, clock):
    refuse(events)
    number = events.count
    refuse(events)
    clock.now += APART + 1
    assert told(events, number) == [(number + 1, 2, "2 requests refused: it is full")]
    assert told(events, number + 1) == []


def test_who_waits_is_woken():
    async def scenario():
        events = Events()
        events.add(Kind.START, "It begins")
        await events.wait_after(0, PATIENCE)  # there is one
        waiting = asyncio.ensure_future(events.wait_after(1, PATIENCE))
        await turn()
        assert not waiting.done()
        refuse(events)
        await waiting
        waiting = asyncio.ensure_future(events.wait_after(events.count, PATIENCE))
        await turn()
        events.end()
        await waiting
        assert events.ended
        await events.wait_after(events.count, PATIENCE)  # nothing more will come

    asyncio.run(scenario())


def test_nobody_waits_for_ever():
    async def scenario():
        events = Events()
        await events.wait_after(0, 0.001)
        assert events.after(0) == []
        waiting = asyncio.ensure_future(events.wait_after(0, PATIENCE))
        await turn()
        waiting.cancel()
        await asyncio.wait([waiting])
        events.add(Kind.START, "It begins")
        assert waiting.cancelled()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("Reloaded", "Reloaded"),
        ("Worker 1 was not ready, and is at\n  File x, line 1\n    sleep()", "Worker 1 was not ready, and is at …"),
        (
            "Worker 1 can't start: Traceback (most recent call last):\n  File x\nModuleNotFoundError: y\n",
            "Worker 1 can't start: ModuleNotFoundError: y",
        ),
        (
            "Worker 1 ended unexpectedly: import\nTraceback (most recent call last):\n  File x\nKeyError: 'y'",
            "Worker 1 ended unexpectedly: import: KeyError: 'y'",
        ),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'y'", "KeyError: 'y'"),
        ("x" * (LONGEST + 1), "x" * LONGEST + "…"),
    ],
)
def test_one_line_is_kept(text, kept):
    assert gist(text) == kept


def test_the_vocabulary_is_explained():
    page = (Path(snakepit.__file__).parent.parent / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    kinds = [row for row in rows if row[1].partition(",")[0] in ("info", "warning", "error")]
    explained = {kind: level for row in kinds for kind, level in _pairs(row)}
    assert explained == {kind.value: kind.level for kind in Kind}
    assert all(f"`{by.value}`" in page for by in By)


def _pairs(row):
    """Yield the kinds of a row of the table with their levels, of which there may be one for all."""
    kinds, levels = re.findall(r"`([a-z-]+)`", row[0]), row[1].split(", ")
    yield from zip(kinds, levels if len(levels) > 1 else levels * len(kinds), strict=True)


def test_the_vocabulary():
    assert {kind.level for kind in Kind} == {"info", "warning", "error"}
    assert all(kind == kind.value and kind.replace("-", "").isalpha() for kind in Kind)
    assert [by.value for by in By] == ["command", "signal", "files", "dashboard", "program"]
