"""server.inspection.commands and server.inspection.stacks: who is asked, and what is told of who answers, or not."""

import asyncio
from dataclasses import dataclass, field

import pytest

from snakepit.errors import SnakepitError
from snakepit.http.events import RequestHead
from snakepit.server.inspection.commands import inspection_commands
from snakepit.server.lifecycle import ExchangeState, WorkerState
from snakepit.stacks.stack import Stack

CALL = ("/site/main.py", 7, "view")


def stack(exchange=0, ident=1, kind="thread"):
    return Stack(kind, "a name", ident, exchange, 3, "", [CALL], [False])


@dataclass
class Request:
    number: int
    head: RequestHead
    began: float = 0.0
    state: ExchangeState = ExchangeState.ASSIGNED


@dataclass
class Watchdog:
    answer: tuple | None

    async def wait_stacks(self):
        return self.answer


@dataclass
class Thread:
    process: int | None = None


class Worker:
    def __init__(self, number, answer, exchanges=(), state=WorkerState.READY):
        self.number = number
        self.state = state
        self.watchdog = Watchdog(answer)
        self.thread = Thread()
        self.exchanges = {each: Request(each, RequestHead("GET", b"/a?secret", "1.1", [], False)) for each in exchanges}


@dataclass
class Pool:
    unended: list


@dataclass
class Config:
    runtime: str = "interpreter"


@dataclass
class App:
    name: str
    pool: Pool
    config: Config = field(default_factory=Config)


def ask(apps, **request):
    async def asked():
        return await inspection_commands(apps, asyncio.get_running_loop())["stacks"](request)

    return asyncio.run(asked())


def test_each_stack_is_beside_its_request():
    worker = Worker(1, ([stack(exchange=5), stack(ident=2)], 4), exchanges=[5, 6])
    [told] = ask([App("main:app", Pool([worker]))])["workers"]
    assert (told["number"], told["app"], told["state"], told["answered"]) == (1, "main:app", "ready", True)
    assert told["left_out"] == 4
    first, second = told["stacks"]
    assert first["request"]["path"] == "/a", "no query string, in which secrets may be"
    assert first["request"]["state"] == "running"
    assert first["calls"] == [{"file": "/site/main.py", "line": 7, "function": "view", "ours": False}]
    assert second["request"] is None
    assert [request["number"] for request in told["requests_without_stack"]] == [6]


def test_one_that_does_not_answer_is_told_of_with_what_remains_possible():
    [told] = ask([App("main:app", Pool([Worker(1, None, exchanges=[5])]))])["workers"]
    assert not told["answered"]
    assert "C code keeps its GIL" in told["trouble"]
    assert "gdb -p" in told["trouble"]
    assert len(told["requests_without_stack"]) == 1
    [told] = ask([App("main:app", Pool([Worker(1, None, state=WorkerState.STARTING)]))])["workers"]
    assert "it is starting" in told["trouble"]


def test_which_workers():
    apps = [App(name, Pool([Worker(number, ([], 0)) for number in (1, 2)])) for name in ("one", "two")]

    def found(**request):
        answer = ask(apps, **request)
        return [(told["app"], told["number"]) for told in answer["workers"]], bool(answer["main"])

    assert found()[0] == [("one", 1), ("one", 2), ("two", 1), ("two", 2)]
    assert found(worker=2) == ([("one", 2), ("two", 2)], False)
    assert found(app="two", worker=1) == ([("two", 1)], False)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"worker": 3}, "There is no worker 3; there are: 1"),
        ({"app": "other"}, "There is no app called 'other'; the apps are: main:app"),
        ({"worker": "1"}, "worker must be a number"),
        ({"worker": True}, "worker must be a number"),
        ({"app": 1}, "app must be the name of an app"),
    ],
)
def test_what_is_not_there(request_, why):
    with pytest.raises(SnakepitError, match=why):
        ask([App("main:app", Pool([Worker(1, ([], 0))]))], **request_)


def test_workers_that_are_threads_of_one_process_each_tell_of_their_own():
    both = [stack(exchange=5, ident=1), stack(exchange=6, ident=2), stack(ident=3)]
    apps = [
        App(name, Pool([Worker(1, (both, 0), exchanges=[number])]), Config("thread"))
        for name, number in (("one", 5), ("two", 6))
    ]
    answer = ask(apps)
    assert answer["main"] == []
    one, two = (
        [told["request"] and told["request"]["number"] for told in each["stacks"]] for each in answer["workers"]
    )
    assert one == [5, None]
    assert two == [6]
