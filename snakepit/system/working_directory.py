"""The working directory, by the name under which it was entered.

The system knows a folder, not the symbolic link that led there; a shell reports that in PWD. A deployment changes such
a link, `current → releases/7`, or removes a folder and creates another of the same name. So the paths for imports, and
the start folder of a new worker or server process, are given by the name.
"""

import os


def name() -> str:
    """Return the name; empty if the folder has been removed, and there is no other of that name."""
    named = os.environ.get("PWD", "")
    if not os.path.isabs(named) or not os.path.isdir(named):
        named = ""
    try:
        here = os.getcwd()
    except OSError:
        return named
    return named if named and os.path.samefile(named, here) else here


def absolute(path: str) -> str:
    """Return the absolute path, which stays right when the app changes directories. Raises FileNotFoundError."""
    if os.path.isabs(path):
        return path
    folder = name()
    if not folder:
        raise FileNotFoundError(f"{path!r} is a relative path, and the working directory has been removed")
    if os.pardir in path.replace("\\", "/").split("/"):
        folder = os.path.realpath(folder)  # of which it is the parent that is meant
    return os.path.normpath(os.path.join(folder, path))


def by_name(path: str) -> str:
    """Return a path below the working directory by that directory's name; it may have been found without the name."""
    try:
        here = os.getcwd()
    except OSError:
        return path
    inside = not path or path == here or path.startswith(os.path.join(here, ""))
    return os.path.normpath(os.path.join(name(), os.path.relpath(path or here, here))) if inside else path


class WorkingDirectory:
    """The working directory of a process that belongs to the server alone."""

    def __init__(self) -> None:
        self._name = name()
        self._entered: os.stat_result | None = None
        self.enter_anew()

    def enter_anew(self) -> None:
        """Enter the folder that the name leads to now, unless the app has changed the directory meanwhile."""
        try:
            if self._entered is not None and not os.path.samestat(self._entered, os.stat(os.curdir)):
                return
            if self._entered is None or not os.path.samestat(self._entered, os.stat(self._name)):
                os.chdir(self._name)
                self._entered = os.stat(os.curdir)
        except OSError:
            pass  # there is no such folder now: stay in the old one
