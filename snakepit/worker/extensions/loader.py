"""Loads C extensions in a worker that is an interpreter.

The problem. An interpreter with a GIL of its own refuses an extension module that does not declare
`Py_mod_multiple_interpreters = Py_MOD_PER_INTERPRETER_GIL_SUPPORTED` (PEP 489, PEP 684), and few declare it. The
refusal protects state in static variables of the shared object, of which a process has one set.

The way out. The dynamic loader identifies libraries by device and inode. A *copy* of the file is another library, with
static variables of its own. So each worker loads its own copy: one interpreter, one set, nothing shared. The check is
switched off for that one module, and for no other.

The conditions:

- Whether a file has multi-phase initialization (PEP 489) is known before the first attempt, by looking for the name
  `PyModuleDef_Init` in it, or since 3.15 `PyModExport_` (PEP 793), which 3.15 prefers to `PyInit_`. CPython runs
  the init function of a single-phase module in the *main* interpreter before it refuses it, and that may import half
  of NumPy there. So a single-phase module's original is never tried.
- A single-phase module's init function is called by ctypes, on the copy: so the whole module is created in this
  interpreter. CPython would create it in the main one and copy its dictionary, which corrupts the heap.
- A module that uses NumPy's C API keeps its address in a static variable, and so the types of the first interpreter
  that imported it, even if it declares support (as SciPy's modules in C do). It is copied, too.
- The check is off while a copied module is created and executed (PyO3 creates submodules then, each of them checked).
  For modules that it imports meanwhile the check must be on again, or they would be loaded from originals that others
  share.
- Every interpreter needs a copy of its own, including a replacement worker's: extensions remember the first interpreter
  that they were in, or objects that were freed with it.
- If the file looks for libraries beside itself (`$ORIGIN`, `@loader_path`), the copy is placed in a tree that mirrors
  the original's, with links to everything there. The libraries themselves are loaded once for all workers, so they must
  not hold Python objects; a package with a library that does can't be vetted.
- A copy is never unloaded, since there is no way to know whether threads of it still run. What it keeps, including
  Python objects, stays in memory when its worker ends: some 20 MB for each replaced worker.
- An extension that calls Python from threads of its own (PyGILState_Ensure) attaches them to the main interpreter. A
  copy does not help there (PEP 788 may).
- The main interpreter runs functions that an extension passes to `Py_AddPendingCall`, without this one's GIL. greenlet
  uses this to free its objects when a thread in which it was used ends, and that corrupts the heap. In the copy that
  name is replaced by `Py_IsInitialized`, which needs no GIL, does nothing and returns 1, so these objects stay in
  memory. Only ELF files can be changed like that; otherwise the module is refused.

Where a package has the same module in Python beside the compiled one (`X.py` and `X.*.so`), a worker takes that, and
no copy is needed.

Policies: "vetted" copies modules of packages on the vetted list (see `c_extensions.vetted`), "native" copies nothing,
"all" copies whatever refuses.
"""

import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import BuiltinImporter, ExtensionFileLoader, ModuleSpec, SourceFileLoader
from mmap import ACCESS_READ, mmap
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Literal, NamedTuple

from snakepit.c_extensions import vetted
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.wire.interpreters import check_extensions, current_id
from snakepit.worker.extensions import no_faulthandler, no_tracemalloc

if TYPE_CHECKING:
    from snakepit.wire.settings import Policy

type How = Literal["native", "copied", "source", "refused"]

REFUSED = "does not support loading in subinterpreters"
"""What CPython says then (Python/import.c)."""

_MULTI_PHASE = (b"PyModuleDef_Init", b"PyModExport_")[: 2 if sys.version_info >= (3, 15) else 1]  # PEP 489, PEP 793
_NUMPY_API = (b"_ARRAY_API",)  # the capsule's name, numpy._core._multiarray_umath._ARRAY_API
_MUST_BE_COMPILED = (b"not cython.compiled",)  # the source of pyzmq's extension says so, and raises ImportError
_PENDING_CALL = b"\0Py_AddPendingCall\0"
_DOES_NOTHING = b"\0Py_IsInitialized\0\0"
_ELF = b"\x7fELF"
_BESIDE = (b"@loader_path", b"@rpath") if sys.platform == "darwin" else (b"$ORIGIN", b"${ORIGIN}")

_create = ExtensionFileLoader.create_module
_exec = ExtensionFileLoader.exec_module
_create_builtin = BuiltinImporter.create_module


