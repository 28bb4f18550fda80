"""snakepit.system.import_order: what stands where in the path, and for how long."""

import os
import subprocess
import sys
import threading

import pytest

from snakepit.system import import_order
from snakepit.system.import_order import (
    StandardLibraryFirst,
    add_folder,
    is_standard,
    path_of_workers,
    put_standard_library_first,
    standard_first,
    standard_modules,
    without_installed,
)
from snakepit.worker.standard_names import StandardNames

LIBRARY = os.path.dirname(os.__file__)


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """A path as an app's, and nothing else, within a test."""
    path = ["/app", LIBRARY, os.path.join(LIBRARY, "site-packages"), "/lib"]
    monkeypatch.setattr(sys, "path", path)
    monkeypatch.setattr(import_order, "_path_of_workers", None)
    return path


def test_what_is_installed_comes_after_the_standard_library():
    dynamic = os.path.join(LIBRARY, "lib-dynload")
    assert without_installed(sys.path) == ["/app", LIBRARY]
    assert without_installed(["", LIBRARY, dynamic, "/lib", "/more"]) == ["", LIBRARY, dynamic]
    assert without_installed(["/app", "/lib"]) == ["/app", "/lib"]
    assert without_installed([]) == []


def test_what_is_the_standard_librarys():
    assert is_standard(LIBRARY)
    assert not is_standard(os.path.join(LIBRARY, "site-packages"))
    assert not is_standard("")
    assert any(map(is_standard, standard_first(sys.path)[:1]))


def test_all_other_entries_keep_their_order(path):
    assert standard_first(path) == [LIBRARY, "/app", os.path.join(LIBRARY, "site-packages"), "/lib"]


def test_within_a_block(path):
    with StandardLibraryFirst():
        assert sys.path == standard_first(path)
        with StandardLibraryFirst():
            assert sys.path == standard_first(path)
        assert sys.path == standard_first(path)
    assert sys.path is path


def test_blocks_of_two_threads_that_overlap(path):
    first, second = StandardLibraryFirst(), StandardLibraryFirst()
    first.__enter__()
    thread = threading.Thread(target=second.__enter__)
    thread.start()
    thread.join()
    first.__exit__()
    assert sys.path == standard_first(path)
    second.__exit__()
    assert sys.path is path


def test_for_good(path):
    before = list(path)
    put_standard_library_first()
    assert sys.path == standard_first(before)
    add_folder("/other")
    assert sys.path == standard_first(["/other", *before])
    assert path_of_workers() == ["/other", *before]


def test_where_the_process_is_not_the_servers_alone(path):
    before = list(path)
    add_folder("/other")
    assert sys.path == path_of_workers() == ["/other", *before]


def test_the_path_of_workers_has_no_relative_entries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sys.path.insert(0, "")
    assert path_of_workers()[0] == str(tmp_path)


def test_modules_of_the_standard_library_that_were_imported(monkeypatch):
    names = standard_modules()
    assert {"threading", "queue"} <= set(names)
    assert not {"pytest", "snakepit", "sys"} & set(names)
    monkeypatch.setitem(sys.modules, "token", import_order)
    assert "token" not in standard_modules(), "it is not the standard library's"


def test_names_that_mean_the_standard_library(tmp_path):
    sys.path.insert(0, str(tmp_path))
    for name in ("queue", "code"):
        (tmp_path / f"{name}.py").touch()
    finder = StandardNames(["queue"])
    assert finder.find_spec("queue").origin == os.path.join(LIBRARY, "queue.py")
    assert finder.find_spec("code") is None
    assert finder.find_spec("package.queue", ["/somewhere"]) is None


LAZY = """
import pathlib
lazy import code

import snakepit
assert callable(snakepit.run)
print([path.name for path in pathlib.Path(__file__).parent.glob("glo?.py")], code.MINE)
"""


@pytest.mark.skipif(not hasattr(sys, "lazy_modules"), reason="Python 3.15 and later")
def test_what_the_standard_library_imports_at_first_use_is_not_the_apps(tmp_path):
    (tmp_path / "glob.py").write_text("raise ImportError('the app has it')\n", encoding="utf-8")
    (tmp_path / "code.py").write_text("MINE = 1\n", encoding="utf-8")
    (tmp_path / "script.py").write_text(LAZY, encoding="utf-8")
    ran = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("['glob.py'] 1\n", "")


EVERYTHING = """
import sys
sys.set_lazy_imports("all")
from snakepit.system import import_order
from snakepit.system.import_order import StandardLibraryFirst

with StandardLibraryFirst():
    with StandardLibraryFirst():
        import wave
    within = sys.get_lazy_imports(), import_order.everything_is_lazy()
after = sys.get_lazy_imports()
import_order.put_standard_library_first()
print(type(vars(wave)["struct"]).__name__, within, after, sys.get_lazy_imports(), import_order.everything_is_lazy())
"""


@pytest.mark.skipif(not hasattr(sys, "lazy_modules"), reason="Python 3.15 and later")
def test_what_snakepit_imports_is_imported_at_once_where_everything_is_lazy():
    ran = subprocess.run([sys.executable, "-c", EVERYTHING], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("module ('normal', True) all normal True\n", "")
