"""snakepit.server.operate.reloader: which files concern it, and what it can't watch."""

import asyncio
import os
import sys
from dataclasses import replace

import pytest
from waiting import PATIENCE

from snakepit.config.options import Config
from snakepit.config.route import Route
from snakepit.errors import ConfigError
from snakepit.server.operate.reloader import Reloader


def reloader(folder, **options):
    return of(Config("main:app", reload=True, reload_dir=(str(folder),), **options))


def of(config):
    return Reloader(config, config.routed)


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("main.py", True),
        ("package/deep/module.py", True),
        ("main.pyc", False),
        ("main.txt", False),
        (".#main.py", False),
        (".git/hook.py", False),
        ("package/.hidden/module.py", False),
        ("__pycache__/main.py", False),
        ("package/__pycache__/main.py", False),
        ("node_modules/tool.py", False),
        ("venv/lib/module.py", False),
        ("made/lib/module.py", False),  # has pyvenv.cfg
        ("environment.py", True),
    ],
)
def test_what_concerns_it_by_default(tmp_path, path, watched):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "pyvenv.cfg").touch()
    assert reloader(tmp_path).concerns(tmp_path, path.split("/")) is watched


def test_that_the_watched_folder_is_hidden_does_not_matter(tmp_path):
    hidden = tmp_path / ".hidden" / "venv"
    hidden.mkdir(parents=True)
    assert reloader(hidden)._concerns(None, str(hidden.resolve() / "main.py"))
    assert not reloader(hidden)._concerns(None, str(tmp_path / "main.py")), "it is not below"


@pytest.mark.parametrize(
    ("path", "watched"),
    [("a.html", True), ("a.py", False), ("made_a.html", False), ("made_by/a.html", False), ("by/made_/a.html", False)],
)
def test_what_is_to_be_watched(tmp_path, path, watched):
    made = reloader(tmp_path, reload_include=("*.html", "*.css"), reload_exclude=("made_*",))
    assert made.concerns(tmp_path, path.split("/")) is watched


@pytest.mark.parametrize(
    ("path", "watched"),
    [(".env", True), (".env.local", True), ("sub/.env", True), (".vimrc", False), ("a.py", True), (".#a.py", False)],
)
def test_hidden_files_that_are_asked_for(tmp_path, path, watched):
    made = reloader(tmp_path, reload_include=("*", ".env*"))
    assert made.concerns(tmp_path, path.split("/")) is watched


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(None, 50), (0.25, 250), (0, 10), (2, 2000)],
)
def test_delay(tmp_path, seconds, step):
    async def awatch(*folders, debounce, step, **others):
        watched.append((debounce, step))
        return
        yield

    async def changes():
        async for _ in made.changes():
            pass

    watched = []
    made = reloader(tmp_path, **({} if seconds is None else {"reload_delay": seconds}))
    made._awatch = awatch
    asyncio.run(changes())
    assert watched == [(20 * step, step)]


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    assert of(Config("m:a", reload=True)).folders == [tmp_path.resolve()]
    assert of(Config("m:a", reload=True, app_dir="app")).folders == [tmp_path.resolve() / "app"]
    assert of(Config("m:a", reload=True, reload_dir=("app", "."))).folders == [
        tmp_path.resolve() / "app",
        tmp_path.resolve(),
    ]


def test_each_app_is_concerned_by_its_folder(tmp_path):
    for name in ("a", "a/inner", "b", "tenants"):
        (tmp_path / name).mkdir()
    found = config_of(tmp_path, "a", "a/inner", "b", "tenants/{t}")
    reloader = of(found)
    assert reloader.folders == [tmp_path / "a", tmp_path / "b", tmp_path / "tenants"]
    outer, inner, other, _ = (app.config for app in found.apps)

    def concerned(*names):
        changed = [tmp_path / name for name in names]
        return [reloader.is_concerned(config, changed) for config in (outer, inner, other)]

    assert concerned("a/x.py") == [True, False, False]
    assert concerned("a/inner/x.py") == [True, True, False]
    assert concerned("b/x.py", "a/x.py") == [True, False, True]
    (tmp_path / "common").mkdir()
    reloader = of(config_of(tmp_path, "a", "a/inner", "b", reload_dir=("common", "a/inner")))
    assert concerned("common/x.py") == [True, True, True]
    assert concerned("b/x.py") == [False, False, True]


def config_of(folder, *app_dirs, reload_dir=()):
    """Options of a server with an app in each of these folders, below one."""
    mounts = [f"/{number}=main:app" for number in range(len(app_dirs))]
    common = [str(folder / each) for each in reload_dir]
    found = Config.resolve(None, {"mount": mounts, "reload": True, "reload_dir": common})

    def in_folder(app, name):
        route = Route("", "/{t}") if "{" in name else app.route
        return replace(app, route=route, config=replace(app.config, app_dir=str(folder / name)))

    routed = [in_folder(app, name) for app, name in zip(found.apps, app_dirs, strict=True)]
    return found.with_apps(routed)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"--reload can't watch .*nowhere: there is no such folder"):
        reloader(tmp_path / "nowhere")


def test_without_watchfiles(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigError, match=r"^--reload needs the package watchfiles: .*; pip install watchfiles$"):
        reloader(tmp_path)


def test_what_has_changed_is_told(tmp_path):
    async def scenario():
        changes = reloader(tmp_path).changes()
        first = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)  # by then it watches
        (tmp_path / "b.txt").touch()
        (tmp_path / "a.py").touch()
        async with asyncio.timeout(PATIENCE):
            assert await first == [tmp_path.resolve() / "a.py"]
        await changes.aclose()

    if os.name == "nt":
        pytest.skip("paths are spelled otherwise there")
    asyncio.run(scenario())
