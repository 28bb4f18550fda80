"""config.static: routes with static files, from the command line, from files and in code."""

import os
from dataclasses import replace

import pytest

from snakepit.config import file as config_file
from snakepit.config.options import OPTIONS, Config
from snakepit.config.sources import gather
from snakepit.config.static import StaticFiles, as_dict
from snakepit.errors import ConfigError

APP = "main:app"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "public").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def site(folder, **values):
    return StaticFiles(**{"route": "/static", "dir": str(folder / "public")} | values)


def from_file(folder, text, given=None):
    (folder / "snakepit.toml").write_text(text, encoding="utf-8")
    return Config.resolve(APP, given or {}, config_file.wanted())


def test_both_ways_make_the_same(folder):
    by_options = Config(APP, static_path=("public",), static_route=("/static",))
    by_file = from_file(folder, "[[static]]\nroute = '/static'\ndir = 'public'\n")
    keys_of_options = from_file(folder, "static-path = ['public']\nstatic-route = ['/static']\n")
    assert by_options.static == by_file.static == keys_of_options.static == (site(folder),)


def test_in_pyproject(folder):
    text = "[tool.snakepit]\nport = 1\n[[tool.snakepit.static]]\nroute = '/static'\ndir = 'public'\n"
    (folder / "pyproject.toml").write_text(text)
    assert Config.resolve(APP, {}, config_file.wanted()).static == (site(folder),)
    (folder / "pyproject.toml").write_text(text.replace("dir", "dirs"))
    with pytest.raises(ConfigError) as caught:
        config_file.wanted()
    assert [line.split(": ")[0] for line in str(caught.value).split("\n  ")[1:]] == [
        "pyproject.toml:3",
        "pyproject.toml:5",
    ]


def test_one_folder_without_a_route(folder):
    assert Config(APP, static_path=("public",)).static == (site(folder),)


def test_folders_and_routes_are_pairs(folder):
    config = Config(APP, static_path=("public", "other"), static_route=("/a/", "/"))
    assert [(each.route, os.path.basename(each.dir)) for each in config.static] == [("/a", "public"), ("/", "other")]


@pytest.mark.parametrize(
    ("paths", "routes"),
    [(("public", "other"), ()), (("public",), ("/a", "/b")), ((), ("/a",)), (("public",) * 2, ("/a",))],
)
def test_what_is_no_pair(folder, paths, routes):
    with pytest.raises(ConfigError, match=rf"^each static_path needs .*there are {len(paths)} and {len(routes)}$"):
        Config(APP, static_path=paths, static_route=routes)


def test_all_keys(folder):
    text = (
        "[[static]]\nroute = '/'\ndir = 'public'\nhost = 'WWW.Example.com'\nindex = ''\ncache-control = 'no-cache'\n"
        "precompressed = false\nfallback = 'a/index.html'\nsymlinks = true\nlisting = true\n"
        "[[static]]\nroute = '/b'\ndir = '../" + folder.name + "/other'\ncache_control = 'max-age=3'\n"
    )
    first, second = from_file(folder, text).static
    assert as_dict(first) == {
        "route": "/",
        "dir": str(folder / "public"),
        "host": "www.example.com",
        "index": "",
        "cache_control": "no-cache",
        "precompressed": False,
        "fallback": "a/index.html",
        "symlinks": True,
        "listing": True,
    }
    assert (second.route, second.dir, second.cache_control) == ("/b", str(folder / "other"), "max-age=3")
    assert str(second) == f"/b: {folder / 'other'}, cache_control = 'max-age=3'"


def test_the_command_line_replaces_a_route_of_the_file_and_leaves_the_others(folder):
    text = "[[static]]\nroute = '/static'\ndir = 'public'\nlisting = true\n[[static]]\nroute = '/b'\ndir = 'public'\n"
    config = from_file(folder, text, {"static_path": ("other",), "static_route": ("/static",)})
    assert [(each.route, os.path.basename(each.dir), each.listing) for each in config.static] == [
        ("/static", "other", False),
        ("/b", "public", False),
    ]


def test_a_config_that_is_made_of_another_is_the_same(folder):
    config = Config(APP, static_path=("public",), static=(site(folder, route="/b"),))
    assert replace(config, port=1).static == config.static


