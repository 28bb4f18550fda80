"""`snakepit top`: what a running server is at, in the terminal, once a second."""

import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from snakepit.control.client import ControlClient
from snakepit.control.keys import NextKey, pressed_keys
from snakepit.control.looks import Looks
from snakepit.control.search import find
from snakepit.errors import ConfigError, SnakepitError
from snakepit.system.words import counted

if TYPE_CHECKING:
    from rich.live import Live

PERIOD = 1.0
"""Seconds between two looks."""

PATIENCE = 6.0
"""Seconds in which there may be no server: its supervisor starts another one in less."""

_MISSING = "snakepit top needs rich, which is not installed: pip install 'snakepit-server[top]'"


class Top:
    """Looks at a server until a key, Ctrl+C or the server's end.

    Args:
        name, pid: identify the server, as for `find`.
    """

    def __init__(self, name: str | None, pid: int | None) -> None:
        self._which = name, pid
        self.looks = Looks()
        self._reloading: threading.Thread | None = None

    def look(self) -> None:
        """Ask the server. Raises SnakepitError."""
        link = find(*self._which)
        try:
            self.looks.add(_state_of(link))
            if self._which == (None, None):
                self._which = None, link.entry.key  # from any folder, and whatever else starts in this one
        finally:
            link.close()

    def run(self, live: "Live", wait_key: NextKey) -> None:
        """Show what is seen, and do what keys say. Raises SnakepitError when the server has ended."""
        from snakepit.control.top_screen import Screen

        seen_at = time.monotonic()
        while True:
            began = time.monotonic()
            try:
                self.look()
                seen_at = began
            except SnakepitError as error:
                if began - seen_at > PATIENCE:
                    raise SnakepitError(f"The server has ended ({_first_line(error)})") from None
                self.looks.told = "The server does not answer; waiting for it"
            while True:
                live.update(Screen(self.looks), refresh=True)
                key = wait_key(max(0.0, began + PERIOD - time.monotonic()))
                if key in ("q", "Q"):
                    return
                if key in ("0", "\x1b"):
                    self.looks.stack = ("", "")
                if key in tuple("123456789"):
                    self._find_stack(int(key))
                if key in ("r", "R"):
                    self._reload()
                elif not key:
                    break

    def _find_stack(self, place: int) -> None:
        """Find out where the request is that is shown at this place."""
        requests = self.looks.state["in_flight"]["requests"]
        if place > len(requests):
            return
        request = requests[place - 1]
        try:
            link = find(*self._which)
            try:
                stack = str(link.ask("where", id=request["id"])["stack"])
            finally:
                link.close()
        except SnakepitError as error:
            stack = _first_line(error)
        self.looks.stack = f"{request['method']} {request['path']}", stack

    def _reload(self) -> None:
        """Have the workers replaced, in a thread of its own: it takes as long as an app takes to start."""
        if self._reloading is None or not self._reloading.is_alive():
            self.looks.told = "Reloading …"
            self._reloading = threading.Thread(target=self._wait_reloaded, daemon=True)
            self._reloading.start()

    def _wait_reloaded(self) -> None:
        try:
            link = find(*self._which)
            try:
                answer = link.ask("reload")
            finally:
                link.close()
            self.looks.told = f"Reloaded {counted(answer['replaced'], 'worker')} in {answer['seconds']:.2f} s"
        except SnakepitError as error:
            self.looks.told = f"Not reloaded: {_first_line(error)}"


def top(name: str | None, pid: int | None) -> None:
    """Show what a server is at. Where the output is no terminal, once. Raises SnakepitError."""
    if find_spec("rich") is None:
        raise ConfigError(_MISSING)
    from rich.console import Console
    from rich.live import Live

    from snakepit.control.top_screen import Screen

    console, it = Console(highlight=False), Top(name, pid)
    it.look()
    if not sys.stdout.isatty():
        console.print(Screen(it.looks, whole=True))
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what ends the process at once leaves no clean terminal
    try:
        with pressed_keys() as wait_key, Live(console=console, screen=True, auto_refresh=False) as live:
            it.run(live, wait_key)
    except KeyboardInterrupt:
        pass


def _state_of(link: ControlClient) -> Mapping[str, Any]:
    state: Mapping[str, Any] = link.ask("state")["state"]
    return state


def _first_line(error: SnakepitError) -> str:
    return str(error).partition("\n")[0]
