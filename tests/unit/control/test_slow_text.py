"""snakepit.control.slow_text: what `snakepit slow` prints."""

from snakepit.control.slow_text import MOST_LINES, render


def request(seconds, path="/report", ended_ago=5.0, status=200, streams=False):
    return {
        "method": "GET",
        "path": path,
        "app": "main:app",
        "worker": "worker 1",
        "seconds": seconds,
        "status": status,
        "state": "done" if ended_ago is not None else "running",
        "streams": streams,
        "ended_ago": ended_ago,
    }


def test_a_line_for_each():
    assert render([request(12.34, ended_ago=None, status=None), request(3, "/\x1b[2J")], False) == (
        "SECONDS  STATUS  STATE    WORKER    ENDED    REQUEST\n"
        "12.3             running  worker 1           GET /report\n"
        "3.0      200     done     worker 1  5 s ago  GET /\\x1b[2J\n\n"
        "snakepit stacks shows where those in progress are"
    )


def test_streams_are_left_out_unless_they_are_asked_for():
    found = [request(3), request(2, "/events", streams=True)]
    assert render(found, False).endswith("1 request left out whose answers began in time; --all shows all")
    assert "/events" not in render(found, False)
    assert render(found, True).endswith("GET /events")


def test_none_and_many():
    assert render([], False) == "No slow requests"
    assert render([request(3)] * (MOST_LINES + 2), False).endswith("\n\n2 more; --json has all")
