"""`snakepit events`: what has happened in a running server, and what happens."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from snakepit.control.client import ControlClient
from snakepit.control.commands import connected
from snakepit.control.events_text import line
from snakepit.control.search import find
from snakepit.errors import SnakepitError

PATIENCE = 6.0
"""Seconds in which there may be no server: its supervisor starts another one in less."""

LOOK = 0.25
"""Seconds between two attempts to find it meanwhile."""

FOLLOWED = 10
"""Events that have happened before, and that are shown when others are to follow, unless something else is asked."""

type Event = Mapping[str, Any]


def events(most: int | None, since: str | None, follow: bool, as_json: bool, name: str | None, pid: int | None) -> None:
    """Print the latest events, and what follows.

    Args:
        most: how many, at most.
        since: the moment from which on they count, as in their `time`.
    """
    with connected(name, pid) as server:
        answer = server.ask("events")
        entry = server.entry
    found = [event for event in answer["events"] if since is None or event["time"] >= since]
    if most is None and follow and since is None:
        most = FOLLOWED
    found = found[len(found) - most :] if most is not None and most < len(found) else found
    try:
        if not follow:
            print(json.dumps(found, indent=2) if as_json else "\n".join(map(line, found)) or "No events")
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)  # otherwise it ends commands at once
        show = _printer(as_json)
        for event in found:
            show(event)
        Following(entry.key, show, answer).run()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # what reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _printer(as_json: bool) -> Callable[[Event], object]:
    return lambda event: print(json.dumps(event) if as_json else line(event), flush=True)


class Following:
    """Tells what happens in a server, and in those that take its place.

    Args:
        key: the server's, which stays the same when another process takes over.
        tell: gets each event.
        answer: the first one of the server.
    """

    def __init__(self, key: int, tell: Callable[[Event], object], answer: Mapping[str, Any]) -> None:
        self._key = key
        self._tell = tell
        self._pid = self._number = 0
        self._kinds: set[str] = set()  # that were told of the process
        self._heed(answer)

    def run(self) -> None:
        """Tell what happens until the server stops. Raises SnakepitError if it has gone without a word."""
        seen_at, told_gone = time.monotonic(), False
        while True:
            try:
                with closing(find(None, self._key)) as link:
                    told_gone = False
                    self._follow(link)
                if "stopping" in self._kinds:
                    break
            except SnakepitError as error:
                if "stopping" in self._kinds:
                    break
                if told_gone and time.monotonic() - seen_at > PATIENCE:
                    raise SnakepitError(f"The server has ended ({str(error).partition(chr(10))[0]})") from None
                if not told_gone:
                    seen_at, told_gone = time.monotonic(), True
                    print("The server does not answer; waiting for it", file=sys.stderr)
            time.sleep(LOOK)
        print("The server has stopped", file=sys.stderr)

    def _follow(self, link: ControlClient) -> None:
        """Tell what happens in one process, until its end. Raises SnakepitError if it does not announce that."""
        answer = link.ask("follow-events", after=self._number if link.entry.pid == self._pid else 0)
        while True:
            self._heed(answer)
            for event in answer["events"]:
                self._tell(event)
            if answer["ended"]:
                return
            answer = link.wait_answer()

    def _heed(self, answer: Mapping[str, Any]) -> None:
        if answer["pid"] != self._pid:
            self._pid, self._number = answer["pid"], 0
            self._kinds.clear()
        self._number = max((event["number"] for event in answer["events"]), default=self._number)
        self._kinds.update(event["kind"] for event in answer["events"])
