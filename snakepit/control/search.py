"""Finds the server for a command: the one with that name or pid, or the one that was started in this folder."""

from collections.abc import Callable
from dataclasses import dataclass

from snakepit.control.client import ControlClient, Gone
from snakepit.control.entry import Entry, here
from snakepit.control.folder import Folder, places
from snakepit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Wanted:
    what: str
    fits: Callable[[Entry], bool]


def find(name: str | None, pid: int | None) -> ControlClient:
    """Connect to the one server that matches. Raises ConfigError if there is none, or more than one."""
    wanted = _wanted(name, pid)
    troubles: list[str] = []
    links: list[ControlClient] = []
    silent: list[Entry] = []
    others: list[Entry] = []
    for folder in _folders(troubles):
        try:
            with folder.locked():
                entries = folder.entries()
        except OSError as error:
            troubles.append(f"{folder.path}: {error.strerror or error}")
            continue
        others += [entry for entry in entries if not wanted.fits(entry)]
        for entry in filter(wanted.fits, entries):
            try:
                links.append(_reach(folder, entry))
            except Gone:
                pass
            except OSError:
                silent.append(entry)
    if len(links) == 1 and not silent:
        return links[0]
    for link in links:
        link.close()
    found = sorted([*(link.entry for link in links), *silent], key=lambda entry: entry.pid)
    if not found:
        raise ConfigError(_nothing(wanted.what, others, troubles))
    if len(found) == 1:
        raise ConfigError(f"the server does not answer: {found[0]}")
    raise ConfigError(_several(wanted.what, found))


def _wanted(name: str | None, pid: int | None) -> _Wanted:
    if pid is not None:
        return _Wanted(f"with the pid {pid}", lambda entry: pid in (entry.pid, entry.key))
    if name is not None:
        return _Wanted(f"with the name {name!r}", lambda entry: entry.name == name)
    folder = here()
    if not folder:
        raise ConfigError("the working directory is gone; say with --name or --pid which server is meant")
    return _Wanted(f"for this folder ({folder})", lambda entry: entry.cwd == folder)


def _folders(troubles: list[str]) -> list[Folder]:
    found = []
    for path in places():
        try:
            found.append(Folder(path))
        except ConfigError as error:
            troubles.append(str(error))
        except FileNotFoundError:
            pass
        except OSError as error:
            troubles.append(f"{path}: {error.strerror or error}")
    return found


def _reach(folder: Folder, entry: Entry) -> ControlClient:
    """Connect to a server, or to the one that has taken its place since the entry was read.

    Raises Gone, after removing its files, or OSError if it does not answer.
    """
    while True:
        try:
            return ControlClient(entry)
        except Gone:
            with folder.locked():
                folder.remove(entry)
                newer = folder.entry(entry.key)
            if newer is None:
                raise
            entry = newer


def _nothing(what: str, others: list[Entry], troubles: list[str]) -> str:
    lines = [f"no server runs {what}", *troubles]
    running = [entry for entry in others if _runs(entry)]
    if running:
        lines += ["there are others, for which --name or --pid must be given:", *(f"  {entry}" for entry in running)]
    return "\n".join(lines)


def _several(what: str, found: list[Entry]) -> str:
    say = "--pid" if len({entry.name for entry in found}) < len(found) else "--name or --pid"
    lines = [f"{len(found)} servers run {what}; say which one is meant with {say}:"]
    return "\n".join([*lines, *(f"  {entry}" for entry in found)])


def _runs(entry: Entry) -> bool:
    try:
        ControlClient(entry).close()
    except Gone:
        return False
    except OSError:
        pass
    return True
