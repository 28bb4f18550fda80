"""Whether a server is well, in words for people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snakepit.server.lifecycle import EXCHANGE_WORDS, ExchangeState
from snakepit.system.words import capitalized, counted

SLOW = 5.0
"""Seconds; a request that is in the app, or waits, for longer is worth a look."""

WELL, LOOK, BAD = "well", "look", "bad"
"""All is well; something is worth a look; requests are not answered."""

RUNNING = EXCHANGE_WORDS[ExchangeState.ASSIGNED]

_ORDER = (WELL, LOOK, BAD)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a server is: `level` is one of WELL, LOOK and BAD, `reasons` say why, the worst first."""

    level: str
    reasons: list[str]


def verdict(state: Mapping[str, Any]) -> Verdict:
    """Judge a state as `ServerState.look` returns it."""
    found = sorted(_troubles(state), key=lambda each: -_ORDER.index(each[0]))
    return Verdict(found[0][0] if found else WELL, [reason for _, reason in found])


def _troubles(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    server = state["server"]
    if server["state"] == "stopping":
        yield LOOK, "The server is stopping"
    for app in state["apps"]:
        for level, reason in _of_app(app):
            yield level, f"{app['name']}: {reason}" if state["several"] else capitalized(reason)
    slow = [each for each in state["in_flight"]["requests"] if each["seconds"] > SLOW and each["state"] == RUNNING]
    if slow:
        longest = max(each["seconds"] for each in slow)
        yield LOOK, f"{_requests(len(slow))} in the app for more than {SLOW:g} s, the longest for {longest:.0f} s"
    if server["abandoned"]:
        yield LOOK, f"{counted(server['abandoned'], 'worker')} did not end, and may still use memory and CPU"
    if server["lost_wakeups"]:
        yield LOOK, "Wake-ups were lost, which is a bug in Snakepit; please report it"


def _of_app(app: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if app["state"] == "failed":
        yield BAD, f"the app can't be started: {app['trouble']}"
        return
    if app["state"] == "stopped":
        yield LOOK, "the app is stopped"
        return
    ready = [worker for worker in app["workers"] if worker["state"] == "ready"]
    silent = [worker for worker in ready if not worker["reacts"]]
    if not ready and app["state"] == "serving":
        yield BAD, "no worker is ready"
    elif ready and len(silent) == len(ready):
        yield BAD, "the only worker does not react" if len(ready) == 1 else f"none of {len(ready)} workers reacts"
    elif silent:
        numbers = ", ".join(str(worker["number"]) for worker in silent)
        yield LOOK, f"worker {numbers} does not react" if len(silent) == 1 else f"workers {numbers} do not react"
    if app["waiting"] and app["state"] == "serving":
        yield LOOK, f"{_requests(app['waiting'])} waiting for a worker"


def _requests(count: int) -> str:
    return f"{counted(count, 'request')} {'is' if count == 1 else 'are'}"
