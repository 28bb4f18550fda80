"""snakepit.stacks.text: what people are shown of a stack."""

import pytest

from snakepit.stacks.text import lines_of, titled

RUN, WORK, RECEIVE = (
    ("/snakepit/exchange.py", 1, "run"),
    ("/srv/app.py", 3, "work"),
    ("/snakepit/input.py", 7, "receive"),
)


def functions(*calls, **how):
    """Which functions are shown of calls, of which those of Snakepit are ours."""
    ours = [file.startswith("/snakepit") for file, _, _ in calls]
    return [line.split()[-1] for line in lines_of(calls, ours, "", **how)]


def test_a_call_has_its_line_of_the_source(tmp_path):
    source = tmp_path / "app.py"
    source.write_text("def spin():\n    while True:\n        pass\n", encoding="utf-8")
    assert list(lines_of([RUN, (str(source), 2, "spin")], [True, False], "2 of the 3")) == [
        f'  File "{source}", line 2, in spin',
        "    while True:",
        "  waits for 2 of the 3",
    ]


def test_calls_that_are_not_the_apps():
    assert functions(RUN, WORK) == ["work"]
    assert functions(RUN, WORK, show_all=True) == ["run", "work"]
    assert functions(RUN, RECEIVE) == ["receive"], "the innermost is better than nothing"
    assert functions() == []
    assert list(lines_of([RUN, WORK, RECEIVE], [True, False, True], ""))[-1] == "  in Snakepit: receive"
    assert functions(RUN, WORK, RECEIVE, show_all=True) == ["run", "work", "receive"]


@pytest.mark.parametrize(
    ("tasks", "shown"), [(0, "task poll"), (1, "task poll"), (3, "task poll, and 2 more at the same place")]
)
def test_titles(tasks, shown):
    assert titled("task", "poll", tasks) == shown


def test_what_would_move_a_terminals_cursor_is_escaped():
    assert titled("thread", "a\x1b[2J", 0) == "thread a\\x1b[2J"
    assert list(lines_of([("/\x1b[2J.py", 1, "f")], [False], "")) == ['  File "/\\x1b[2J.py", line 1, in f']
