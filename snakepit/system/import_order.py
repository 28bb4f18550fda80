"""The standard library comes first, where Snakepit imports something.

An app's folder stands at the front of `sys.path`, and may hold files with names such as `token.py`, `types.py` or
`queue.py`. Servers that run the app in the interpreter that they run in themselves have long imported the modules of
the standard library with these names, so the files do no harm there. They must not do any here, where each worker
imports everything by itself:

- What Snakepit imports, it imports with the standard library at the front of the path: for as long as the process lives
  where that is its own (`put_standard_library_first`), else within a block (`StandardLibraryFirst`).
- What the standard library imports at first use (PEP 810, Python 3.15 and later) is imported then and there, too, where
  Snakepit is in a program's interpreter (`import_what_is_lazy`).
- In workers, the names that the server has imported from the standard library (`standard_modules`) mean that one; see
  `snakepit.worker.standard_names`. All others may be the app's.
"""

import _thread
import os
import sys

from snakepit.system.working_directory import by_name


def is_standard(folder: str) -> bool:
    """Whether an entry of `sys.path` is the standard library's. Packages that were installed have other ones."""
    library = os.path.dirname(os.__file__)
    return folder in (library, os.path.join(library, "lib-dynload"), os.path.join(sys.base_prefix, "DLLs"))


def standard_first(path: list[str]) -> list[str]:
    """The entries of a path, those of the standard library before all others."""
    return sorted(path, key=lambda folder: not is_standard(folder))


_LEFT_TO_APPS = {"resource"}  # a name that apps do have, of a module that other servers have no need of


def standard_modules() -> list[str]:
    """The modules of the standard library that this interpreter has imported, by their names; no submodules."""
    return sorted(filter(_is_imported, sys.stdlib_module_names - _LEFT_TO_APPS))


def _is_imported(name: str) -> bool:
    """Whether this interpreter has imported a module, and from the standard library's folder."""
    origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
    return origin is not None and origin.startswith(os.path.join(os.path.dirname(os.__file__), ""))


_looked_at = {"site"}  # modules whose lazy imports are done; what `site` has, it uses when Python starts, or never


def import_what_is_lazy() -> None:
    """Import what modules of the standard library, of those that are imported, would import at first use.

    At first use the path would be the program's, and the module a file of the app's. Python 3.14 imported these modules
    with the others. Submodules are none that a file could stand for.
    """
    if not hasattr(sys, "lazy_modules"):
        return
    while names := {name for name in sys.stdlib_module_names & sys.modules.keys() - _looked_at if _is_imported(name)}:
        _looked_at.update(names)
        for name in names:
            module = sys.modules[name]
            for attribute in list(vars(module)):
                try:
                    getattr(module, attribute, None)
                except ImportError:  # this system does not have it
                    continue


_path_of_workers: list[str] | None = None  # where `sys.path` is another one


def put_standard_library_first() -> None:
    """Put the standard library to the front of `sys.path`, but not of the path of workers."""
    global _path_of_workers
    _path_of_workers = list(sys.path)
    sys.path[:] = standard_first(sys.path)


def add_folder(folder: str) -> None:
    """Put the app's folder to the front of the path of workers, and before what was installed in `sys.path`."""
    if _path_of_workers is None:
        sys.path.insert(0, folder)
    else:
        _path_of_workers.insert(0, folder)
        sys.path[:] = standard_first([folder, *sys.path])


def path_of_workers() -> list[str]:
    """What `sys.path` is to be in workers.

    Folders below the working directory go by its name, but for those of this Python and of what was installed for it: a
    worker is to have the same Snakepit as the server.
    """
    path = map(str, sys.path if _path_of_workers is None else _path_of_workers)
    ours = tuple(os.path.join(prefix, "") for prefix in (sys.prefix, sys.base_prefix))
    return [folder if folder.startswith(ours) else by_name(folder) for folder in path]


class StandardLibraryFirst:
    """Within this block, imports find the standard library first, whichever thread they are in.

    No entry of the path is missing meanwhile: what other threads import is found as well.
    """

    _lock = _thread.allocate_lock()  # for the numbers here only: a lock held while importing could meet another's
    _blocks = 0
    _path = sys.path  # as it was before the first of them

    def __enter__(self) -> None:
        kept = StandardLibraryFirst
        with self._lock:
            if not kept._blocks:
                kept._path = sys.path
                sys.path = standard_first(sys.path)
            kept._blocks += 1

    def __exit__(self, *_: object) -> None:
        kept = StandardLibraryFirst
        with self._lock:
            kept._blocks -= 1
            if not kept._blocks:
                sys.path = kept._path
