"""snakepit.config.app_reference: an object becomes a name that workers can import, or the operator is told why not."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from snakepit.config.app_reference import AppReference, find
from snakepit.errors import ConfigError


def app(scope, receive, send):
    """Stands for an app that a module holds in its globals."""


@pytest.fixture
def as_main(monkeypatch):
    """Puts a module in the place of `__main__`."""

    def put(file=None, spec=None, **names):
        module = ModuleType("__main__")
        module.__spec__ = spec
        if file is not None:
            module.__file__ = str(file)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, "__main__", module)
        return module

    return put


@pytest.mark.parametrize(
    ("text", "module", "attribute"),
    [
        ("main:app", "main", "app"),
        ("package.module:app", "package.module", "app"),
        ("main:site.app", "main", "site.app"),
        ("_m:_a1", "_m", "_a1"),
    ],
)
def test_text(text, module, attribute):
    reference = find(text)
    assert reference == AppReference(module, attribute)
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "main", "main:", ":app", "main:app:more", "a..b:app", "main:app(1)", "main:()", "main :app", "1main:app"],
)
def test_text_that_names_nothing(text):
    with pytest.raises(ConfigError, match="the app must look like module:attribute, as in main:app, not") as caught:
        find(text)
    assert repr(text) in str(caught.value)


def test_a_call():
    with pytest.raises(ConfigError, match=r"^'main:make\(\)' is a call; .*: main:make --factory$"):
        find("main:make()")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("main.py:app", "main:app"),
        ("main.py", "main:app"),
        ("folder/main.py:site", "main:site"),
        ("./main:app", "main:app"),
    ],
)
def test_a_file_is_no_module(text, remedy):
    with pytest.raises(ConfigError) as caught:
        find(text)
    message = str(caught.value)
    assert "is a file" in message
    assert remedy in message
    assert "--app-dir" in message


def test_global_of_a_module():
    assert find(app) == AppReference(__name__, "app")


def test_global_of_the_script(as_main, tmp_path):
    script = tmp_path / "serve.py"
    script.touch()
    mine = object()
    as_main(file=script, site=mine)
    reference = find(mine)
    assert reference == AppReference("__main__", "site", str(script.resolve()))
    assert str(reference) == f"{script.resolve()}:site"


def test_script_is_found_again_from_another_folder(as_main, tmp_path, monkeypatch):
    (tmp_path / "serve.py").touch()
    monkeypatch.chdir(tmp_path)
    mine = object()
    as_main(file="serve.py", site=mine)
    assert find(mine).script == str((tmp_path / "serve.py").resolve())


def test_global_of_a_module_run_with_dash_m(as_main):
    mine = object()
    as_main(spec=ModuleSpec("package.__main__", None), site=mine)
    assert find(mine) == AppReference("package.__main__", "site")


@pytest.mark.parametrize("file", [None, "<stdin>", "/does/not/exist.py"])
def test_app_made_at_a_prompt(as_main, file):
    mine = object()
    as_main(file=file, site=mine)
    with pytest.raises(ConfigError, match="put it in a file"):
        find(mine)


def test_no_main_at_all(monkeypatch):
    monkeypatch.delitem(sys.modules, "__main__")
    assert find(app) == AppReference(__name__, "app")


class SomeApp:
    """Stands for a framework's app."""


def test_app_that_no_module_holds():
    with pytest.raises(ConfigError) as caught:
        find(SomeApp())
    message = str(caught.value)
    assert "the app (a SomeApp) is not a global of any module" in message
    assert "'module:attribute'" in message


def test_function_that_no_module_holds():
    def local(environ, start_response):
        raise NotImplementedError

    with pytest.raises(ConfigError, match=r"the app '.*<locals>\.local' is not a global"):
        find(local)


def test_equal_is_not_the_same():
    class Equal:
        def __eq__(self, other):
            raise AssertionError("an app must not be compared")

        __hash__ = None

    with pytest.raises(ConfigError):
        find(Equal())
