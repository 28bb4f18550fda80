"""snakepit stacks: where a request is, also in workers that hang."""

import json

import pytest
from support import RUNTIME, Client, running, wait_until

GET = b"GET %s?password=secret HTTP/1.1\r\nHost: test\r\n\r\n"


def shown(server, *arguments):
    done = server.command("stacks", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def block_of(text, path):
    """The part of the output that is about a request."""
    return next((block for block in text.split("\n\n") if block.startswith(f"GET {path},")), "")


def wait_shown(server, path, *lines):
    """Wait until the stack of a request has these lines."""
    return wait_until(
        lambda: block if all(line in (block := block_of(shown(server), path)) for line in lines) else "",
        f"{path} is shown",
    )


@pytest.mark.parametrize("app", ["stuck:app", "stuck:wsgi"])
def test_the_line_of_an_endless_loop(app):
    name = "spin" if app.endswith("app") else "spin_for_ever"
    with running(app, "--no-access-log", workers=1) as server, Client(server) as client:
        client.send(GET % b"/spin")
        block = wait_shown(server, "/spin", "stuck.py", name)
        assert block.splitlines()[-1].strip() in ("pass", "while True:")
        assert "running, worker 1" in block
        assert "site-packages" not in block
        assert "asgi/exchange" not in block
        assert "secret" not in shown(server, "--all")


def test_requests_that_wait_for_threads_and_tasks():
    with running("stuck:app", "--no-access-log", workers=1) as server, Client(server) as one, Client(server) as two:
        one.send(GET % b"/thread")
        two.send(GET % b"/gather")
        wait_shown(server, "/thread", "_event.wait()", "await asyncio.to_thread(wait_in_a_thread)")
        wait_shown(server, "/gather", "waits for 2 of the 2 that asyncio.gather() was given")
        found = json.loads(shown(server, "--json", "--worker", "1"))
        [worker] = found["workers"]
        assert (worker["number"], worker["answered"], worker["trouble"]) == (1, True, "")
        assert worker["pid"] == (server.pid if RUNTIME != "process" else worker["pid"])
        paths = {stack["request"]["path"] for stack in worker["stacks"] if stack["request"]}
        assert paths == {"/thread", "/gather"}
        server.get("/release")
        assert one.read().status == 200
        wait_until(lambda: not block_of(shown(server), "/thread"), "what is answered is not shown")


def test_the_one_that_takes_longest_comes_first():
    with running("stuck:app", "--no-access-log", workers=1) as server, Client(server) as one, Client(server) as two:
        one.send(GET % b"/gather")
        wait_shown(server, "/gather", "asyncio.gather")
        two.send(GET % b"/thread")
        wait_shown(server, "/thread", "_event.wait()")
        text = shown(server)
        assert text.index("GET /gather") < text.index("GET /thread")


def test_nothing_runs():
    with running("stuck:app", workers=1) as server:
        assert server.get("/").status == 200
        text = wait_until(
            lambda: text if "Nothing of the app runs now" in (text := shown(server)) else "", "it is at rest"
        )
        assert "left out; --all shows all" in text
        assert "snakepit" in shown(server, "--all")


def test_what_is_not_there():
    with running("stuck:app", workers=1) as server:
        done = server.command("stacks", "--worker", "7")
        assert done.returncode == 1
        assert "There is no worker 7; there are: 1" in done.stderr
        done = server.command("stacks", "--app", "other")
        assert done.returncode == 1
        assert "There is no app called 'other'" in done.stderr


def test_slow_requests_while_they_are_in_progress_and_afterwards():
    with running("stuck:app", "--no-access-log", workers=1) as server, Client(server) as client:

        def told():
            done = server.command("slow", "--json")
            assert done.returncode == 0, done.stderr
            return [(found["path"], found["state"], found["status"]) for found in json.loads(done.stdout)]

        assert server.command("slow").stdout == "No slow requests\n"
        client.send(GET % b"/thread")
        wait_until(lambda: told() == [("/thread", "running", None)], "it is in progress")
        assert "snakepit stacks shows" in server.command("slow").stdout
        with Client(server) as other:
            other.request("/release")
        assert client.read().status == 200
        wait_until(lambda: told() == [("/thread", "done", 200)], "it is over")
        assert "secret" not in server.command("slow").stdout
