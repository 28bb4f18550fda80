"""snakepit.worker.venv, in processes of their own: it changes what an interpreter finds for good."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from waiting import PATIENCE

import snakepit
from snakepit.config.virtual_environment import find

ENTER = """
import json, os, site, sys
from snakepit.system.import_order import without_installed
from snakepit.worker.venv import enter

def enter_it(venv):
    before = list(sys.path)
    sys.path[:] = without_installed(sys.path)
    enter(venv, before)

def tell(**what):
    print(json.dumps(what))

venv = json.loads(sys.argv[1])
"""


@pytest.fixture
def make(tmp_path):
    """Makes an environment with these files among its packages."""

    def make(name="venv", files=(), *options):
        folder = tmp_path / name
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, folder], check=True)
        venv = find(str(folder))
        write(venv["packages"][0], files)
        return venv

    return make


def write(folder, files):
    for path, content in dict(files).items():
        with open(f"{folder}/{path}", "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(content))


def run(python, venv, code):
    """Run code in another Python; returns what it told."""
    done = subprocess.run(
        [python, "-c", ENTER + textwrap.dedent(code), json.dumps(venv)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


def entering(code):
    return f"enter_it(venv)\n{textwrap.dedent(code)}"


def run_there(venv, code):
    """Run code in the environment's own Python; returns what it told."""
    begin = "import json, site, sys\ndef tell(**what):\n    print(json.dumps(what))\n"
    command = [venv["executable"], "-c", begin + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return {**json.loads(done.stdout), "stderr": done.stderr}


def test_what_python_itself_would_say_there(make):
    venv = make()
    code = """
        names = ("prefix", "exec_prefix", "base_prefix", "executable")
        tell(path=sys.path[1:], packages=site.getsitepackages(), **{name: getattr(sys, name) for name in names})
    """
    assert run(sys.executable, venv, entering(code)) == run_there(venv, code)


def test_pth_files(make, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", {"linked.py": ""})
    files = {
        "a.pth": f"{tmp_path / 'elsewhere'}\n{tmp_path / 'missing'}\n",
        "b.pth": "import sys; sys.from_pth = sys.prefix\n",
        "c.pth": "import missing_module\n",
        "d.pth": "import sys; sys.after_the_broken_one = True\n",
    }
    code = """
        enter_it(venv)
        import linked
        tell(path=sys.path[-1], linked=linked.__file__, prefix=sys.from_pth, after=sys.after_the_broken_one)
    """
    told = run(sys.executable, make(files=files), code)
    assert told["path"] == str(tmp_path / "elsewhere")
    assert told["linked"] == str(tmp_path / "elsewhere" / "linked.py")
    assert told["prefix"] == str(tmp_path / "venv")
    assert told["after"]
    assert "missing_module" in told["stderr"]


EDITABLE = """
import sys
from importlib.util import spec_from_file_location

class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return spec_from_file_location(name, {path!r}) if name == "edited" else None

def install():
    sys.meta_path.append(Finder)
    sys.path_hooks.append(hook)

def hook(path):
    raise ImportError
"""


def editable(folder, name):
    """The files of a package whose import hook finds a module elsewhere, as setuptools makes them."""
    path = folder / f"{name}_edited.py"
    path.write_text(f"whose = {name!r}\n", encoding="utf-8")
    return {
        "__editable__.edited.pth": "import __editable___edited_finder; __editable___edited_finder.install()\n",
        "__editable___edited_finder.py": EDITABLE.format(path=str(path)),
    }


def test_import_hooks_are_the_environments_and_not_the_servers(make, tmp_path):
    root = os.path.dirname(snakepit.__path__[0])
    server = make("server", editable(tmp_path, "server") | {"snakepit.pth": f"{root}\n"})
    code = """
        import edited
        before = edited.whose
        del edited, sys.modules["edited"]
        enter_it(venv)
        try:
            import edited
            after = edited.whose
        except ImportError:
            after = None
        hooks = sum("editable" in hook.__module__ for hook in sys.path_hooks)
        tell(before=before, after=after, hooks=hooks)
    """
    told = run(server["executable"], make("app", editable(tmp_path, "app")), code)
    assert (told["before"], told["after"], told["hooks"]) == ("server", "app", 1)
    told = run(server["executable"], make("bare"), code)
    assert (told["before"], told["after"], told["hooks"]) == ("server", None, 0)


def test_the_servers_packages_can_not_be_found_but_snakepit_can(make):
    code = """
        import click, importlib.metadata as metadata
        before = metadata.version("click")
        sys.modules["unrelated"] = type(sys)("unrelated")
        enter_it(venv)
        from snakepit.worker import directory
        found = []
        for name in ("click", "h11"):
            try:
                found.append(__import__(name).__file__)
            except ImportError:
                pass
        tell(before=before, found=found, own=list(metadata.distributions()), kept="unrelated" in sys.modules)
    """
    told = run(sys.executable, make(), code)
    assert (told["found"], told["own"], told["kept"]) == ([], [], True)


def test_metadata_is_the_environments(make):
    venv = make()
    os.mkdir(f"{venv['packages'][0]}/click-0.0.1.dist-info")
    write(venv["packages"][0], {"click-0.0.1.dist-info/METADATA": "Name: click\nVersion: 0.0.1\n"})
    code = """
        import importlib.metadata as metadata
        enter_it(venv)
        tell(version=metadata.version("click"), all=[each.name for each in metadata.distributions()])
    """
    told = run(sys.executable, venv, code)
    assert (told["version"], told["all"]) == ("0.0.1", ["click"])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_is_followed(make, tmp_path):
    make("release-1")
    (tmp_path / "current").symlink_to(tmp_path / "release-1")
    code = """
        enter_it(venv)
        tell(places=[sys.path[-1], sys.prefix, site.PREFIXES[0], sys.executable])
    """
    told = run(sys.executable, find(str(tmp_path / "current")), code)
    assert [os.path.relpath(place, tmp_path).split(os.sep)[0] for place in told["places"]] == ["release-1"] * 4


def test_packages_of_the_system_come_last(make):
    venv = make("venv", {}, "--system-site-packages")
    code = """
        tell(path=sys.path[1:], packages=site.getsitepackages(), user=site.ENABLE_USER_SITE)
    """
    entered = run(sys.executable, venv, entering(code))
    assert entered == run_there(venv, code)
    assert entered["path"][-1] not in venv["packages"]
