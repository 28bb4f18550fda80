"""Calls an extension file's init function by way of ctypes: what CPython's import does in C, in this interpreter.

Only workers that load copies import this, as ctypes costs memory. See `snakepit.worker.extensions` for why.
"""

import ctypes
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

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

type Definition = int
"""The address of a PyModuleDef: the module is still to be made, by multi-phase initialization (PEP 489)."""


def call_init(copy: str, name: str, original: str) -> ModuleType | Definition:
    """Load the file `copy` and call its init function for the module `name`; `original` is the file it is a copy of.

    Raises ImportError.
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
    try:
        init = getattr(library, _init_name(name))
    except AttributeError:
        raise ImportError(f"{original} does not define {_init_name(name)}", name=name, path=original) from None
    init.restype = ctypes.c_void_p
    address = init()  # an exception that it sets is raised here
    if not address:
        raise ImportError(f"the init function of {name} failed without an exception", name=name, path=original)
    if ctypes.c_void_p.from_address(address + _TYPE_AT).value == _definition_type:
        return int(address)
    module = ctypes.cast(address, ctypes.py_object).value
    _api.Py_DecRef(address)  # the reference that the function returned; the cast took one of its own
    if not isinstance(module, ModuleType):
        raise ImportError(f"the init function of {name} made no module", name=name, path=original)
    definition = _api.PyModule_GetDef(module)
    if definition and not _api.PyState_FindModule(definition):
        _api.PyState_AddModule(module, definition)
    module.__file__ = original
    module.__name__ = name
    return module


def module_from_definition(definition: Definition, spec: ModuleSpec) -> ModuleType:
    """Make the module of a definition; it is still to be executed."""
    module: ModuleType = _api.PyModule_FromDefAndSpec2(definition, spec, _PYTHON_API_VERSION)
    return module


def _load(copy: str, original: str) -> ctypes.PyDLL:
    if sys.platform == "win32":
        import os

        with os.add_dll_directory(os.path.dirname(original)):
            return ctypes.PyDLL(copy)
    return ctypes.PyDLL(copy, mode=sys.getdlopenflags())


def _init_name(name: str) -> str:
    last = name.rpartition(".")[2]
    if last.isascii():
        return f"PyInit_{last}"
    return "PyInitU_" + last.encode("punycode").decode("ascii").replace("-", "_")  # PEP 489
