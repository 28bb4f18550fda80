"""What `snakepit status` prints for people."""

import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from snakepit.control.events_text import short_line
from snakepit.system.table import aligned
from snakepit.system.words import mebibytes, printable

_HEADINGS_OF_APPS = ("APP", "ROUTE", "STATE", "WORKERS", "NOW", "WAITING", "SERVED")
_HEADINGS = ("WORKER", "STATE", "INTERFACE", "NOW", "SERVED", "AGE", "IMPORT", "START-UP")


SLOWEST = 3
"""The most requests in flight that `snakepit status` names."""


LATEST = 5
"""The most events that it names."""

ROUTINE = frozenset({"worker-ready", "listening"})
"""The kinds of events that it leaves out."""


def render(status: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> str:
    """Render how the server is, then a line for each worker. `state`: as the command `state` tells it, if it does."""
    apps = status["apps"]
    silent = _silent(state)
    if len(apps) == 1 and apps[0]["name"] == status["app"]:
        table = [_HEADINGS, *_rows(status["app"], status["workers"], silent)]
    else:
        rows = [(app["name"], *row) for app in apps for row in _rows(app["name"], app["workers"], silent)]
        table = [("APP", *_HEADINGS), *rows]
    told, load, lately = ([], [], []) if state is None else (_verdict(state), _load(state), _lately(state))
    return "\n".join([*aligned([*told, *_facts(status, load), *lately]), "", *aligned(table)])


def _verdict(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say whether the server is well, what takes long, and what to ask next."""
    reasons = state["verdict"]["reasons"] or ["all is well"]
    found = [("Verdict" if not number else "", reason) for number, reason in enumerate(reasons)]
    slow = state["in_flight"]["requests"][:SLOWEST]
    for number, request in enumerate(slow):
        where = f", worker {request['worker']}" if request["worker"] is not None else ""
        of_app = f" of {request['app']}" if where and state["several"] else ""
        what = f"{request['method']} {printable(request['path'])}, {request['seconds']:.1f} s, {request['state']}"
        found.append(("Slow now" if not number else "", f"{what}{where}{of_app}"))
    if slow:
        found.append(("Next", "snakepit stacks shows where they are"))
    return found


def _load(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    load = state.get("load") or {}
    rate, busy = load.get("rate"), load.get("busy")
    if rate is None or busy is None:
        return []
    shown = f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"
    return [("Load", f"{shown} requests/s; workers had one for {busy:.0%} of the time (the last 10 s)")]


def _lately(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what has happened, the latest last, but for what follows from something else."""
    found = [event for event in state.get("events") or () if event["kind"] not in ROUTINE][:LATEST]
    lines = [short_line(event, state["time"]) for event in reversed(found)]
    return [("Lately" if not number else "", each) for number, each in enumerate(lines)]


def render_apps(apps: Sequence[Mapping[str, Any]]) -> str:
    """Render a line for each app."""
    rows = [
        (
            app["name"],
            app["route"],
            app["state"],
            str(len(app["workers"])),
            str(app["in_progress"]),
            str(app["waiting"]),
            str(sum(worker["served"] for worker in app["workers"])),
        )
        for app in apps
    ]
    return "\n".join(aligned([_HEADINGS_OF_APPS, *rows]))


def _facts(status: Mapping[str, Any], load: list[tuple[str, str]]) -> list[tuple[str, str]]:
    supervisor = f", supervisor {status['supervisor']}" if status["supervisor"] is not None else ""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status["since"]))
    facts = [
        ("Server", f"{status['state']}, pid {status['pid']}{supervisor}"),
        ("App", status["app"]),
        ("Address", status["address"] or "none yet"),
        ("Runtime", f"{status['runtime']}, Snakepit {status['version']}, Python {status['python']}"),
        ("Up", f"{duration(status['uptime'])}, since {since}"),
        ("Connections", f"{status['open_connections']} open, {status['connections']} in all"),
        (
            "Requests",
            f"{status['in_progress']} in progress, {status['waiting']} of them waiting, {status['requests']} in all",
        ),
        *load,
        ("Memory", f"{mebibytes(status['memory'])} MiB" if status["memory"] is not None else "unknown"),
        ("Restarts", str(status["restarts"])),
    ]
    if status["abandoned"]:
        facts.append(("Abandoned", f"{status['abandoned']} workers that do not end"))
    if status["lost_wakeups"]:
        facts.append(("Lost", f"{status['lost_wakeups']} wake-ups, which is a bug in snakepit; please report it"))
    return [("Name", status["name"]), *facts] if status["name"] is not None else facts


def _silent(state: Mapping[str, Any] | None) -> set[tuple[str, int]]:
    """Return the apps' names and the numbers of the workers that do not react."""
    apps = () if state is None else state["apps"]
    return {(app["name"], worker["number"]) for app in apps for worker in app["workers"] if not worker["reacts"]}


def _rows(
    app: str, workers: Iterable[Mapping[str, Any]], silent: Container[tuple[str, int]]
) -> Iterator[tuple[str, ...]]:
    return (_row(worker, (app, worker["number"]) in silent) for worker in workers)


def _row(worker: Mapping[str, Any], is_silent: bool) -> tuple[str, ...]:
    began = bool(worker["interface"])  # before that there is nothing more to show
    return (
        str(worker["number"]),
        "silent" if is_silent and worker["state"] == "ready" else worker["state"],
        worker["interface"].upper(),
        str(worker["exchanges"]),
        str(worker["served"]),
        duration(worker["age"]),
        f"{worker['import_seconds']:.2f} s" if began else "",
        f"{worker['startup_seconds']:.2f} s" if began else "",
    )


def duration(seconds: float) -> str:
    """Format a time span in its two largest units."""
    whole = int(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller_size} {smaller}"
    return f"{whole} s"
