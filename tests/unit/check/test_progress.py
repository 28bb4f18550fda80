"""snakepit.check.progress: what was written is read, even if the last of it was cut off."""

import pytest

from snakepit.check.progress import STAGES, Progress, path_of, read

RECORDS = [("stage", 2**40, "importing"), ("begin", 5, "shop"), ("daemons", ["one", "two"]), ("open",)]


@pytest.fixture
def written(tmp_path):
    path = path_of(str(tmp_path), 1)
    progress = Progress(path)
    for record in RECORDS:
        progress.say(*record)
    progress.close()
    return path


def test_what_was_said_is_read(written):
    assert read(written) == RECORDS


def test_two_writers_append(written):
    other = Progress(written)
    other.say("app", "asgi")
    other.close()
    assert read(written) == [*RECORDS, ("app", "asgi")]


def test_a_record_cut_off_anywhere_does_not_hide_those_before(written):
    with open(written, "rb") as file:
        whole = file.read()
    counts = set()
    for length in range(len(whole)):
        with open(written, "wb") as file:
            file.write(whole[:length])
        found = read(written)
        assert found == RECORDS[: len(found)]
        counts.add(len(found))
    assert counts == {0, 1, 2, 3}


def test_no_file(tmp_path):
    assert read(path_of(str(tmp_path), 2)) == []


def test_each_interpreter_has_a_file_of_its_own():
    assert path_of("folder", 1) != path_of("folder", 2)


def test_the_first_and_the_last_stage():
    assert next(iter(STAGES)) == "importing"
    assert next(reversed(STAGES)) == "closed"
