"""snakepit.check.gather: from records to findings."""

import pytest

from snakepit.c_extensions import vetted
from snakepit.c_extensions.packages import Package
from snakepit.check import gather
from snakepit.check.findings import LazyImports, LoadingModules
from snakepit.check.gather import crash, report, story

DONE = [("stage", 1, "importing"), ("app", "asgi"), ("daemons", []), ("stage", 9, "closed")]
LOADING = [
    ("stage", 7, "importing"),
    ("begin", 7, "shop"),
    ("begin", 7, "json"),
    ("end", 7),
    ("begin", 7, "fast"),
    ("begin", 7, "fast.core"),
]
FAULTS = """Fatal Python error: Segmentation fault

Current thread 0x0000000000000007 [snakepit-check] (most recent call first):
  File "<frozen importlib._bootstrap>", line 491 in _call_with_frames_removed
  File "/site-packages/snakepit/worker/extensions.py", line 119 in exec_module
  File "/fast/__init__.py", line 3 in <module>
  File "/usr/lib/python3.14/threading.py", line 1025 in run

Thread 0x0000000000000008 (most recent call first):
  File "/other.py", line 1 in f

Current thread's C stack trace (most recent call first):
  Binary file "/usr/bin/python", at _Py_DumpStack+0x4a [0x49b2f9]
"""


def load(module, how="refused", file="/f.so", importers=("shop",)):
    return ("load", module, file, how, importers, "")


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """What is installed and vetted."""
    fast = vetted.VettedPackage("fast", ("fast",), ("1.0", "2"), "")
    monkeypatch.setattr(vetted, "find", lambda module: fast if module.startswith("fast.") else None)
    monkeypatch.setattr(gather, "package_of", lambda module, file: Package(module.split(".")[0], "1.2"))


# -- a story ---------------------------------------------------------------------------------------------------------


def test_what_was_going_on():
    told = story(1, LOADING)
    assert told.now() == LoadingModules(1, "importing", "fast.core", ("shop", "fast"))
    assert not told.through


def test_what_was_going_on_when_nothing_was_loading():
    told = story(2, [*LOADING, ("end", 7), ("end", 7), ("end", 7)])
    assert told.now() == LoadingModules(2, "importing", None, ())


def test_the_thread_with_the_longest_chain_counts():
    told = story(1, [*LOADING, ("begin", 8, "late")])
    assert told.now().module == "fast.core"


def test_an_end_without_a_beginning_is_let_pass():
    assert story(1, [("end", 3)]).now().module is None


def test_nothing_was_written():
    assert story(1, []).now() == LoadingModules(1, "importing", None, ())


@pytest.mark.parametrize("last", [("stage", 9, "closed"), ("open",)])
def test_through(last):
    assert story(1, [("app", "wsgi"), ("stage", 9, "closing"), last]).through


# -- a crash ---------------------------------------------------------------------------------------------------------


def test_no_crash():
    assert crash(0, 120, [story(1, DONE), story(2, DONE)], "") is None


def test_a_signal_in_a_known_thread():
    found = crash(-11, 120, [story(1, [("stage", 6, "importing"), ("begin", 6, "shop")]), story(2, LOADING)], FAULTS)
    assert (found.signal, found.exit_status, found.timeout) == ("SIGSEGV", None, None)
    assert found.while_loading == (LoadingModules(2, "importing", "fast.core", ("shop", "fast")),)
    assert found.traceback == ('File "/fast/__init__.py", line 3 in <module>',)


def test_a_signal_while_closing():
    closing = [*DONE[:-1], ("stage", 7, "closing")]
    found = crash(-6, 120, [story(1, closing), story(2, DONE)], FAULTS)
    assert found.signal == "SIGABRT"
    assert found.while_loading == (LoadingModules(1, "closing", None, ()),)


def test_a_signal_when_both_were_closed():
    found = crash(-11, 120, [story(1, DONE), story(2, DONE)], "")
    assert [loading.stage for loading in found.while_loading] == ["closed", "closed"]


def test_a_signal_without_a_name():
    assert crash(-250, 120, [story(1, []), story(2, [])], "").signal == "signal 250"


def test_an_exit_status_names_interpreters_that_were_loading():
    found = crash(7, 120, [story(1, [("stage", 6, "importing")]), story(2, LOADING)], "")
    assert (found.signal, found.exit_status, found.timeout) == (None, 7, None)
    assert [loading.interpreter for loading in found.while_loading] == [2]
    assert found.traceback == ()


def test_an_exit_status_of_0_too_early():
    assert crash(0, 120, [story(1, DONE), story(2, LOADING)], "").exit_status == 0


def test_a_timeout():
    found = crash(None, 3.5, [story(1, LOADING), story(2, LOADING)], "")
    assert (found.signal, found.exit_status, found.timeout) == (None, None, 3.5)
    assert [loading.interpreter for loading in found.while_loading] == [1, 2]


@pytest.mark.parametrize(
    "faults", ["Current thread 0x", "Current thread 0xnonsense\n", "Current thread 0x7", "Current thread 0x7\n  File "]
)
def test_faults_cut_off(faults):
    assert crash(-11, 120, [story(1, LOADING), story(2, LOADING)], faults).traceback == ()


# -- a report --------------------------------------------------------------------------------------------------------


def made(*loads, policy="vetted", more=(), second=DONE):
    return report("shop:app", policy, [story(1, [*DONE, *loads, *more]), story(2, second)], None)


