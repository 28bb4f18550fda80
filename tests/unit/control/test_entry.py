"""snakepit.control.entry: what a server writes down is read back, and nothing else is taken for it."""

import json

import pytest

from snakepit.control.entry import Entry, new_id

ENTRY = Entry("0a", 7, 8, "shop", "/srv", "main:app", "http://127.0.0.1:8000", "/run/0a.sock", 0, "")


@pytest.mark.parametrize("entry", [ENTRY, Entry("0b", 7, 7, None, "/srv", "m:a", "unix:/x", "", 4711, "secret")])
def test_round_trip(entry):
    assert Entry.parse(entry.dump()) == entry


def test_keys_of_another_version_are_passed_over():
    assert Entry.parse(json.dumps({**json.loads(ENTRY.dump()), "more": [1]})) == ENTRY


@pytest.mark.parametrize(
    "change",
    [{"pid": "8"}, {"pid": True}, {"pid": None}, {"id": 1}, {"name": 1}, {"cwd": None}, {"token": ["x"]}],
)
def test_wrong_types(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Entry.parse(json.dumps({**json.loads(ENTRY.dump()), **change}))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"id": "x"}'])
def test_what_is_no_entry(text):
    with pytest.raises(ValueError):  # noqa: PT011
        Entry.parse(text)


def test_for_people():
    assert str(ENTRY) == "shop, pid 8, http://127.0.0.1:8000, app main:app, in /srv"


def test_ids_differ():
    assert len({new_id() for _ in range(100)}) == 100
