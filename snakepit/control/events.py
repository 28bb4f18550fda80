"""`snakepit events`: what has happened in a running server, and what happens."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

from snakepit.control.client import ControlClient
from snakepit.control.commands import connected
from snakepit.control.events_text import line
from snakepit.control.search import find
from snakepit.errors import SnakepitError

WAIT = 5.0
"""Seconds for which the server may hold an answer back while there is nothing new."""

PAUSE = 0.2
"""Seconds between two questions, so that what comes together is told together."""

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
        following = Following(entry.key, _printer(as_json), answer)
        following.tell(found)
        following.run()
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
        self._told_gone = False
        self._pid = self._number = 0
        self._stopping = self._stopped = False
        self._take(answer, ())

    def tell(self, found: Iterable[Event]) -> None:
        """Tell of events."""
        for event in found:
            self._tell(event)

    def run(self) -> None:
        """Tell what happens until the server stops. Raises SnakepitError if it has gone without a word."""
        seen_at = time.monotonic()
        while not self._stopped:
            try:
                with closing(find(None, self._key)) as link:
                    self._ask(link)
                seen_at, self._told_gone = time.monotonic(), False
                pause = 0.0 if self._stopping else PAUSE
            except SnakepitError as error:
                if self._stopping:
                    break
                if time.monotonic() - seen_at > PATIENCE:
                    raise SnakepitError(f"The server has ended ({str(error).partition(chr(10))[0]})") from None
                pause = LOOK
                if not self._told_gone:
                    self._told_gone = True
                    print("The server does not answer; waiting for it", file=sys.stderr)
            time.sleep(pause)
        print("The server has stopped", file=sys.stderr)

    def _ask(self, link: ControlClient) -> None:
        after = self._number if link.entry.pid == self._pid else 0
        answer = link.ask("events", after=after, wait=WAIT)
        self._take(answer, answer["events"])

    def _take(self, answer: Mapping[str, Any], tell: Iterable[Event]) -> None:
        if answer["pid"] != self._pid:
            self._pid, self._number, self._stopping = answer["pid"], 0, False
        found = answer["events"]
        self._number = max((event["number"] for event in found), default=self._number)
        kinds = {event["kind"] for event in found}
        self._stopping = self._stopping or "stopping" in kinds
        self._stopped = "stopped" in kinds
        self.tell(tell)