def test_an_app_that_runs():
    found = made(load("fast.core", "copied"))
    assert found.ok
    assert found.interface == "asgi"
    assert found.error is None
    (module,) = found.modules
    assert module.package == Package("fast", "1.2")
    assert module.vetted_versions == ("1.0", "2")
    assert module.importers == ("shop",)


@pytest.mark.parametrize(
    ("record", "policy", "advice"),
    [
        (load("new.core", "native"), "vetted", ""),
        (load("new.core", "source"), "vetted", "runs as the Python module beside it"),
        (load("fast.core", "copied"), "vetted", "vetted with 1.0, 2; 1.2 is installed"),
        (load("new.core", "copied"), "all", "not vetted: at your own risk, or --runtime process"),
        (load("_duckdb", "copied"), "all", "loses writes to files that several workers open: --runtime process"),
        (load("new.core"), "vetted", "its importer does without"),
    ],
)
def test_advice_when_the_app_runs(record, policy, advice):
    assert made(record, policy=policy).modules[0].advice == advice


@pytest.mark.parametrize("version", ["1.0", "2", "2.0.1"])
def test_advice_when_the_installed_version_is_vetted(monkeypatch, version):
    monkeypatch.setattr(gather, "package_of", lambda module, file: Package("fast", version))
    assert made(load("fast.core", "copied")).modules[0].advice == "vetted with 1.0, 2"


@pytest.mark.parametrize(
    ("record", "policy", "advice"),
    [
        (load("new.core"), "vetted", "not vetted: --extensions all at your own risk, or --runtime process"),
        (load("new.core"), "native", "not vetted: --extensions all at your own risk, or --runtime process"),
        (load("fast.core"), "native", "vetted: --extensions vetted, or --runtime process"),
        (load("new.core", file=""), "vetted", "--runtime process"),
        (load("_duckdb"), "vetted", "--runtime process"),
    ],
)
def test_advice_when_the_app_does_not_run(record, policy, advice):
    found = made(record, policy=policy, more=[("error", "can't")])
    assert not found.ok
    assert found.modules[0].advice == advice


def test_a_module_that_fared_differently_is_listed_once_as_it_fared_worse():
    found = made(load("fast.core", "copied"), second=[*DONE, load("fast.core"), load("new.core", "native")])
    assert [(module.module, module.how) for module in found.modules] == [
        ("fast.core", "refused"),
        ("new.core", "native"),
    ]


def test_native_modules_that_the_app_did_not_import_are_left_out():
    natives = [load("_one", "native"), load("_two", "native", importers=("zipfile", "bz2"))]
    assert [module.module for module in made(*natives).modules] == ["_one"]


def test_an_error_in_one_interpreter():
    failed = [("stage", 1, "importing"), ("error", "Module 'shop' can't be imported"), ("stage", 9, "closed")]
    found = made(second=failed)
    assert not found.ok
    assert found.error.startswith("Module 'shop' can't be imported\n(It happened in one of two")


def test_an_error_in_both_interpreters():
    failed = [("error", "Module 'shop' can't be imported")]
    found = report("shop:app", "vetted", [story(1, failed), story(2, failed)], None)
    assert found.error == "Module 'shop' can't be imported"
    assert found.interface is None


FAILED = [("stage", 1, "importing"), ("error", "Module 'shop' can't be imported"), ("stage", 9, "closed")]


def tried(*found):
    return report("shop:app", "vetted", [story(number, records) for number, records in enumerate(found, start=1)], None)


@pytest.mark.parametrize("found", [(DONE, FAILED, DONE), (FAILED, DONE, FAILED, DONE), (FAILED, FAILED, DONE, DONE)])
def test_a_race_that_another_attempt_won_is_a_note(found):
    told = tried(*found)
    assert told.ok
    assert told.interface == "asgi"
    (note,) = told.notes
    assert note.endswith("What went wrong:\nModule 'shop' can't be imported")


@pytest.mark.parametrize("found", [(DONE, FAILED, FAILED, FAILED), (FAILED, FAILED, DONE, FAILED, FAILED)])
def test_other_attempts_failed_too(found):
    told = tried(*found)
    assert not told.ok
    assert told.error.startswith("Module 'shop' can't be imported\n(It happened in one of two")
    assert told.notes == ()


def test_an_error_of_one_that_was_alone_is_told_as_it_is():
    assert tried(FAILED, FAILED, [("error", "no database")]).error == "no database"


def test_an_error_after_the_import():
    assert made(more=[("error", "Traceback")]).error.startswith("the app was imported, but then")


def test_notes():
    assert made().notes == ()
    (daemons,) = made(more=[("daemons", ["beat"])], second=[*DONE, ("daemons", ["beat"])]).notes
    assert "(beat)" in daemons
    (left,) = made(more=[("open",)]).notes
    assert "keep an interpreter from being closed" in left


# -- lazy imports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eager", "lazy", "expected"),
    [
        ((300, 50), (200, 30), LazyImports("off", "auto", 300, 100, 50, 20)),
        ((300, None), (200, None), LazyImports("off", "auto", 300, 100, None, None)),
        ((300, 50), None, None),
        (None, (300, 50), None),
    ],
)
def test_what_lazy_imports_save(eager, lazy, expected):
    def told(size):
        return story(1, [*DONE[:2], *([("size", *size)] if size else [])])

    assert gather.lazy_imports("off", "auto", told(eager), told(lazy)) == expected
