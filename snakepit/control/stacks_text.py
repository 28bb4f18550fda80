"""What `snakepit stacks` prints for people: requests with their stacks, those that take longest first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from snakepit.stacks.text import lines_of, titled
from snakepit.system.words import capitalized, counted, printable

NOTHING = "Nothing of the app runs now"

type Described = Mapping[str, Any]
"""An object of the answer, as docs/reference/control.md describes it."""


def render(found: Described, show_all: bool) -> str:
    """Render the answer of the server; `show_all`: Snakepit's own calls, and idle threads and tasks, too."""
    workers: Sequence[Described] = found["workers"]
    several = len({worker["app"] for worker in workers}) > 1
    names = {id(worker): _name(worker, several) for worker in workers}
    blocks = [f"{capitalized(names[id(worker)])}: {worker['trouble']}" for worker in workers if not worker["answered"]]
    blocks += _requests(workers, names, show_all)
    idle = 0
    for where, stacks in [*((names[id(worker)], worker["stacks"]) for worker in workers), ("main", found["main"])]:
        for stack in stacks:
            if stack["request"] is None and (show_all or not stack["idle"]):
                title = f"{capitalized(_titled(stack))} of {'the main interpreter' if where == 'main' else where}"
                blocks.append("\n".join([title, *_calls(stack, show_all)]))
            idle += stack["request"] is None and stack["idle"] and not show_all
    left_out = sum(worker["left_out"] for worker in workers)
    if not blocks:
        blocks.append(NOTHING)
    if idle:
        blocks.append(f"{counted(idle, 'idle stack')} left out; --all shows all")
    if left_out:
        blocks.append(f"{left_out} more left out, since there are so many")
    return "\n\n".join(blocks)


def _requests(workers: Iterable[Described], names: Mapping[int, str], show_all: bool) -> list[str]:
    """Render requests, each with the threads and tasks that work for it; those that take longest first."""
    requests: dict[int, tuple[Described, str, list[Described]]] = {}
    silent = {names[id(worker)] for worker in workers if not worker["answered"]}
    for worker in workers:
        for stack in worker["stacks"]:
            if (request := stack["request"]) is not None:
                _, _, stacks = requests.setdefault(request["number"], (request, names[id(worker)], []))
                stacks.append(stack)
        for request in worker["requests_without_stack"]:
            requests[request["number"]] = request, names[id(worker)], []
    blocks = []
    for request, name, stacks in sorted(requests.values(), key=lambda found: -found[0]["seconds"]):
        lines = [
            f"{request['method']} {printable(request['path'])}, {request['seconds']:.1f} s, {request['state']}, {name}"
        ]
        if not stacks:
            why = "its worker does not answer" if name in silent else "it waits for its turn in the worker"
            lines.append(f"  no stack is known: {why}")
        for stack in stacks:  # a thread comes before the task that waits for it
            lines += [f"  {_titled(stack)}", *_calls(stack, show_all)]
        blocks.append("\n".join(lines))
    return blocks


def _name(worker: Described, several: bool) -> str:
    return f"worker {worker['number']}{' of ' + worker['app'] if several else ''}"


def _titled(stack: Described) -> str:
    return titled(stack["kind"], stack["name"], stack["tasks"])


def _calls(stack: Described, show_all: bool) -> Iterator[str]:
    calls = [(call["file"], call["line"], call["function"]) for call in stack["calls"]]
    ours = [call["ours"] for call in stack["calls"]]
    return (f"  {line}" for line in lines_of(calls, ours, stack["waits_for"], show_all))
