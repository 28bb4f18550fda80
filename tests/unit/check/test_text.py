"""snakepit.check.text: what people read; and the findings as JSON."""

import json
from dataclasses import replace

import pytest

from snakepit.c_extensions.packages import Package
from snakepit.check.findings import PYTHON_VERSION, Crash, LazyImports, LoadingModules, Module, Report
from snakepit.check.text import render

CORE = Module(
    "pydantic_core._core", "/c.so", "copied", Package("pydantic-core", "2.46.0"), ("2.41.5",),
    ("main", "fastapi", "fastapi.routing", "pydantic.main", "pydantic_core"), "vetted with 2.41.5; 2.46.0 is installed",
)  # fmt: skip
LINES = Module("readline", "", "refused", None, (), ("main",), "its importer does without")
SSL = Module("_ssl", "/s.so", "native", Package("Python", "3.14.0"), (), ("main", "ssl"), "")


def report(*modules, interface="asgi", error=None, crash=None, notes=()):
    return Report("main:app", interface, "vetted", modules, error, crash, notes)


def crashed(signal=None, exit_status=None, timeout=None, loading=(), traceback=()):
    return report(crash=Crash(signal, exit_status, timeout, loading, traceback), interface=None)


def test_an_app_that_runs():
    assert render(report(CORE, LINES, SSL), verbose=False) == (
        "MODULE               HOW      PACKAGE               IMPORTED BY                         ADVICE\n"
        "pydantic_core._core  copied   pydantic-core 2.46.0  main → fastapi → … → pydantic_core  vetted with 2.41.5; "
        "2.46.0 is installed\n"
        "readline             refused                        main                                its importer does "
        "without\n"
        "\n"
        "1 extension module loaded as usual (-v lists them).\n"
        "\n"
        "main:app runs in isolated interpreters.\n"
        f"(ASGI; imported in two at once, on Python {PYTHON_VERSION} with --extensions vetted)\n"
    )


def test_verbose_lists_natives():
    text = render(report(SSL), verbose=True)
    assert "_ssl    native  Python 3.14.0  main → ssl\n" in text
    assert "as usual" not in text


def test_nothing_but_natives():
    assert render(report(SSL, SSL), verbose=False).startswith(
        "2 extension modules loaded as usual (-v lists them).\n\n"
    )


def test_no_extension_modules():
    assert render(report(interface="wsgi"), verbose=False).startswith("main:app runs in isolated interpreters.\n(WSGI;")


def test_notes_stand_before_the_verdict():
    assert render(report(notes=("Threads go on.",)), verbose=False).startswith("Threads go on.\n\nmain:app runs")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "auto",
            "Lazy imports (--lazy-imports auto) save 12 of 300 modules and 2.5 MiB of memory in each worker, until",
        ),
        (
            "off",
            "Lazy imports would save 12 of 300 modules and 2.5 MiB of memory in each worker, until they are used: ",
        ),
    ],
)
def test_lazy_imports(option, said):
    found = replace(report(), lazy_imports=LazyImports(option, "auto", 300, 12, 30 * 2**20, 5 * 2**19))
    assert render(found, verbose=False).startswith(said)
    assert json.loads(json.dumps(found.as_json()))["lazy_imports"] == {
        "option": option, "compared": "auto", "modules": 300, "modules_saved": 12, "memory": 30 * 2**20,
        "memory_saved": 5 * 2**19,
    }  # fmt: skip


@pytest.mark.parametrize(("memory", "saved"), [(None, None), (30 * 2**20, -(2**17)), (30 * 2**20, 2**17)])
def test_lazy_imports_where_the_system_does_not_tell_of_memory_or_it_is_the_same(memory, saved):
    found = replace(report(), lazy_imports=LazyImports("on", "on", 1, 1, memory, saved))
    assert render(found, verbose=False).startswith("Lazy imports (--lazy-imports on) save 1 of 1 module in each worker")


def test_lazy_imports_that_save_nothing():
    found = replace(report(), lazy_imports=LazyImports("off", "auto", 150, 0, 30 * 2**20, 0))
    assert render(found, verbose=False).startswith("Lazy imports save nothing here (--lazy-imports auto).\n")


def test_an_error():
    assert render(report(error="Module 'main' can't be imported\nTraceback"), verbose=False) == (
        "main:app does not run in isolated interpreters.\n\nModule 'main' can't be imported\nTraceback\n"
    )


def test_a_signal():
    loading = LoadingModules(2, "importing", "new.core", ("main", "new.api", "new"))
    text = render(crashed("SIGSEGV", loading=(loading,), traceback=('File "/a.py", line 1 in f',)), verbose=False)
    assert text == (
        "main:app does not run in isolated interpreters.\n"
        "\n"
        "The process crashed (SIGSEGV)\n"
        "  interpreter 2: loading new.core\n"
        "    imported by: main → new\n"
        "where (innermost first):\n"
        '  File "/a.py", line 1 in f\n'
        "ways out:\n"
        "  --runtime process: each worker is a process then\n"
    )


def test_a_signal_in_a_module_of_an_installed_package():
    loading = LoadingModules(1, "importing", "pytest", ("main",))
    assert "  another version of pytest\n" in render(crashed("SIGSEGV", loading=(loading,)), verbose=False)


def test_a_signal_on_closing():
    text = render(crashed("SIGABRT", loading=(LoadingModules(1, "closing", None, ()),)), verbose=False)
    assert "  interpreter 1: closing the interpreter\n" in text


@pytest.mark.parametrize(("status", "shown"), [(0, "0"), (7, "7"), (0xC0000005, "0xc0000005")])
def test_an_exit_status(status, shown):
    text = render(crashed(exit_status=status), verbose=False)
    assert f"The process ended with status {shown}\n" in text
    assert "(os._exit)" in text


def test_a_timeout():
    text = render(crashed(timeout=2.5), verbose=False)
    assert "It took longer than 2.5 s (--timeout)\n" in text
    assert "--runtime process" in text


def test_json():
    loading = LoadingModules(1, "importing", "new.core", ("main",))
    found = report(CORE, LINES, error="no", crash=Crash("SIGSEGV", None, None, (loading,), ("File",)), notes=("so",))
    assert json.loads(json.dumps(found.as_json())) == {
        "app": "main:app",
        "ok": False,
        "interface": "asgi",
        "python": PYTHON_VERSION,
        "policy": "vetted",
        "modules": [
            {
                "module": "pydantic_core._core",
                "file": "/c.so",
                "how": "copied",
                "package": "pydantic-core",
                "version": "2.46.0",
                "vetted_versions": ["2.41.5"],
                "importers": ["main", "fastapi", "fastapi.routing", "pydantic.main", "pydantic_core"],
                "advice": "vetted with 2.41.5; 2.46.0 is installed",
            },
            {
                "module": "readline",
                "file": "",
                "how": "refused",
                "package": None,
                "version": None,
                "vetted_versions": [],
                "importers": ["main"],
                "advice": "its importer does without",
            },
        ],
        "error": "no",
        "crash": {
            "signal": "SIGSEGV",
            "exit_status": None,
            "timeout": None,
            "while_loading": [
                {"interpreter": 1, "stage": "importing", "module": "new.core", "importers": ["main"]},
            ],
            "traceback": ["File"],
        },
        "notes": ["so"],
        "lazy_imports": None,
    }


def test_json_of_an_app_that_runs():
    found = report(CORE).as_json()
    assert (found["ok"], found["error"], found["crash"], found["notes"]) == (True, None, None, [])
