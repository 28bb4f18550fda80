"""Enters a virtual environment in this interpreter, as Python does when it starts there.

The interpreter was made by the server's Python, whose start has handled the server's own packages: their `.pth` files
may have imported modules and installed import hooks, which find the packages of editable installs. The app must see
none of these, but those of its own environment. Snakepit's modules are found all the same, through the package, which
is imported already.
"""

import os
import site
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.wire.settings import VenvSettings

_OURS = {"snakepit", "interpreters_backport"}  # what workers import, with Python 3.13 in the case of the second


def enter(venv: "VenvSettings", path_of_server: Sequence[str]) -> None:
    """Add the packages of an environment to `sys.path`, which lacks those of the server, and run its `.pth` files.

    If a symbolic link leads to the environment, its real folder is used: the link may be changed while this worker
    runs, and the dynamic loader takes a library from a path that it knows for the one that it has loaded.
    """
    forget_modules({folder for folder in path_of_server if folder not in sys.path})
    real = os.path.realpath(venv["folder"])
    sys.prefix = sys.exec_prefix = real
    if venv["executable"]:
        sys.executable = os.path.join(real, os.path.relpath(venv["executable"], venv["folder"]))
    site.PREFIXES[:] = [real]
    site.ENABLE_USER_SITE = False
    for folder in venv["packages"]:
        site.addsitedir(os.path.join(real, os.path.relpath(folder, venv["folder"])))
    if venv["system"]:
        site.PREFIXES.append(venv["system"])
        site.ENABLE_USER_SITE = site.check_enableusersite()
        if site.ENABLE_USER_SITE:
            _add(site.getusersitepackages())
        for folder in site.getsitepackages([venv["system"]]):
            _add(folder)


def _add(folder: str) -> None:
    if os.path.isdir(folder):
        site.addsitedir(folder)


def forget_modules(folders: Collection[str]) -> None:
    """Forget the modules that were imported from these folders, with their import hooks, except Snakepit's."""
    places = tuple(os.path.join(folder, "") for folder in folders if folder)
    kept = _OURS | sys.stdlib_module_names
    names = {
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in kept and str(getattr(module, "__file__", None)).startswith(places)
    }
    sys.meta_path[:] = [finder for finder in sys.meta_path if _module_of(finder) not in names]
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if _module_of(hook) not in names]
    for name in names:
        del sys.modules[name]
    sys.path_importer_cache.clear()


def _module_of(hook: object) -> str:
    return str(getattr(hook, "__module__", type(hook).__module__))