def test_the_source_is_the_first_table(folder):
    (folder / "snakepit.toml").write_text("port = 1\n\n[[static]]\nroute = '/'\ndir = 'public'\n")
    found = gather(OPTIONS, APP, {}, config_file.wanted())
    assert str(found.sources["static"]) == "snakepit.toml:3"


def test_code_may_give_them_in_place_of_the_file(folder):
    config = from_file(folder, "[[static]]\nroute = '/b'\ndir = 'public'\n", {"static": [site(folder)]})
    assert config.static == (site(folder),)
    with pytest.raises(ConfigError, match=r"^static must be StaticFiles, "):
        Config(APP, static=("public",))


ROOT = "[[static]]\nroute = '/'\n"
WHOLE = ROOT + "dir = 'public'\n"
NO_TABLES = "1: static must be tables: write [[static]], and below it route = ... and dir = ..."
NAME = "must be the name of a file, such as index.html"
MISTAKES = {
    "static = 'public'": NO_TABLES,
    "[static]\nroute = '/'": NO_TABLES,
    "[[static]]\ndir = 'public'": "1: [[static]] needs route = ...",
    ROOT: "1: [[static]] needs dir = ...",
    WHOLE + "listing = 'yes'": '4: static.listing must be true or false, not "yes"; write listing = true',
    WHOLE + "fallbak = 'x'": "4: static.fallbak: there is no such key in [[static]]; did you mean fallback?",
    ROOT + "dir = 'nowhere'": "3: static.dir: the folder {folder}/nowhere does not exist",
    ROOT + "dir = 'file'": "3: static.dir: the folder {folder}/file is not a folder",
    ROOT + "dir = ''": "3: static.dir: dir must be a folder, not empty",
    WHOLE + "host = 'a/b'": "4: static.host: host must be like example.com, *.example.com, {tenant}.example.com, "
    "example.com:8000 or [::1], not 'a/b'",
    WHOLE + "host = '{tenant}.a.test'": "4: static.host: host can't have placeholders here, as '{tenant}.a.test' has: "
    "write *. for any first label",
    WHOLE + "index = '../x'": f"4: static.index: index {NAME}, not '../x'",
    WHOLE
    + "fallback = '../x'": "4: static.fallback: fallback must be a file below dir, such as index.html, not '../x'",
    WHOLE
    + 'cache-control = "a\\nb"': "4: static.cache-control: cache_control must be in ASCII, without line breaks, not "
    "'a\\nb'",
    WHOLE + WHOLE: "4: [[static]]: the route / is there twice",
    "[[statik]]\nroute = '/a/'": "1: [statik]: there is no such table; did you mean static?",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_a_file(folder, text):
    with pytest.raises(ConfigError) as caught:
        from_file(folder, text)
    said = str(caught.value).replace(f"{folder}{os.sep}", "{folder}/")
    assert said == f"snakepit.toml:{MISTAKES[text]}"


def test_all_mistakes_at_once(folder):
    text = "prot = 1\n[[static]]\nroute = 'x'\ndir = 'nowhere'\n[[static]]\ndir = 3\n"
    with pytest.raises(ConfigError) as caught:
        from_file(folder, text)
    first, *mistakes = str(caught.value).splitlines()
    assert first == "5 mistakes:"
    assert [line.split(":")[1] for line in mistakes] == ["1", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    "route", ["", "static", "//x", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/%61", "/a\\b", "/é", "/a b"]
)
def test_what_is_no_route(folder, route):
    with pytest.raises(ConfigError, match=r"^static_route must be a path as it stands in URLs"):
        Config(APP, static_path=("public",), static_route=(route,))


def test_a_folder_that_is_not_there(folder):
    with pytest.raises(ConfigError, match=r"^static_path: the folder nowhere does not exist$"):
        Config(APP, static_path=("nowhere",))


def test_one_route_twice(folder):
    with pytest.raises(ConfigError, match=r"^static: the route /a is there twice$"):
        Config(APP, static_path=("public", "other"), static_route=("/a", "/a/"))
    Config(APP, static=(site(folder), site(folder, host="a.test")))