class Load(NamedTuple):
    """How an extension module was loaded in this interpreter.

    Args:
        file: empty if the module is built into Python.
        how: "native" (unchanged), "copied", "source" (from the Python module beside it), or "refused".
        importers: modules that were being imported then, the outermost first.
        size: bytes of the copy.
        reason: why it was refused.
    """

    module: str
    file: str
    how: How
    importers: tuple[str, ...]
    size: int
    reason: str


class Extensions:
    """The loader of this interpreter's extension modules. Create one, then `install` it before the app is imported.

    Args:
        folder: where copies go; it belongs to this process alone. Empty: there is none.
        keep_native: also record modules that load without help.
    """

    def __init__(self, policy: "Policy", folder: str, keep_native: bool = False) -> None:
        self.policy = policy
        self.loads: list[Load] = []
        self.on_refused: Callable[[Load], None] = lambda load: None  # called with each further refused module
        self._folder = os.path.join(folder, str(current_id())) if folder else ""
        self._keep_native = keep_native
        self._unchecked = 0  # modules being made or executed without the check
        self._copies: dict[str, str] = {}  # by the original's path
        self._single_phase: dict[tuple[str, str], ModuleType] = {}  # by path and name; their init runs once

    @property
    def copied(self) -> list[tuple[str, int]]:
        """The modules that were loaded from copies, and the bytes of each copy."""
        return [(load.module, load.size) for load in self.loads if load.how == "copied"]

    @property
    def refused(self) -> list[Load]:
        """The modules that were not loaded; their importers may work without them."""
        return [load for load in self.loads if load.how == "refused"]

    def install(self) -> None:
        """Replace the loading of extension modules in this interpreter, permanently."""
        sys.modules["faulthandler"] = no_faulthandler
        sys.modules["_tracemalloc"] = no_tracemalloc

        def create_module(loader: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType | None:
            return self.create_module(loader, spec)

        def exec_module(loader: ExtensionFileLoader, module: ModuleType) -> None:
            with self._check_off() if loader.path in self._copies else self._check_on():
                _exec(loader, module)

        def create_builtin(spec: ModuleSpec) -> ModuleType | None:
            try:
                with self._check_on():
                    return _create_builtin(spec)
            except ImportError as error:
                if REFUSED in str(error):
                    self._record(spec.name, "", "refused", reason="and is built into Python")
                raise

        for importer, name, method in (
            (ExtensionFileLoader, "create_module", create_module),
            (ExtensionFileLoader, "exec_module", exec_module),
            (BuiltinImporter, "create_module", staticmethod(create_builtin)),
        ):
            setattr(importer, name, method)

    def create_module(self, loader: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType | None:
        """Stands in for `ExtensionFileLoader.create_module`. None: the spec names a Python module now, to be executed.

        Raises ImportError.
        """
        name, path = spec.name, loader.path
        if _names(path, _MULTI_PHASE) and not _names(path, _NUMPY_API):
            try:
                with self._check_on():
                    module = _create(loader, spec)
            except ImportError as error:
                if REFUSED not in str(error):
                    raise
            else:
                if self._keep_native:
                    self._record(name, path, "native")
                return module
        source = _source_beside(path)
        if source is not None:
            spec.loader, spec.origin, spec.cached = SourceFileLoader(name, source), source, None
            self._record(name, source, "source")
            return None
        reason = self._reason_to_refuse(name)
        if reason:
            self._record(name, path, "refused", reason=reason)
            raise ImportError(f"module {name} {REFUSED} ({reason})", name=name, path=path)
        module = self._create_from_copy(name, path, spec)
        self._record(name, path, "copied", os.path.getsize(path))
        return module

    def _reason_to_refuse(self, name: str) -> str:
        if self.policy == "native":
            return "and --extensions is native"
        if self.policy == "vetted" and vetted.find(name) is None:
            return f"and is not on the list of packages vetted for {vetted.THIS_PYTHON}"
        return ""

    @contextmanager
    def _check_on(self) -> Iterator[None]:
        check_extensions(True)
        try:
            yield
        finally:
            check_extensions(not self._unchecked)

    @contextmanager
    def _check_off(self) -> Iterator[None]:
        self._unchecked += 1
        check_extensions(False)
        try:
            yield
        finally:
            self._unchecked -= 1
            check_extensions(not self._unchecked)

    def _create_from_copy(self, name: str, path: str, spec: ModuleSpec) -> ModuleType:
        with StandardLibraryFirst():
            from snakepit.worker.extensions import init as extension_init
        known = self._single_phase.get((path, name))
        if known is not None:
            return known
        copy = self._copies.get(path)
        if copy is None:
            copy = self._copies[path] = self._copy(path)
        made = extension_init.call_init(copy, name, path)
        if isinstance(made, ModuleType):
            self._single_phase[path, name] = made
            return made
        with self._check_off():
            return extension_init.module_from_definition(made, spec)

    def _copy(self, path: str) -> str:
        if not self._folder:
            raise ImportError(
                f"{path} can't be copied, as this worker needs it: there is no folder for temporary files; set TMPDIR "
                "to one that can be written to, or use --runtime process",
                path=path,
            )
        with StandardLibraryFirst():
            from shutil import copyfile

        if sys.platform != "win32" and _names(path, _BESIDE):
            folder = _mirror(self._folder, os.path.dirname(path))
        else:
            folder = os.path.join(self._folder, str(len(self._copies)))
            os.makedirs(folder, exist_ok=True)
        copy = os.path.join(folder, os.path.basename(path))
        try:
            if os.path.islink(copy):
                os.unlink(copy)
            copyfile(path, copy)
            _replace_pending_calls(copy, path)
        except OSError as error:
            raise ImportError(
                f"{path} can't be copied to {folder}: {error.strerror}; set TMPDIR to a folder with room", path=path
            ) from None
        return copy

    def _record(self, name: str, path: str, how: How, size: int = 0, reason: str = "") -> None:
        load = Load(name, path, how, _importers(sys._getframe(1)), size, reason)
        self.loads.append(load)
        if how == "refused":
            self.on_refused(load)


def _names(path: str, names: tuple[bytes, ...]) -> bool:
    """Tell whether a file contains any of these names, without loading it."""
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return any(content.find(name) >= 0 for name in names)


def _replace_pending_calls(copy: str, original: str) -> None:
    """Make the copy call a function that does nothing instead of Py_AddPendingCall; the module's docstring says why.

    Raises ImportError if the file's format forbids that.
    """
    if not _names(original, (_PENDING_CALL,)):
        return
    with open(copy, "r+b") as file, mmap(file.fileno(), 0) as content:
        if content[: len(_ELF)] != _ELF:
            raise ImportError(f"{original} makes calls in the main interpreter (Py_AddPendingCall)", path=original)
        at = content.find(_PENDING_CALL)
        while at >= 0:
            content[at : at + len(_PENDING_CALL)] = _DOES_NOTHING
            at = content.find(_PENDING_CALL, at)


def _source_beside(path: str) -> str | None:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:  # the longest ones come first
        if path.endswith(suffix):
            source = path[: -len(suffix)] + ".py"
            works = os.path.isfile(source) and not (os.path.getsize(source) and _names(source, _MUST_BE_COMPILED))
            return source if works else None
    return None


def _mirror(root: str, folder: str) -> str:
    """Mirror `folder` below `root`: real folders on the way, and below the environment's, links to all else."""
    real = os.path.realpath(folder)
    prefix = os.path.join(os.path.realpath(sys.prefix), "")
    first = prefix if real.startswith(prefix) else os.sep
    made = root
    here = os.sep
    for part in ["", *real.strip(os.sep).split(os.sep)]:
        here, made = os.path.join(here, part), os.path.join(made, part)
        if os.path.islink(made):
            os.unlink(made)
        os.makedirs(made, exist_ok=True)
        if os.path.join(here, "").startswith(first):
            _link_entries(here, made)
    return made


def _link_entries(folder: str, to: str) -> None:
    for entry in os.scandir(folder):
        try:
            os.symlink(entry.path, os.path.join(to, entry.name))
        except FileExistsError:
            pass


def _importers(frame: FrameType | None) -> tuple[str, ...]:
    """Return the modules on the stack, without Snakepit's and the import machinery, the outermost first."""
    names: list[str] = []
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        machinery = name == "importlib" or name.startswith(("importlib.", "_frozen_importlib", "snakepit."))
        if not machinery and names[-1:] != [name]:
            names.append(name)
        frame = frame.f_back
    while names and names[-1] in ("threading", "__main__"):  # below the app: the worker's own thread
        names.pop()
    return tuple(reversed(names))
