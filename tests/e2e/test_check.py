"""`snakepit check`: what it says about apps that run, that can't be imported, and that crash the process."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from support import ONE_RUNTIME, PATIENCE, wait_until

from snakepit.c_extensions.copies import PREFIX
from snakepit.lazy_imports.tried import EXIST

pytestmark = ONE_RUNTIME

APP = "def app(environ, start_response): ...\n"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs `snakepit check` in a folder with these modules; nothing may be left of its folder for copies."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    work = tmp_path / "work"
    work.mkdir()

    def run(*arguments, **modules):
        for name, code in modules.items():
            (work / f"{name}.py").write_text(code)
        command = [sys.executable, "-m", "snakepit", "check", *arguments]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, encoding="utf-8", timeout=2 * PATIENCE)
        assert list(temporary.glob(f"{PREFIX}*")) == []
        assert "snakepit/check" not in done.stdout + done.stderr
        return done

    return run


def report(done):
    """The findings of a check with --json."""
    assert done.stdout.startswith("{"), done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] == (done.returncode == 0)
    return found


def without_natives(found):
    return [module for module in found["modules"] if module["how"] != "native"]


# -- apps that run ---------------------------------------------------------------------------------------------------


def test_a_fastapi_app(check):
    pydantic_core = pytest.importorskip("pydantic_core")
    pytest.importorskip("fastapi")
    code = """
        from fastapi import FastAPI
        from pydantic import BaseModel

        class Item(BaseModel):
            name: str

        app = FastAPI()

        @app.post("/")
        async def post(item: Item) -> Item:
            return item
        """
    done = check("main:app", main=textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("pydantic_core._pydantic_core")]
    assert line.split()[1] == "copied"
    assert pydantic_core.__version__ in line
    assert "main → fastapi" in line
    assert "\nmain:app runs in isolated interpreters.\n(ASGI;" in done.stdout


def test_a_plain_app(check):
    done = check("main:app", main=APP)
    assert done.returncode == 0
    assert "main:app runs in isolated interpreters.\n(WSGI;" in done.stdout
    assert done.stderr == ""
    assert "MODULE" not in done.stdout


def test_verbose_lists_native_modules(check):
    pytest.importorskip("_ctypes")
    arguments = ("main:app", "--extensions", "native")
    modules = {"main": "import ctypes\n" + APP}
    file = sys.modules["_ctypes"].__spec__.origin if "_ctypes" in sys.modules else ""
    if file in ("", "built-in"):
        pytest.skip("_ctypes is built into this Python")
    assert "_ctypes " not in check(*arguments, **modules).stdout
    assert "_ctypes " in check(*arguments, "-v", **modules).stdout


def test_an_app_that_does_without_what_refuses(check):
    pytest.importorskip("readline")
    done = check("main:app", main="try:\n    import readline\nexcept ImportError:\n    pass\n" + APP)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("readline")]
    assert line.split()[1] == "refused"
    assert " main " in line
    assert "its importer does without" in line


def test_json(check):
    orjson = pytest.importorskip("orjson")
    done = check("main:app", "--json", main="import orjson\nprint('from the app')\n" + APP)
    found = report(done)
    assert done.stderr.count("from the app") == 2
    assert found["app"] == "main:app"
    assert found["interface"] == "wsgi"
    assert found["python"] == "{}.{}.{}".format(*sys.version_info)
    assert found["policy"] == "vetted"
    assert (found["error"], found["crash"], found["notes"]) == (None, None, [])
    (module,) = without_natives(found)
    assert module["module"] == "orjson.orjson"
    assert module["how"] == "copied"
    assert (module["package"], module["version"]) == ("orjson", orjson.__version__)
    assert module["importers"] == ["main", "orjson"]
    assert Path(module["file"]).is_file()


def test_what_the_app_prints_is_not_on_stdout(check):
    done = check("main:app", main="print('from the app')\n" + APP)
    assert done.returncode == 0
    assert "from the app" not in done.stdout
    assert done.stderr.count("from the app") == 2


def test_options_of_run(check, tmp_path):
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "made.py").write_text(
        "import os\ndef make():\n    assert os.environ['GREETING'] == 'hello'\n    return lambda *args: []\n"
    )
    (tmp_path / "vars").write_text("GREETING=hello\n")
    options = ("--app-dir", str(folder), "--factory", "--interface", "wsgi", "--env-file", str(tmp_path / "vars"))
    done = check("made:make", *options)
    assert done.returncode == 0, done.stdout
    assert "(WSGI;" in done.stdout


def test_threads_that_do_not_end_are_a_note(check):
    code = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, name='beat').start()\n" + APP
    done = check("main:app", main=code)
    assert done.returncode == 0, done.stdout
    assert "Daemon threads of the app go on after its exit handlers (beat)" in done.stdout


# -- apps that can't be imported -------------------------------------------------------------------------------------


def test_an_extension_that_refuses(check):
    pytest.importorskip("readline")
    modules = {"main": "import helper\n", "helper": "import readline\n"}
    done = check("main:app", **modules)
    assert done.returncode == 3
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("readline ")]
    assert line.split()[1] == "refused"
    assert "main → helper" in line
    assert "--runtime process" in line
    assert "main:app does not run in isolated interpreters." in done.stdout
    assert "readline, a C extension of Python" in done.stdout
    assert "imported by: main → helper\nways out:\n  --runtime process" in done.stdout
    assert "helper.py" in done.stdout
    found = report(check("main:app", "--json"))
    assert found["error"].startswith("Module 'main' can't be imported: readline")
    assert [(module["module"], module["how"]) for module in without_natives(found)] == [("readline", "refused")]


def test_a_module_built_into_python_that_refuses(check):
    found = report(check("main:app", "--json", "--extensions", "all", main="import _suggestions\n"))
    assert [(module["module"], module["how"]) for module in without_natives(found)] == [("_suggestions", "refused")]
    assert found["error"].startswith("Module 'main' can't be imported: _suggestions, a C extension of Python")
    assert "--extensions" not in found["error"]


def test_the_server_says_the_same(check, tmp_path):
    pytest.importorskip("readline")
    error = report(check("main:app", "--json", main="import readline\n"))["error"]
    command = [sys.executable, "-m", "snakepit", "run", "main:app", "--port", "0", "--runtime", "interpreter"]
    done = subprocess.run(
        command, cwd=tmp_path / "work", capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    )
    assert done.returncode == 3
    assert done.stderr.endswith(f"Error: {error}\n")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def app(: pass", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("application = lambda environ, start_response: []", "did you mean 'application'?"),
        ("app = 5", "the app is a int, which can't be called"),
        ("import snakepit\napp = lambda: 0\nsnakepit.run(app)", "SystemExit: 2"),
    ],
)
def test_an_app_that_cannot_be_served(check, code, expected):
    done = check("main:app", main=code)
    assert done.returncode == 3
    assert expected in done.stdout
    assert "main:app does not run in isolated interpreters." in done.stdout


def test_a_module_that_is_not_there(check):
    done = check("missing:app")
    assert done.returncode == 3
    assert "No module named 'missing'" in done.stdout


# -- apps that crash -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has an exit status instead")
def test_a_segmentation_fault(check):
    modules = {"main": "import inner\n", "inner": "import ctypes\nctypes.string_at(0)\n"}
    done = check("main:app", **modules)
    assert done.returncode == 3
    assert "The process crashed (SIGSEGV)" in done.stdout
    assert "loading inner\n    imported by: main\n" in done.stdout
    assert 'inner.py", line 2 in <module>' in done.stdout
    crash = report(check("main:app", "--json"))["crash"]
    assert crash["signal"] == "SIGSEGV"
    assert (crash["exit_status"], crash["timeout"]) == (None, None)
    # the other interpreter may have come as far when the process ended
    found = [(loading["stage"], loading["module"], loading["importers"]) for loading in crash["while_loading"]]
    assert ("importing", "inner", ["main"]) in found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has an exit status instead")
def test_a_crash_after_the_import(check):
    done = check("main:app", main="import atexit, ctypes\natexit.register(ctypes.string_at, 0)\n" + APP)
    assert done.returncode == 3
    assert "The process crashed (SIGSEGV)" in done.stdout
    assert "running exit handlers" in done.stdout


@pytest.mark.parametrize("status", [0, 7])
def test_the_process_is_ended(check, status):
    found = report(check("main:app", "--json", main="import inner\n", inner=f"import os\nos._exit({status})\n"))
    assert found["ok"] is False
    assert found["crash"]["exit_status"] == status
    assert found["crash"]["signal"] is None
    assert "inner" in [loading["module"] for loading in found["crash"]["while_loading"]]


def test_an_app_that_hangs(check):
    modules = {"main": "import inner\n", "inner": "import threading\nthreading.Event().wait()\n"}
    done = check("main:app", "--timeout", f"{PATIENCE / 5:g}", **modules)
    assert done.returncode == 3
    assert f"It took longer than {PATIENCE / 5:g} s (--timeout)" in done.stdout
    assert "loading inner\n    imported by: main\n" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is sent otherwise there")
def test_ctrl_c(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "import os, threading\nopen('here', 'a').write(f'{os.getpid()} ')\nthreading.Event().wait()\n"
    (tmp_path / "main.py").write_text(code)
    process = subprocess.Popen([sys.executable, "-m", "snakepit", "check", "main:app"], cwd=tmp_path)
    here = tmp_path / "here"
    wait_until(lambda: here.exists() and here.read_text().count(" ") == 2, "both interpreters import the app")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert list(tmp_path.glob(f"{PREFIX}*")) == []
    child = int(here.read_text().split()[0])
    wait_until(lambda: not alive(child), "the process that imported the app has ended")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["main"], "must look like module:attribute"),
        (["main.py:app"], "name the module, as in main:app"),
        (["main:app", "--env-file", "/no/such/file"], "can't be read"),
        (["main:app", "--timeout", "0"], "--timeout"),
        (["main:app", "--port", "80"], "--port"),
    ],
)
def test_wrong_use(check, arguments, expected):
    began = time.monotonic()
    done = check(*arguments, main=APP)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < PATIENCE


# -- apps that race ----------------------------------------------------------------------------------------------------

NUMBER = "import os\nwith open('count', 'ab') as count:\n    count.write(b'.')\n    number = count.tell()\n"


def test_an_app_that_loses_a_race_with_itself_is_fit(check):
    """As a server does, it is tried again."""
    found = report(check("main:app", "--json", main=NUMBER + "if number == 2: raise OSError('locked')\n" + APP))
    assert found["ok"]
    assert any("got in each other's way" in note and "OSError: locked" in note for note in found["notes"])


def test_an_app_that_only_one_can_import_is_not(check):
    found = report(check("main:app", "--json", main=NUMBER + "if number > 1: raise OSError('locked')\n" + APP))
    assert not found["ok"]
    assert "OSError: locked" in found["error"]
    assert "(It happened in one of two interpreters; the other one imported the app.)" in found["error"]


# -- lazy imports ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not EXIST, reason="Python 3.15 and later")
@pytest.mark.parametrize("option", ["auto", "off"])
def test_what_lazy_imports_save(check, option):
    pytest.importorskip("flask")
    code = "import flask\nprint('imported')\napp = flask.Flask(__name__)\n"
    found = report(check("--json", "--lazy-imports", option, "main:app", main=code))["lazy_imports"]
    assert (found["option"], found["compared"]) == (option, "auto")
    assert 20 < found["modules_saved"] < found["modules"] - 20
    assert found["memory"] is None or 2**20 < found["memory_saved"] < found["memory"] / 2
    done = check("--lazy-imports", option, "main:app", main=code)
    assert f"{'save' if option == 'auto' else 'would save'} " in done.stdout
    assert done.stderr.count("imported") == 2, "what is imported to measure it says nothing"


@pytest.mark.skipif(not EXIST, reason="Python 3.15 and later")
def test_an_app_that_lazy_imports_keep_from_being_imported(check):
    modules = {"main": "import registry\nimport views\napp = registry.APPS['app']\n", "registry": "APPS = {}\n"}
    modules["views"] = "import registry\nregistry.APPS['app'] = lambda environ, start_response: []\n"
    done = check("--lazy-imports", "on", "main:app", **modules)
    assert done.returncode == 3
    assert "With --lazy-imports off the app can be imported" in done.stdout
    assert check("main:app", **modules).returncode == 0


@pytest.mark.skipif(EXIST, reason="before Python 3.15")
def test_a_python_without_lazy_imports(check):
    assert report(check("--json", "main:app", main=APP))["lazy_imports"] is None
