"""Apps with virtual environments of their own: `--venv`."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, RUNTIME, Server, run_command, running, wait_until
from venvs import install, make, packages_of, write

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
HAS_MODULES_OF_ITS_OWN = NEEDS_TWO_WORKERS  # a worker has none in the main interpreter

APP = """
import importlib.metadata as metadata, json, os, subprocess, sys

import flask
import pydantic

class Item(pydantic.BaseModel):
    price: float

app = flask.Flask(__name__)

def versions():
    return {name: metadata.version(name) for name in ("flask", "werkzeug", "pydantic", "pydantic_core")}

@app.get("/")
def index():
    try:
        Item(price="much")
    except pydantic.ValidationError as error:
        (trouble,) = error.errors()
    return {
        **versions(),
        "core": pydantic.VERSION and sys.modules["pydantic_core"].__version__,
        "price": Item.model_validate_json('{"price": "2.5"}').price,
        "trouble": trouble["type"],
        "files": [flask.__file__, pydantic.__file__, sys.modules["pydantic_core._pydantic_core"].__file__],
        "process": os.getpid(),
        "prefix": sys.prefix,
        "distributions": sorted(each.name for each in metadata.distributions()),
    }

@app.get("/child")
def child():
    code = "import flask, os, sys; print(flask.__file__, sys.prefix, os.environ['VIRTUAL_ENV'])"
    own, found = (
        subprocess.check_output([python, "-c", code], text=True).split() for python in (sys.executable, "python")
    )
    return {"own": own, "found": found}
"""

TWO_SERVERS = """
import asyncio, json, logging, os, sys, threading, time

import snakepit

snakepit.Server  # before the threads begin

def serve(venv):
    servers[venv] = snakepit.Server(
        snakepit.Config("site_app:app", venv=venv, port=0, interpreters=2, runtime=sys.argv[1])
    )
    asyncio.run(servers[venv].serve())

def wait_until(condition):
    while not condition():
        time.sleep(0.01)

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    servers = {}
    threads = [threading.Thread(target=serve, args=(venv,)) for venv in sys.argv[2:]]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(servers) == 2 and all(server.address for server in servers.values()))
    print(json.dumps({venv: server.address for venv, server in servers.items()}), flush=True)
    wait_until(lambda: os.path.exists("go"))
    for server in servers.values():
        server.stop()
"""

PINS = {
    "old": ("flask==2.3.3", "werkzeug==2.3.8", "pydantic==2.14.0", "pydantic_core==2.50.0"),
    "new": ("flask==3.1.3", "werkzeug==3.1.9", "pydantic==2.14.4", "pydantic_core==2.50.5"),
}


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Two, with other versions of the same packages."""
    folder = tmp_path_factory.mktemp("venvs")
    return {name: make(folder / name, *packages) for name, packages in PINS.items()}


@pytest.fixture
def site(tmp_path):
    return write(tmp_path, {"site_app.py": APP})


def assert_its_own(answer, folder, name):
    """Check that everything comes from one environment."""
    told = json.loads(answer.body)
    pins = dict(pin.split("==") for pin in PINS[name])
    assert {each: told[each] for each in pins} == pins
    assert told["core"] == pins["pydantic_core"]
    assert (told["price"], told["trouble"]) == (2.5, "float_parsing")
    assert told["prefix"] == str(folder)
    assert all(Path(file).is_relative_to(packages_of(folder)) for file in told["files"])
    assert not {"h11", "snakepit-server", "pytest"} & set(told["distributions"])
    return told


class TwoServers(Server):
    """A program with a server for each environment."""

    def __init__(self, site, environments):
        write(site, {"two.py": TWO_SERVERS})
        super().__init__("two.py", RUNTIME, *map(str, environments.values()), cwd=site, script=True)
        self.asked = ""

    @property
    def port(self):
        return int(json.loads(self.out)[self.asked].rpartition(":")[2])

    def answers(self, folder):
        """What the server with this environment answers, and not always the same worker of it."""
        self.asked = str(folder)
        return [self.get("/") for _ in range(6)]


