"""The screen of `snakepit top`, by rich: as much of a server's state as there is room for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from snakepit.control.events_text import short_line
from snakepit.control.text import ROUTINE, duration
from snakepit.system.words import mebibytes

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

    from snakepit.control.looks import Looks

_VERDICTS = {"well": ("All is well", "green"), "look": ("Worth a look", "yellow"), "bad": ("Not well", "red")}
_BARS = " ▁▂▃▄▅▆▇█"
_METER = 10
"""Characters of the bar that shows how busy a worker is."""

MOST = 1000
"""Lines, where there is room for any number of them."""


MOST_EVENTS = 8
"""The most events that are shown, where there is room for them."""


class Screen:
    """What is shown of a state.

    Args:
        whole: all of it, however high the terminal is.
    """

    def __init__(self, looks: "Looks", whole: bool = False) -> None:
        self._looks = looks
        self._whole = whole

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        state, width = self._looks.state, options.max_width
        room = MOST if self._whole else options.height or console.height
        head = [*_head(state), *_verdict(state["verdict"], 1 if room < 20 else 4), Text()]
        head += [_figures(self._looks, width), _past(self._looks.rates, width), Text()]
        workers = [(app, worker) for app in state["apps"] for worker in app["workers"]]
        requests = state["in_flight"]["requests"]
        left = room - len(head) - 5  # two headings, two lines between, and the keys
        for_requests = min(len(requests), max(left - len(workers), left // 2))
        for_workers = min(len(workers), left - max(1, for_requests))
        yield from head
        yield _workers(workers[: max(0, for_workers)], len(workers), state["several"])
        yield Text()
        for_events = 0
        if self._looks.stack[0]:
            for_requests = max(1, left - for_workers)
            yield _stack(*self._looks.stack, for_requests)
        else:
            yield _requests(requests[: max(0, for_requests)], state)
            free = left - max(0, for_workers) - max(1, for_requests) - 2  # a heading, and a line between
            shown = [event for event in state.get("events") or () if event["kind"] not in ROUTINE]
            shown = shown[: max(0, min(free, MOST_EVENTS))]
            if shown:
                for_events = len(shown) + 2
                yield from (Text(), Text("LATELY", "dim"), *(_event(event, state["time"]) for event in shown))
        used = len(head) + 3 + max(0, for_workers) + max(1, for_requests) + for_events
        if not self._whole:
            yield from [Text()] * max(0, room - used - 2)
            yield _keys(self._looks.told)


def _head(state: Mapping[str, Any]) -> "list[RenderableType]":
    server = state["server"]
    title = Text(no_wrap=True, overflow="ellipsis")
    title.append(plain(server["name"] or server["app"]), "bold")
    facts = [server["address"] or "", f"pid {server['pid']}", f"Python {server['python']}"]
    facts += [f"up {duration(server['uptime'])}", f"{server['restarts']} restarts" if server["restarts"] else ""]
    title.append(" · " + " · ".join(plain(fact) for fact in facts if fact), "dim")
    return [title]


def _verdict(verdict: Mapping[str, Any], most: int) -> "list[RenderableType]":
    words, color = _VERDICTS[verdict["level"]]
    reasons = verdict["reasons"]
    if not reasons:
        return [Text(f"● {words}", f"bold {color}")]
    lines = [Text(f"● {words}: ", f"bold {color}", no_wrap=True, overflow="ellipsis")]
    lines[0].append(plain(reasons[0]), "not bold default")
    lines += [Text(f"  {plain(reason)}", no_wrap=True, overflow="ellipsis") for reason in reasons[1:most]]
    return [*lines]


def _figures(looks: "Looks", width: int) -> "RenderableType":
    state = looks.state
    memory = "–" if state["memory"] is None else f"{mebibytes(state['memory']):,} MiB"
    figures = [
        ("Requests", f"{_rate(looks.rate)} /s", 8, ""),
        ("In flight", f"{state['in_progress']:,}", 5, ""),
        ("Waiting", f"{state['waiting']:,}", 5, "yellow" if state["waiting"] else ""),
        ("Errors", f"{_rate(looks.errors)} /s", 7, "red" if looks.errors else ""),
        ("Memory", memory, 9, ""),
        ("Clients", f"{state['connections']:,}", 6, ""),
    ]
    line = Text(no_wrap=True, overflow="ellipsis")
    for heading, value, room, color in figures[: 6 if width >= 96 else 5]:  # five take 79 columns
        line.append(f"{heading} ", "dim")
        line.append(f"{value:<{room}} ", f"bold {color}")
    return line


def _past(rates: Iterable[float], width: int) -> Text:
    """Return a line of bars: the requests in each of the last seconds."""
    shown = list(rates)[-max(1, width - 1) :]
    most = max([1.0, *shown])
    return Text("".join(_BARS[min(8, int(rate / most * 8 + 0.999))] for rate in shown), "green", no_wrap=True)


def _workers(workers: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], count: int, several: bool) -> Table:
    table = _table()
    hidden = count - len(workers)
    table.add_column(f"WORKER{f' +{hidden}' if hidden else ''}", no_wrap=True)
    for heading in ("STATE", "BUSY"):
        table.add_column(heading, no_wrap=True)
    for heading in ("NOW", "SERVED", "AGE"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("AT", ratio=1, no_wrap=True, overflow="ellipsis")
    for app, worker in workers:
        silent = not worker["reacts"]
        state = "silent" if silent else worker["state"]
        color = "red" if silent else {"ready": "green", "starting": "yellow", "retiring": "yellow"}.get(state, "red")
        at = worker["at"]
        table.add_row(
            plain(f"{app['name']} {worker['number']}") if several else str(worker["number"]),
            Text(state, color),
            _meter(worker["busy"]),
            str(worker["exchanges"]),
            f"{worker['served']:,}",
            duration(worker["age"]),
            "" if at is None else plain(f"{at['method']} {at['path']} · {_seconds(at['seconds'])}"),
        )
    return table


def _requests(requests: Sequence[Mapping[str, Any]], state: Mapping[str, Any]) -> Table:
    table = _table()
    table.add_column("", no_wrap=True, style="dim", width=1)
    table.add_column("FOR", justify="right", no_wrap=True, min_width=7)
    table.add_column("IN FLIGHT", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("STATE", no_wrap=True)
    table.add_column("WORKER", no_wrap=True)
    for place, request in enumerate(requests, start=1):
        seconds = request["seconds"]
        color = "red" if seconds > 5 else "yellow" if seconds > 1 else ""
        worker = "" if request["worker"] is None else str(request["worker"])
        table.add_row(
            str(place) if place < 10 else "",
            Text(_seconds(seconds), color),
            plain(f"{request['method']} {request['path']}"),
            request["state"],
            plain(f"{request['app']} {worker}") if state["several"] else worker,
        )
    if not requests:
        table.add_row("", "", Text("nothing takes longer than a second", "dim"), "", "")
    return table


def _event(event: Mapping[str, Any], now: float) -> Text:
    color = {"error": "red", "warning": "yellow"}.get(event["level"], "")
    return Text(short_line(event, now), color, no_wrap=True, overflow="ellipsis")


def _stack(request: str, stack: str, room: int) -> Text:
    """Show where a request is: the end of its stack, in so many lines besides its name."""
    lines = [line.removeprefix("  ") for line in stack.splitlines()]
    shown = [*lines[-room:], *[""] * (room - len(lines))]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(plain(request), "bold")
    text.append("".join(f"\n{plain(line)}" for line in shown))
    return text


def _table() -> Table:
    return Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _meter(share: float | None) -> Text:
    if share is None:
        return Text("–".ljust(_METER), "dim")
    full = round(share * _METER)
    text = Text("█" * full, "green" if share < 0.9 else "yellow")
    text.append("─" * (_METER - full), "dim")
    return text


def _keys(told: str) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for key, what in (("q", "quit"), ("r", "reload"), ("1", "…"), ("9", "stack"), ("0", "back")):
        line.append(f" {key} ", "reverse")
        line.append(f" {what}  ")
    line.append(plain(told), "bold")
    return line


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1f}" if rate < 9.95 else f"{rate:,.0f}"


def _seconds(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else duration(seconds)


def plain(text: str) -> str:
    """Return a text that can do a terminal no harm: paths come from clients, and may have control characters."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
