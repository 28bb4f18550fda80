"""Keeps the standard library first on the path when Snakepit imports something.

An app's folder stands at the front of `sys.path`, and may hold files with names such as `token.py`, `types.py` or
`queue.py`. Servers that run the app in their own interpreter have imported these modules of the standard library long
before, so such files are harmless there. Here each worker imports everything by itself, and the files must be harmless
too:

- What Snakepit imports, it imports with the standard library at the front of the path: for as long as the process lives
  where that is its own (`put_standard_library_first`), else within a block (`StandardLibraryFirst`).
- In a program's interpreter, Snakepit also imports at once what the standard library would import at first use (PEP
  810, Python 3.15 and later; `import_what_is_lazy`).
- Snakepit's own imports are never lazy, even if all imports of the program are: a module that is imported at first use
  is looked for in the path of that moment.
- In workers, the names of modules that the server has imported from the standard library (`standard_modules`) mean
  these modules; see `snakepit.worker.standard_names`. All other names may be the app's.
"""

import _thread
import os
import sys

from snakepit.system.working_directory import by_name


def is_standard(folder: str) -> bool:
    """Tell whether an entry of `sys.path` belongs to the standard library. Installed packages have other entries."""
    library = os.path.dirname(os.__file__)
    return folder in (library, os.path.join(library, "lib-dynload"), os.path.join(sys.base_prefix, "DLLs"))


def standard_first(path: list[str]) -> list[str]:
    """Return the entries of a path, those of the standard library before all others."""
    return sorted(path, key=lambda folder: not is_standard(folder))


def without_installed(path: list[str]) -> list[str]:
    """Return the entries of a path up to the standard library's last one; after these come installed packages."""
    last = max((at for at, folder in enumerate(path) if _is_python(folder)), default=len(path) - 1)
    return path[: last + 1]


def _is_python(folder: str) -> bool:
    return is_standard(folder) or (sys.platform == "win32" and folder == sys.base_prefix)


_LEFT_TO_APPS = {"resource"}  # apps do use this name, and other servers do not need the module


def standard_modules() -> list[str]:
    """Return the names of the standard modules that this interpreter has imported, without submodules."""
    return sorted(filter(_is_imported, sys.stdlib_module_names - _LEFT_TO_APPS))


def _is_imported(name: str) -> bool:
    """Tell whether this interpreter has imported a module from the standard library's folder."""
    origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
    return origin is not None and origin.startswith(os.path.join(os.path.dirname(os.__file__), ""))


_looked_at = {"site"}  # modules whose lazy imports are done; what `site` has, it uses when Python starts, or never


def import_what_is_lazy() -> None:
    """Import what the already imported modules of the standard library would import at first use.

    At first use the path would be the program's, and could lead to a file of the app. Python 3.14 imported these
    modules with the others. No file of the app can replace a submodule.
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


_was_lazy = False  # before this process made its imports be done at once


def everything_is_lazy() -> bool:
    """Return whether all imports of this program are lazy, for instance by PYTHON_LAZY_IMPORTS=all."""
    return _was_lazy or _is_lazy_now() or StandardLibraryFirst.left_lazy


def make_everything_lazy(lazy: bool) -> None:
    """Make all further imports in this interpreter lazy, if this Python can; or end that."""
    set_mode = getattr(sys, "set_lazy_imports", None)
    if set_mode is not None:
        set_mode("all" if lazy else "normal")


def _is_lazy_now() -> bool:
    mode = getattr(sys, "get_lazy_imports", None)
    return mode is not None and mode() == "all"


_path_of_workers: list[str] | None = None  # where `sys.path` is another one


def put_standard_library_first() -> None:
    """Move the standard library to the front of `sys.path`, but not of the path of workers, and end lazy imports."""
    global _path_of_workers, _was_lazy
    _was_lazy = _is_lazy_now()
    make_everything_lazy(False)
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
    """Return `sys.path` for workers.

    Folders below the working directory are given by its name, except those of this Python and its installed packages: a
    worker must have the same Snakepit as the server.
    """
    path = map(str, sys.path if _path_of_workers is None else _path_of_workers)
    ours = tuple(os.path.join(prefix, "") for prefix in (sys.prefix, sys.base_prefix))
    return [folder if folder.startswith(ours) else by_name(folder) for folder in path]


class StandardLibraryFirst:
    """A block within which imports find the standard library first, in all threads, and are not lazy.

    No entry of the path is missing meanwhile, so other threads find their modules as well.
    """

    left_lazy = False
    """Whether all imports become lazy again at the end of the last of these blocks."""

    _lock = _thread.allocate_lock()  # only for the counters: held during an import, it could deadlock
    _blocks = 0
    _path = sys.path  # as it was before the first of them

    @classmethod
    def is_on(cls) -> bool:
        """Return whether any thread is in such a block."""
        return cls._blocks > 0

    def __enter__(self) -> None:
        kept = StandardLibraryFirst
        with self._lock:
            if not kept._blocks:
                kept._path = sys.path
                sys.path = standard_first(sys.path)
                kept.left_lazy = _is_lazy_now()
                if kept.left_lazy:
                    make_everything_lazy(False)
            kept._blocks += 1

    def __exit__(self, *_: object) -> None:
        kept = StandardLibraryFirst
        with self._lock:
            kept._blocks -= 1
            if not kept._blocks:
                sys.path = kept._path
                if kept.left_lazy:
                    make_everything_lazy(True)
                    kept.left_lazy = False