@HAS_MODULES_OF_ITS_OWN
def test_two_versions_of_the_same_packages_side_by_side_in_one_process(environments, site):
    program = TwoServers(site, environments)
    try:
        program.wait_listening(4)
        processes = set()
        for _ in range(2):
            for name, folder in environments.items():
                processes |= {assert_its_own(each, folder, name)["process"] for each in program.answers(folder)}
        assert program.process.pid in processes if RUNTIME == "interpreter" else len(processes) >= 2
        assert len(processes) == 1 or RUNTIME == "process"
        write(site, {"go": ""})
        assert program.wait_ended() == 0
        assert "Traceback" not in program.err
    finally:
        program.kill()


@HAS_MODULES_OF_ITS_OWN
def test_processes_of_the_app_have_the_environment_too(environments, site):
    folder = environments["old"]
    expected = [str(packages_of(folder) / "flask" / "__init__.py"), str(folder), str(folder)]
    with running("site_app:app", "--venv", str(folder), workers=1, cwd=site) as server:
        assert json.loads(server.get("/child").body) == {"own": expected, "found": expected}


APPS_OF_ONE_SERVER = """
runtime = "{runtime}"

[[apps]]
path = "/old"
app = "site_app:app"
venv = "{old}"
env-file = "old.env"

[[apps]]
path = "/new"
app = "site_app:app"
venv = "{new}"

[apps.env]
SITE = "new, of the table"
"""


@HAS_MODULES_OF_ITS_OWN
def test_two_apps_of_one_server(environments, site):
    told = (
        APP
        + """
@app.get("/chdir")
def chdir():
    try:
        os.chdir("/")
    except RuntimeError as error:
        return {"refused": str(error), "site": os.environ["SITE"]}
    return {"refused": None, "site": os.environ["SITE"]}
"""
    )
    configuration = APPS_OF_ONE_SERVER.format(runtime=RUNTIME, **environments)
    write(site, {"site_app.py": told, "snakepit.toml": configuration, "old.env": "SITE=old, of the file\n"})
    with running(cwd=site, workers=2) as server:
        processes = set()
        for name in ("old", "new") * 3:
            wait_until(lambda name=name: server.get(f"/{name}/").status == 200, "the app is ready")
            processes.add(assert_its_own(server.get(f"/{name}/"), environments[name], name)["process"])
        assert RUNTIME == "process" or processes == {server.pid}
        refused = {name: json.loads(server.get(f"/{name}/chdir").body) for name in environments}
    assert {name: answer["site"] for name, answer in refused.items()} == {
        "old": "old, of the file",
        "new": "new, of the table",
    }
    assert all((answer["refused"] is not None) == (RUNTIME == "interpreter") for answer in refused.values())


# -- what an environment may hold --------------------------------------------------------------------------------------

PLAIN = """
import importlib.metadata, os, sys

def app(environ, start_response):
    start_response("200 OK", [])
    names = environ["QUERY_STRING"].split(",")
    return [" ".join(find(name) for name in names).encode()]

def find(name):
    try:
        return __import__(name).whose
    except ImportError:
        return "missing"
"""


@pytest.fixture
def plain(tmp_path):
    """An app that needs nothing, and its own folder."""
    return write(tmp_path / "app", {"plain_app.py": PLAIN})


PROJECTS = {
    "by_path": {
        "pyproject.toml": """
            [build-system]
            requires = ["setuptools==80.9.0"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "by-path"
            version = "1"
        """,
        "src/by_path/__init__.py": "whose = 'setuptools'",
    },
    "by_finder": {
        "pyproject.toml": """
            [build-system]
            requires = ["setuptools==80.9.0"]
            build-backend = "setuptools.build_meta"
            [project]
            name = "by-finder"
            version = "1"
            [tool.setuptools]
            package-dir = {by_finder = "code"}
            packages = ["by_finder"]
        """,
        "code/__init__.py": "from by_finder.below import whose",
        "code/below.py": "whose = 'setuptools-finder'",
    },
    "by_hook": {
        "pyproject.toml": """
            [build-system]
            requires = ["hatchling==1.27.0"]
            build-backend = "hatchling.build"
            [project]
            name = "by-hook"
            version = "1"
            [tool.hatch.build]
            dev-mode-exact = true
            [tool.hatch.build.targets.wheel]
            packages = ["src/by_hook"]
        """,
        "src/by_hook/__init__.py": "whose = 'hatchling-hook'",
    },
}


