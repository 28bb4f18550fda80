"""Calls an extension file's entry point by ctypes in this interpreter, as CPython's import does in C.

The entry point is `PyInit_<name>`; since 3.15 `PyModExport_<name>` (PEP 793) takes precedence, as in CPython. Only
workers that load copies import this module, since ctypes costs memory. `snakepit.worker.extensions.loader` has the
reasons.
"""

import ctypes
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NamedTuple

_PYTHON_API_VERSION = 1013  # Include/modsupport.h
_TYPE_AT = object.__basicsize__ - ctypes.sizeof(ctypes.c_void_p)  # ob_type is the last field of PyObject

_api = ctypes.pythonapi
_definition_type = ctypes.addressof(ctypes.c_char.in_dll(_api, "PyModuleDef_Type"))
_api.PyModule_FromDefAndSpec2.restype = ctypes.py_object
_api.PyModule_FromDefAndSpec2.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_int]
_api.PyModule_GetDef.restype = ctypes.c_void_p
_api.PyModule_GetDef.argtypes = [ctypes.py_object]
_api.PyState_FindModule.restype = ctypes.c_void_p
_api.PyState_FindModule.argtypes = [ctypes.c_void_p]
_api.PyState_AddModule.argtypes = [ctypes.py_object, ctypes.c_void_p]
_api.Py_DecRef.argtypes = [ctypes.c_void_p]

_HAS_EXPORT_HOOKS = sys.version_info >= (3, 15)
if _HAS_EXPORT_HOOKS:
    _api.PyModule_FromSlotsAndSpec.restype = ctypes.py_object
    _api.PyModule_FromSlotsAndSpec.argtypes = [ctypes.c_void_p, ctypes.py_object]


class Definition(NamedTuple):
    """The definition of which multi-phase initialization creates a module.

    Args:
        address: of a PyModuleDef (PEP 489), or of an array of slots (PEP 793).
    """

    address: int
    is_slots: bool


def call_init(copy: str, name: str, original: str) -> ModuleType | Definition:
    """Load the file `copy` and call its entry point for the module `name`; `original` is the file it is a copy of.

    Raises ImportError, and what the entry point raises.
    """
    try:
        library = _load(copy, original)
    except OSError as error:
        raise ImportError(
            f"a private copy of {original} can't be loaded: {error}; if the folder for temporary files does not "
            "allow that (noexec), set TMPDIR to one that does",
            name=name,
            path=original,
        ) from None
    prefixes = ("PyModExport", "PyInit") if _HAS_EXPORT_HOOKS else ("PyInit",)
    symbols = [_symbol(prefix, name) for prefix in prefixes]
    symbol = next((symbol for symbol in symbols if hasattr(library, symbol)), None)
    if symbol is None:
        raise ImportError(f"{original} does not define {' or '.join(symbols)}", name=name, path=original)
    entry_point = getattr(library, symbol)
    entry_point.restype = ctypes.c_void_p
    address = entry_point()  # an exception that it sets is raised here
    if not address:
        raise ImportError(f"{symbol} of {original} failed without an exception", name=name, path=original)
    if symbol.startswith("PyModExport"):
        return Definition(address, is_slots=True)
    if ctypes.c_void_p.from_address(address + _TYPE_AT).value == _definition_type:
        return Definition(address, is_slots=False)
    module = ctypes.cast(address, ctypes.py_object).value
    _api.Py_DecRef(address)  # the reference that the function returned; the cast took one of its own
    if not isinstance(module, ModuleType):
        raise ImportError(f"{symbol} of {original} made no module", name=name, path=original)
    definition = _api.PyModule_GetDef(module)
    if definition and not _api.PyState_FindModule(definition):
        _api.PyState_AddModule(module, definition)
    module.__file__ = original
    module.__name__ = name
    return module


def module_from_definition(definition: Definition, spec: ModuleSpec) -> ModuleType:
    """Create the module of a definition, without executing it."""
    module: ModuleType
    if definition.is_slots:
        module = _api.PyModule_FromSlotsAndSpec(definition.address, spec)
    else:
        module = _api.PyModule_FromDefAndSpec2(definition.address, spec, _PYTHON_API_VERSION)
    return module


def _load(copy: str, original: str) -> ctypes.PyDLL:
    if sys.platform == "win32":
        import os

        with os.add_dll_directory(os.path.dirname(original)):
            return ctypes.PyDLL(copy)
    return ctypes.PyDLL(copy, mode=sys.getdlopenflags())


def _symbol(prefix: str, name: str) -> str:
    """Return the entry point's name, by PEP 489 and PEP 793."""
    last = name.rpartition(".")[2]
    if last.isascii():
        return f"{prefix}_{last}"
    return f"{prefix}U_" + last.encode("punycode").decode("ascii").replace("-", "_")
