"""The commands for a running server, for the command line: each prints its result."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from snakepit.control.client import ControlClient, Gone
from snakepit.control.search import find
from snakepit.control.text import render, render_apps
from snakepit.errors import SnakepitError
from snakepit.system.version import __version__
from snakepit.system.words import counted

OF_STATE = ("verdict", "load", "in_flight", "events")
"""What `snakepit status --json` has of the answer to the command `state`."""


def status(name: str | None, pid: int | None, as_json: bool) -> None:
    """Print the state of the server."""
    with connected(name, pid) as server:
        found, state = server.ask("status")["status"], _state_of(server)
        if as_json:
            more = {key: None if state is None else state.get(key) for key in OF_STATE}
            print(json.dumps({**found, **more}, indent=2))
        else:
            print(render(found, state))


def _state_of(server: ControlClient) -> Mapping[str, Any] | None:
    """Ask how the server is, and what it is at; None: it has just ended, or is of another version."""
    try:
        with closing(ControlClient(server.entry)) as link:  # each connection is for one question
            state: Mapping[str, Any] = link.ask("state")["state"]
    except (Gone, OSError, SnakepitError):
        return None
    return state


def reload(name: str | None, pid: int | None) -> None:
    """Replace the workers, one after the other."""
    with connected(name, pid) as server:
        answer = server.ask("reload")
        print(f"Reloaded {counted(answer['replaced'], 'worker')} in {answer['seconds']:.2f} s")


def reread(name: str | None, pid: int | None) -> None:
    """Have the configuration file read again."""
    with connected(name, pid) as server:
        answer = server.ask("reread")
        counts = (answer["changed"], "app"), (answer["static"], "static folder")
        changed = " and ".join(counted(count, what) for count, what in counts if count)
        print(f"{changed} changed" if changed else "The file says nothing new of apps and static files")


def apps(name: str | None, pid: int | None, as_json: bool) -> None:
    """Print the apps of the server."""
    with connected(name, pid) as server:
        found = server.ask("status")["status"]["apps"]
        print(json.dumps(found, indent=2) if as_json else render_apps(found))


def reload_app(app: str, name: str | None, pid: int | None) -> None:
    """Replace the workers of one app, one after the other."""
    with connected(name, pid) as server:
        answer = server.ask("reload", app=app)
        print(f"Reloaded {counted(answer['replaced'], 'worker')} of {app} in {answer['seconds']:.2f} s")


def stop_app(app: str, name: str | None, pid: int | None) -> None:
    """Stop the workers of one app."""
    with connected(name, pid) as server:
        server.ask("stop-app", app=app)
        print(f"Stopped {app}; its requests get 503")


def start_app(app: str, name: str | None, pid: int | None) -> None:
    """Start an app that has no workers."""
    with connected(name, pid) as server:
        server.ask("start-app", app=app)
        print(f"Started {app}")


def scale(workers: int, name: str | None, pid: int | None) -> None:
    """Change the number of workers."""
    with connected(name, pid) as server:
        answer = server.ask("scale", workers=workers)
        print(f"{counted(answer['workers'], 'worker')}, {answer['before']} before")


def stop(name: str | None, pid: int | None) -> None:
    """Stop the server gracefully, and wait until it has ended."""
    with connected(name, pid) as server:
        server.ask("stop")
        server.wait_closed()
    print(f"Stopped, pid {server.entry.pid}")


def upgrade(name: str | None, pid: int | None) -> None:
    """Replace the server process by a new one."""
    with connected(name, pid) as server:
        answer = server.ask("upgrade")
        print(f"Upgraded in {answer['seconds']:.2f} s: pid {answer['pid']} serves now, in place of {server.entry.pid}")


@contextmanager
def connected(name: str | None, pid: int | None) -> Iterator[ControlClient]:
    """Connect to the server that the options identify. Errors become messages of the command."""
    try:
        link = find(name, pid)
        try:
            yield link
        except KeyError as error:
            told = f"the server is Snakepit {link.version}, and says nothing of {error}; this command is {__version__}"
            raise SnakepitError(told) from None
        finally:
            link.close()
    except SnakepitError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