@HAS_MODULES_OF_ITS_OWN
def test_editable_installs(plain, tmp_path):
    venv = make(tmp_path / "venv")
    for name, files in PROJECTS.items():
        install(venv, "-e", str(write(tmp_path / name, files)))
    found = sorted(path.name for path in packages_of(venv).glob("*editable*"))
    assert {Path(name).suffix for name in found if "finder" in name or "hook" in name} >= {".py", ".pth"}
    with running("plain_app:app", "--venv", str(venv), cwd=plain) as server:
        answers = {server.get("/?by_path,by_finder,by_hook,h11").text for _ in range(6)}
    assert answers == {"setuptools setuptools-finder hatchling-hook missing"}


@HAS_MODULES_OF_ITS_OWN
@POSIX
def test_a_reload_finds_what_was_installed_meanwhile(plain, tmp_path):
    venv = make(tmp_path / "venv")
    packages = write(packages_of(venv), {"local.py": "whose = 'old'"})
    with running("plain_app:app", "--venv", str(venv), "--reload-exclude", "*", cwd=plain) as server:
        assert server.get("/?local,added").text == "old missing"
        write(packages, {"local.py": "whose = 'newer'", "added.py": "whose = 'added'"})
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert {server.get("/?local,added").text for _ in range(6)} == {"newer added"}


@HAS_MODULES_OF_ITS_OWN
def test_what_stands_in_the_folder_of_the_app_comes_first(plain, tmp_path):
    venv = make(tmp_path / "venv")
    write(packages_of(venv), {"local.py": "whose = 'environment'", "other.py": "whose = 'environment'"})
    write(plain, {"local.py": "whose = 'app'", "snakepit.toml": "app = 'plain_app:app'\nvenv = '../venv'\n"})
    with running(workers=1, cwd=plain) as server:
        assert server.get("/?local,other").text == "app environment"


# -- one that does not fit ---------------------------------------------------------------------------------------------


def refused(plain, *options):
    """Start a server that can't; returns what it says."""
    server = Server("plain_app:app", "--port", "0", *options, cwd=plain)
    try:
        assert server.wait_ended() == 2
        assert "Listening" not in server.err
        return server.err
    finally:
        server.kill()


@HAS_MODULES_OF_ITS_OWN
@POSIX
def test_another_version_of_python(plain, tmp_path):
    other = write(tmp_path / "other", {"pyvenv.cfg": "version = 3.9.7\n", "lib/python3.9/site-packages/x.py": ""})
    told = refused(plain, "--venv", str(other))
    ours = "{}.{}".format(*sys.version_info)
    assert told.startswith(f"Error: venv: {other} is for CPython 3.9, and this is CPython {ours}")


@HAS_MODULES_OF_ITS_OWN
def test_no_environment_and_where_that_was_said(plain):
    write(plain, {"snakepit.toml": "\nvenv = '../nothing'\n"})
    told = refused(plain)
    nothing = plain.parent / "nothing"
    assert told.startswith(f"Error: venv: {nothing} is no folder: looked for {nothing / 'pyvenv.cfg'}; ")
    assert told.endswith("(venv: snakepit.toml:2)\n")


@ONE_RUNTIME
def test_not_with_the_main_interpreter(plain, tmp_path):
    told = refused(plain, "--runtime", "thread", "--venv", str(make(tmp_path / "venv")))
    assert told.startswith("Error: venv can't be used with runtime thread, where the app has the modules of the server")


# -- check -------------------------------------------------------------------------------------------------------------


@ONE_RUNTIME
def test_a_check_imports_the_app_with_its_environment(environments, site):
    env = {**os.environ, "PYTHONPATH": ""}
    options = ("--venv", str(environments["old"]), "--env", "SITE=1", "--extensions", "native", "--json")
    done = run_command("check", "site_app:app", *options, cwd=site, env=env, timeout=120)
    assert done.returncode == 3
    assert re.search(r"pydantic.core 2\.50\.0", done.stdout), done.stdout
    done = run_command("check", "site_app:app", "--venv", str(environments["old"]), cwd=site, env=env, timeout=120)
    assert done.returncode == 0, done.stdout
