"""What the buttons of the live page do."""

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from snakepit.errors import SnakepitError
from snakepit.server.dashboard.stacks import find, wait_stack
from snakepit.server.events.kinds import By
from snakepit.system.words import counted

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.operate.commands import Adjustable


class Actions:
    """Acts on a server. What is done is returned in words; SnakepitError says why it can't be.

    Args:
        apps: those that there are.
    """

    def __init__(self, server: "Adjustable", apps: "Iterable[App]") -> None:
        self._server = server
        self._apps = apps
        self.known = {"reload": self._reload, "scale": self._scale, "interrupt": self._interrupt}
        """The actions, by name."""

    async def act(self, name: str, arguments: Mapping[str, str]) -> str:
        """Do what a button says. Raises SnakepitError."""
        return await self.known[name](arguments)

    async def _reload(self, arguments: Mapping[str, str]) -> str:
        began = time.monotonic()
        app = arguments.get("app")
        outcome = await self._server.reload(app or None, By.DASHBOARD)
        if not outcome:
            done = f"only {outcome.count} reloaded" if outcome.count else "not reloaded"
            raise SnakepitError(f"{done}: {outcome.trouble}")
        of_app = f" of {app}" if app else ""
        return f"Reloaded {counted(outcome.count, 'worker')}{of_app} in {time.monotonic() - began:.2f} s"

    async def _scale(self, arguments: Mapping[str, str]) -> str:
        wanted = _number(arguments, "workers")
        outcome = await self._server.scale(wanted, By.DASHBOARD)
        if not outcome:
            raise SnakepitError(f"there are not {wanted} workers: {outcome.trouble}")
        return f"{counted(wanted, 'worker')}{' for each app' if len(list(self._apps)) > 1 else ''}"

    async def _interrupt(self, arguments: Mapping[str, str]) -> str:
        exchange, app = find(self._apps, _number(arguments, "id"))
        asked_for = f"{exchange.head.method} {exchange.head.path}"
        if not app.pool.queue.interrupt(exchange, By.DASHBOARD, "interrupted from the dashboard"):
            raise SnakepitError(f"{asked_for} is not in the app, or has switched to WebSocket: nothing is interrupted")
        return f"Interrupted {asked_for}"

    async def wait_stack(self, arguments: Mapping[str, str]) -> str:
        """Return the stack of a request. Raises SnakepitError if there is none."""
        return await wait_stack(self._apps, _number(arguments, "id"))


def _number(arguments: Mapping[str, str], name: str) -> int:
    text = arguments.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise SnakepitError(f"{name} must be a whole number, not {text[:50]!r}")
    return int(text)
