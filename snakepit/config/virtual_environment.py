"""Virtual environments (PEP 405): where one has its packages, and whether this Python can use them."""

import os
import re
import sys
import sysconfig
from typing import TypedDict

from snakepit.errors import ConfigError

MARKER = "pyvenv.cfg"
"""The file that makes a folder a virtual environment."""


class VirtualEnvironment(TypedDict):
    """A virtual environment that this Python can use.

    `folder` is its absolute path, `packages` are the folders of its packages, `scripts` is the folder of its commands,
    `executable` its Python (empty: it has none), and `system` the prefix of the Python whose packages it has too
    (empty: only its own).
    """

    folder: str
    packages: list[str]
    scripts: str
    executable: str
    system: str


def check(folder: str, runtime: str) -> None:
    """Raise ConfigError unless workers of this runtime can use the virtual environment in a folder."""
    if runtime == "thread":
        raise ConfigError(
            "venv can't be used with runtime thread, where the app has the modules of the server; start Snakepit with "
            "that environment's Python",
            ("venv", "runtime"),
        )
    find(folder)


def find(folder: str) -> VirtualEnvironment:
    """Look at a folder, given by its absolute path.

    Raises ConfigError if it is no virtual environment, or one of another Python.
    """
    known = _marker(folder)
    packages = list(filter(os.path.isdir, dict.fromkeys(_path(folder, name) for name in ("purelib", "platlib"))))
    theirs, ours = _theirs(folder, known, bool(packages)), _ours()
    if theirs != ours:
        raise ConfigError(
            f"venv: {folder} is for {theirs or 'an unknown Python'}, and this is {ours}: serve with that Python, or "
            f"make the environment anew ({sys.executable or 'python'} -m venv --clear {folder})",
            ("venv",),
        )
    if not packages:
        raise ConfigError(
            f"venv: {folder} has no folder for packages: looked for {_path(folder, 'purelib')}", ("venv",)
        )
    scripts = _path(folder, "scripts")
    executable = os.path.join(scripts, "python.exe" if sys.platform == "win32" else "python")
    return {
        "folder": folder,
        "packages": packages,
        "scripts": scripts,
        "executable": executable if os.path.isfile(executable) else "",
        "system": _system(known),
    }


def _marker(folder: str) -> dict[str, str]:
    """Read the file that marks a virtual environment, as Python does. Raises ConfigError."""
    path = os.path.join(folder, MARKER)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        what = "is no virtual environment" if os.path.isdir(folder) else "is no folder"
        raise ConfigError(
            f"venv: {folder} {what}: looked for {path}; {sys.executable or 'python'} -m venv {folder} makes one",
            ("venv",),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"venv: {path} can't be read: {reason}", ("venv",)) from None
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _path(folder: str, name: str) -> str:
    return sysconfig.get_path(name, "venv", {"base": folder, "platbase": folder})


_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _ours() -> str:
    name = "CPython" if sys.implementation.name == "cpython" else sys.implementation.name
    return _named(name, "{}.{}".format(*sys.version_info), _FREE_THREADED)


def _theirs(folder: str, known: dict[str, str], has_our_folder: bool) -> str:
    """Return the Python that an environment is for, in the words of `_ours`; empty if nothing says it."""
    stated = _VERSION.match(known.get("version_info") or known.get("version", ""))
    found = _folders(folder)
    if stated is None and not found:
        return ""
    number = stated[0] if stated is not None else found[0].removesuffix("t")
    # Windows has one folder for all Pythons, so nothing tells there
    free = _FREE_THREADED if has_our_folder else f"{number}t" in found
    return _named(known.get("implementation", "CPython"), number, free)


def _named(implementation: str, number: str, free_threaded: bool) -> str:
    return f"{implementation} {number}{' without the GIL' if free_threaded else ''}"


_VERSION = re.compile(r"\d+\.\d+")
_FOLDER = re.compile(r"(?:python|pypy)(\d+\.\d+t?)")


def _folders(folder: str) -> list[str]:
    """Return the versions of Python for which an environment has folders of packages, as in "3.14" or "3.14t"."""
    try:
        entries = sorted(os.listdir(os.path.join(folder, "lib")))
    except OSError:
        return []
    return [match[1] for match in map(_FOLDER.fullmatch, entries) if match is not None]


def _system(known: dict[str, str]) -> str:
    if known.get("include-system-site-packages", "").lower() != "true":
        return ""
    home = known.get("home", "")
    return sys.base_prefix if not home else home if sys.platform == "win32" else os.path.dirname(home)
