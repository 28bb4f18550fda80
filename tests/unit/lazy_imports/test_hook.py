"""snakepit.lazy_imports.hook: whose imports wait until they are used, each time in a Python of its own."""

import json
import os
import subprocess
import sys

import pytest
from waiting import PATIENCE

from snakepit.lazy_imports.tried import EXIST

pytestmark = pytest.mark.skipif(not EXIST, reason="Python 3.15 and later")

CODE = """
import json, sys
from snakepit.lazy_imports.hook import apply, made_lazy
from snakepit.system.import_order import StandardLibraryFirst, everything_is_lazy

def lazy(module):
    return sorted(name for name, value in vars(module).items() if type(value).__name__ == "lazy_import")

"""

LIBRARY = "import csv\nfrom . import part\nfrom .part import THING\nimport colorsys as colors\n"


@pytest.fixture
def run(tmp_path):
    """Runs code where the libraries `lib` and `other` are installed, and the app has modules of its own.

    Returns what the code prints, from JSON.
    """
    installed = tmp_path / "site-packages"
    for name in ("lib", "other"):
        folder = installed / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(LIBRARY, encoding="utf-8")
        (folder / "part.py").write_text("import wave\nTHING = 5\n", encoding="utf-8")
    app = tmp_path / "app"
    app.mkdir()
    (app / "views.py").write_text("import registry\nregistry.VIEWS.append('index')\n", encoding="utf-8")
    (app / "registry.py").write_text("VIEWS = []\n", encoding="utf-8")
    (app / "main.py").write_text("import lib\nimport registry\nimport views\nlazy import calendar\n", encoding="utf-8")

    def do(code, **env):
        path = os.pathsep.join([str(app), str(installed), *filter(None, sys.path)])
        environ = {**os.environ, "PYTHONPATH": path, **env}
        command = [sys.executable, "-c", CODE + code]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    do.app = app
    return do


def test_imports_of_a_library_that_was_tried_wait(run):
    code = """
undo = apply("auto", ["lib"])
import lib, other
before = lazy(lib), lazy(other), "lib.part" in sys.modules, "other.part" in sys.modules
print(json.dumps([before, lib.THING, lib.part.THING, lazy(lib), made_lazy(), sys.get_lazy_imports()]))
"""
    before, thing, same, left, names, mode = run(code)
    assert before == [["THING", "colors", "csv", "part"], [], False, True]
    assert (thing, same, left, names, mode) == (5, 5, ["colors", "csv"], ["lib"], "normal")


def test_the_apps_own_do_not_but_where_it_says_so(run):
    code = 'apply("auto", ["lib", "Python"])\nimport main\nprint(json.dumps([lazy(main), main.registry.VIEWS]))'
    assert run(code) == [["calendar"], ["index"]]


def test_a_module_of_the_apps_with_the_name_of_a_library_is_the_apps(run):
    (run.app / "lib.py").write_text("import colorsys\nimport registry\n", encoding="utf-8")
    assert run('apply("auto", ["lib"])\nimport lib\nprint(json.dumps([lib.__file__, lazy(lib)]))') == [
        str(run.app / "lib.py"),
        [],
    ]


def test_the_standard_library(run):
    code = 'apply("auto", ["Python"])\nimport lib, xml.sax\nwith StandardLibraryFirst():\n    import plistlib\n'
    code += "print(json.dumps([lazy(lib), lazy(xml.sax) != [], lazy(plistlib), made_lazy()]))"
    of_lib, some_of_xml, of_what_snakepit_imports, names = run(code)
    assert of_lib == []
    assert some_of_xml
    assert "codecs" not in of_what_snakepit_imports
    assert names == ["Python"]


def test_a_filter_of_the_apps_has_the_last_word(run):
    code = 'apply("auto", ["lib"])\nsys.set_lazy_imports_filter(lambda who, what, names: what != "csv")\nimport lib\n'
    assert run(code + "print(json.dumps(lazy(lib)))") == ["THING", "colors", "part"]


def test_all_and_none(run):
    code = """
undo = apply("on")
import main
on = lazy(main), everything_is_lazy()
with StandardLibraryFirst():
    import other
    within = lazy(other), sys.get_lazy_imports(), everything_is_lazy()
after = sys.get_lazy_imports()
undo()
print(json.dumps([on, within, after, sys.get_lazy_imports()]))
"""
    on, within, after, undone = run(code)
    assert on == [["calendar", "lib", "registry", "views"], True]
    assert within == [[], "normal", True]
    assert (after, undone) == ("all", "normal")
    code = 'undo = apply("off", ["lib"])\nimport lib\noff = lazy(lib)\nundo()\n'
    assert run(code + "print(json.dumps([off, sys.get_lazy_imports()]))", PYTHON_LAZY_IMPORTS="all") == [[], "all"]


def test_undone(run):
    code = 'undo = apply("auto", ["lib", "other"])\nimport lib\nundo()\nimport other\n'
    assert run(code + "print(json.dumps([lazy(lib) != [], lazy(other)]))") == [True, []]


def test_what_fails_at_first_use_is_tried_again(run):
    (run.app.parent / "site-packages" / "lib" / "part.py").write_text("raise OSError('busy')\n", encoding="utf-8")
    code = """
apply("auto", ["lib"])
import lib
told = []
for _ in range(2):
    try:
        lib.part
    except OSError as error:
        told.append(str(error))
print(json.dumps(told))
"""
    assert run(code) == ["busy", "busy"]


def test_submodules_are_found_that_a_module_which_is_not_loaded_yet_would_import(run):
    site = run.app.parent / "site-packages"
    (site / "lib" / "part.py").write_text("from .deep import DEEP\n", encoding="utf-8")
    (site / "lib" / "deep.py").write_text("DEEP = 7\n", encoding="utf-8")
    (site / "lib" / "broken.py").write_text("__import__('nowhere')\n", encoding="utf-8")
    code = """
apply("auto", ["lib", "Python"])
import importlib, lib
told = [lib.deep.DEEP, hasattr(lib, "none"), hasattr(lib, "__path__"), hasattr(lib, "__none__")]
try:
    lib.broken
except AttributeError as error:
    told += [str(error), str(error.__cause__)]
try:
    lib.none
except AttributeError as error:
    told += [error.name, error.obj is lib, error.__cause__]
print(json.dumps([told, callable(importlib.util.find_spec)]))
"""
    message = "module 'lib' has no attribute 'broken'"
    assert run(code) == [
        [7, False, True, False, message, "No module named 'nowhere'", "none", True, None],
        True,
    ]


def test_a_package_with_a_getattr_of_its_own_keeps_it(run):
    path = run.app.parent / "site-packages" / "lib" / "__init__.py"
    path.write_text("def __getattr__(name):\n    return name.upper()\n", encoding="utf-8")
    code = 'undo = apply("auto", ["lib", "Python"])\nimport importlib, lib\nundo()\n'
    assert run(code + 'print(json.dumps([lib.deep, "__getattr__" in vars(importlib)]))') == ["DEEP", False]
