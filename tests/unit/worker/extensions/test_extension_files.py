"""What snakepit.worker.extensions.loader does by what it finds in a file, with files that are none."""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec

import pytest

from snakepit.worker.extensions import init as extension_init
from snakepit.worker.extensions import loader as extensions
from snakepit.worker.extensions.loader import Extensions

MULTI_PHASE = b"\0PyModuleDef_Init\0"


@pytest.fixture
def extension(tmp_path):
    """Makes a file named as an extension module, and what Python would give to load it."""

    def make(content: bytes) -> tuple[ExtensionFileLoader, ModuleSpec]:
        path = tmp_path / f"thing{EXTENSION_SUFFIXES[-1]}"
        path.write_bytes(content)
        loader = ExtensionFileLoader("thing", str(path))
        return loader, ModuleSpec("thing", loader, origin=str(path))

    return make


@pytest.fixture
def native(tmp_path, monkeypatch):
    """Extensions that copy nothing, and that must not try to load the file either."""
    monkeypatch.setattr(extensions, "_create", lambda loader, spec: pytest.fail("the original was loaded"))
    return Extensions("native", str(tmp_path / "copies"))


@pytest.mark.parametrize("content", [b"\0PyInit_thing\0", MULTI_PHASE + b"numpy._core._multiarray_umath\0_ARRAY_API\0"])
def test_single_phase_modules_and_those_that_use_numpy_s_api_are_never_loaded_as_they_are(native, extension, content):
    loader, spec = extension(content)
    with pytest.raises(ImportError, match="--extensions is native"):
        native.create_module(loader, spec)
    assert [load.how for load in native.loads] == ["refused"]


def test_the_export_hook_tells_multi_phase_modules_only_where_python_calls_it(native, extension, monkeypatch):
    """PEP 793; an older Python calls `PyInit_`, which makes a single-phase module."""
    loader, spec = extension(b"\0PyModExport_thing\0PyInit_thing\0")
    if sys.version_info >= (3, 15):
        monkeypatch.setattr(extensions, "_create", lambda loader, spec: sys)
        monkeypatch.setattr("_imp._override_multi_interp_extensions_check", lambda value: 0)  # not in this interpreter
        assert native.create_module(loader, spec) is sys
    else:
        with pytest.raises(ImportError, match="--extensions is native"):
            native.create_module(loader, spec)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("space.thing", "PyModExport_thing"), ("größe", "PyModExportU_gre_6ka8i"), ("x.größe", "PyModExportU_gre_6ka8i")],
)
def test_the_name_of_an_entry_point(name, symbol):
    assert extension_init._symbol("PyModExport", name) == symbol


@pytest.mark.parametrize(
    ("source", "how"),
    [("x = 1\n", "source"), ("", "source"), ("if not cython.compiled:\n    raise ImportError", "refused")],
)
def test_a_module_in_python_beside_is_taken_unless_it_must_be_compiled(native, extension, source, how):
    loader, spec = extension(b"\0PyInit_thing\0")
    path = loader.path.removesuffix(EXTENSION_SUFFIXES[-1]) + ".py"
    with open(path, "w") as file:
        file.write(source)
    if how == "source":
        assert native.create_module(loader, spec) is None
        assert spec.origin == path
    else:
        with pytest.raises(ImportError):
            native.create_module(loader, spec)
    assert [load.how for load in native.loads] == [how]


def test_a_copy_makes_no_pending_calls(tmp_path):
    before = b"\x7fELF\0Py_AddPendingCall\0greenlet_Py_AddPendingCall\0Py_AddPendingCall_\0x\0Py_AddPendingCall\0"
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(before)
    copy.write_bytes(before)
    extensions._replace_pending_calls(str(copy), str(original))
    assert copy.read_bytes() == (
        b"\x7fELF\0Py_IsInitialized\0\0greenlet_Py_AddPendingCall\0Py_AddPendingCall_\0x\0Py_IsInitialized\0\0"
    )
    assert original.read_bytes() == before


def test_where_a_copy_can_t_be_changed_it_is_refused(tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(b"\xcf\xfa\xed\xfe\0Py_AddPendingCall\0")
    with pytest.raises(ImportError, match="Py_AddPendingCall"):
        extensions._replace_pending_calls(str(copy), str(copy))


def test_other_files_stay_as_they_are(tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(b"\xcf\xfa\xed\xfe\0PyList_New\0")
    extensions._replace_pending_calls(str(copy), str(copy))
    assert copy.read_bytes() == b"\xcf\xfa\xed\xfe\0PyList_New\0"
