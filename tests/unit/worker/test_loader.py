"""snakepit.worker.loader: the app is found, or the message says why not, with the app's own traceback and no other."""

import importlib
import json
import logging
import sys
import textwrap

import pytest

from snakepit.errors import AppImportError
from snakepit.worker import loader
from snakepit.worker.extensions.loader import Extensions, Load
from snakepit.worker.loader import SCRIPT_MODULE, configure_logging, load


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """What a test imports is forgotten, and `__main__` is what it was."""
    before = dict(sys.modules)
    yield
    sys.modules.clear()
    sys.modules.update(before)
    importlib.invalidate_caches()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules into a folder that can be imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return str(path)

    return file


def trouble(module, attribute="app", script=None, factory=False, extensions=None):
    with pytest.raises(AppImportError) as caught:
        load(module, attribute, script, factory, extensions)
    message = str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert loader.__file__ not in message
    assert "importlib" not in message
    return message


# -- found -----------------------------------------------------------------------------------------------------------


def test_app_of_a_module(write):
    write("shop.py", "app = object()")
    assert load("shop", "app", None, False) is sys.modules["shop"].app


def test_app_of_a_module_in_a_package(write):
    write("store/__init__.py", "")
    write("store/web.py", "class site:\n    app = object()")
    assert load("store.web", "site.app", None, False) is sys.modules["store.web"].site.app


def test_factory(write):
    write("shop.py", "def make():\n    return [1]")
    assert load("shop", "make", None, True) == [1]


def test_factory_that_is_a_class(write):
    write("shop.py", "class Site: pass")
    assert type(load("shop", "Site", None, True)).__name__ == "Site"


# -- not found -------------------------------------------------------------------------------------------------------


def test_missing_module(write):
    message = trouble("no_such_module")
    assert "No module named 'no_such_module'" in message
    assert sys.path[0] in message
    assert "--app-dir" in message
    assert "Traceback" not in message


def test_missing_module_in_a_package(write):
    write("store/__init__.py", "")
    message = trouble("store.web")
    assert "No module named 'store.web'" in message
    assert "Traceback" not in message


def test_missing_package(write):
    message = trouble("no_such_package.web")
    assert "No module named 'no_such_package'" in message
    assert "Traceback" not in message


def test_what_the_app_imports_is_missing(write):
    path = write("shop.py", "import no_such_dependency\napp = None")
    message = trouble("shop")
    assert message.startswith("Module 'shop' can't be imported\nTraceback (most recent call last):\n")
    assert f'File "{path}", line 1' in message
    assert message.endswith("ModuleNotFoundError: No module named 'no_such_dependency'")


def test_what_is_imported_at_first_use_is_missing(write):
    write("shop.py", "try:\n    raise ImportError(\"lazy import of 'x' raised an exception during resolution\")\n"
          "except ImportError as error:\n    raise ModuleNotFoundError('no x') from error\n")  # fmt: skip
    *_, last, hint = trouble("shop").split("\n")
    assert (last, hint[:20]) == ("ModuleNotFoundError: no x", "This import was lazy")
    assert "--lazy-imports off" in hint


def test_missing_attribute(write):
    write("shop.py", "x = 1")
    assert trouble("shop", "app") == "Module 'shop' has no attribute 'app'"


def test_missing_attribute_of_a_module_of_the_standard_library(write):
    write("site.py", "def app(): pass")  # hidden by Python's own
    assert trouble("site", "app") == (
        "Module 'site' has no attribute 'app': this is the standard library's; a module of the app needs another name"
    )


def test_missing_attribute_of_an_attribute(write):
    write("shop.py", "site = object()")
    assert trouble("shop", "site.app") == "Module 'shop' has no attribute 'site.app'"


@pytest.mark.parametrize("name", ["app", "application", "api", "create_app"])
def test_missing_attribute_with_a_hint(write, name):
    write("shop.py", f"def {name}(): pass")
    assert trouble("shop", "ap") == f"Module 'shop' has no attribute 'ap'; did you mean {name!r}?"


def test_missing_attribute_with_two_hints(write):
    write("shop.py", "def app(): pass\ndef create_app(): pass\nwsgi = 'not callable'")
    assert trouble("shop", "ap").endswith("; did you mean 'app' or 'create_app'?")


# -- fails -----------------------------------------------------------------------------------------------------------


def test_syntax_error(write):
    path = write("shop.py", "def app(:\n    pass\n")
    message = trouble("shop")
    assert f'File "{path}", line 1' in message
    assert "def app(:" in message
    assert "SyntaxError" in message.splitlines()[-1]


def test_exception(write):
    path = write("shop.py", "def connect():\n    raise RuntimeError('no database')\n\nconnect()\n")
    assert trouble("shop").splitlines() == [
        "Module 'shop' can't be imported",
        "Traceback (most recent call last):",
        f'  File "{path}", line 4, in <module>',
        "    connect()",
        *(["    ~~~~~~~^^"] if sys.version_info >= (3, 13) else []),
        f'  File "{path}", line 2, in connect',
        "    raise RuntimeError('no database')",
        "RuntimeError: no database",
    ]


def test_exception_in_what_the_app_imports(write):
    outer = write("shop.py", "import stock\n")
    inner = write("stock.py", "1 / 0\n")
    message = trouble("shop")
    assert message.index(f'File "{outer}", line 1') < message.index(f'File "{inner}", line 1')
    assert message.count("File ") == 2
    assert message.endswith("ZeroDivisionError: division by zero")


def test_exception_with_a_cause(write):
    write("shop.py", "try:\n    {}['key']\nexcept KeyError as error:\n    raise RuntimeError('no key') from error\n")
    message = trouble("shop")
    assert "KeyError: 'key'" in message
    assert "direct cause" in message
    assert message.endswith("RuntimeError: no key")


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise BaseException('odd')", "BaseException: odd"),
    ],
)
def test_what_is_no_exception(write, code, last):
    path = write("shop.py", code)
    message = trouble("shop")
    assert message.endswith(last)
    assert f'File "{path}", line 1' in message


REFUSAL = "module fast.core does not support loading in subinterpreters"


def refusing(*loads):
    """What an interpreter's loader of extensions knows once these modules have refused."""
    extensions = Extensions("vetted", "")
    extensions.loads += [Load(module, f"/{module}.so", "refused", importers, 0, "") for module, *importers in loads]
    return extensions


def test_extension_that_refuses(write):
    write("shop.py", f"raise ImportError({REFUSAL!r})")
    lines = trouble("shop").splitlines()
    assert lines[0] == (
        "Module 'shop' can't be imported: fast.core, a C extension, refuses to run in several interpreters"
    )
    assert lines[1] == "ways out:"
    assert lines[-1] == f"ImportError: {REFUSAL}"


def test_who_imports_an_extension_that_refuses(write):
    write("shop.py", f"raise ImportError({REFUSAL!r})")
    extensions = refusing(("other", "shop"), ("fast.core", "shop", "fast.api", "fast"), ("third", "shop"))
    assert trouble("shop", extensions=extensions).splitlines()[1] == "imported by: shop → fast"


@pytest.mark.parametrize("ending", ["", " from error", " from None"])
def test_extension_that_refuses_behind_another_error(write, ending):
    write(
        "shop.py",
        f"""
        try:
            raise ImportError({REFUSAL!r})
        except ImportError as error:
            raise RuntimeError('no speed'){ending}
        """,
    )
    message = trouble("shop")
    assert message.endswith("RuntimeError: no speed")
    assert message.startswith("Module 'shop' can't be imported: fast.core, a C extension")


def test_extension_whose_refusal_was_caught_and_forgotten(write):
    write("stock.py", "core = None\n\ndef count():\n    return core.count()\n")
    write("shop.py", "import stock\nstock.count()")
    extensions = refusing(("fast.core", "shop", "stock"), ("sums.core", "shop", "sums"))
    lines = trouble("shop", extensions=extensions).splitlines()
    assert lines[0].startswith("Module 'shop' can't be imported; it may be because fast.core, a C extension")
    assert lines[1] == "imported by: shop → stock"
    assert "object has no attribute 'count'" in lines[-1]


def test_extension_whose_importer_has_nothing_to_do_with_the_error(write):
    write("shop.py", "1 / 0")
    message = trouble("shop", extensions=refusing(("sums.core", "shop", "sums")))
    assert message.startswith("Module 'shop' can't be imported\nTraceback")
    assert "sums" not in message


def test_factory_that_imports_an_extension_that_refuses(write):
    write("shop.py", f"def make():\n    raise ImportError({REFUSAL!r})")
    assert trouble("shop", "make", factory=True).startswith("The factory 'make' failed: fast.core, a C extension")


def test_factory_fails(write):
    path = write("shop.py", "def make():\n    raise ValueError('no settings')\n")
    message = trouble("shop", "make", factory=True)
    assert message.startswith("The factory 'make' failed\nTraceback (most recent call last):\n")
    assert f'File "{path}", line 2, in make' in message
    assert message.count("File ") == 1
    assert message.endswith("ValueError: no settings")


def test_factory_exits(write):
    write("shop.py", "import sys\ndef make():\n    sys.exit('bye')\n")
    assert trouble("shop", "make", factory=True).endswith("SystemExit: bye")


def test_factory_with_arguments(write):
    write("shop.py", "def make(settings): pass")
    assert trouble("shop", "make", factory=True).endswith("missing 1 required positional argument: 'settings'")


def test_factory_that_cannot_be_called(write):
    write("shop.py", "app = 5")
    assert trouble("shop", factory=True) == "'app' is to be called (--factory), but is a int"


# -- the script being run --------------------------------------------------------------------------------------------


def test_script_is_loaded_under_another_name(write):
    path = write(
        "serve.py",
        """
        class App:
            pass

        app = App()
        name = __name__
        if __name__ == "__main__":
            raise AssertionError("the main block must not run again")
        """,
    )
    app = load("__main__", "app", path, False)
    module = sys.modules[SCRIPT_MODULE]
    assert app is module.app
    assert module.name == SCRIPT_MODULE != "__main__"
    assert module.__file__ == path
    assert sys.modules["__main__"] is module, "where pickles look for what the script defines"


def test_script_is_loaded_once(write):
    path = write("serve.py", "app = object()\nmake = dict")
    assert load("__main__", "app", path, False) is load("__main__", "app", path, False)
    assert load("__main__", "make", path, True) == {}


def test_script_fails(write):
    path = write("serve.py", "raise RuntimeError('broken')")
    message = trouble("__main__", script=path)
    assert f'File "{path}", line 1' in message
    assert message.count("File ") == 1
    assert message.endswith("RuntimeError: broken")


def test_script_with_a_syntax_error(write):
    path = write("serve.py", "app = = 1")
    assert f'File "{path}", line 1' in trouble("__main__", script=path)


def test_script_that_is_gone(tmp_path):
    assert "No such file" in trouble("__main__", script=str(tmp_path / "gone.py"))


def test_script_without_the_attribute(write):
    path = write("serve.py", "def application(): pass")
    message = trouble("__main__", script=path)
    assert "has no attribute 'app'" in message
    assert "did you mean 'application'?" in message


# -- logging ---------------------------------------------------------------------------------------------------------


def test_logging_is_left_alone_without_a_file():
    before = logging.getLogger().handlers[:]
    configure_logging(None)
    assert logging.getLogger().handlers == before


def test_logging_by_file(tmp_path):
    path = tmp_path / "logs.json"
    settings = {"version": 1, "disable_existing_loggers": False, "loggers": {"shop.test_loader": {"level": 17}}}
    path.write_text(json.dumps(settings), encoding="utf-8")
    configure_logging(str(path))
    assert logging.getLogger("shop.test_loader").level == 17


# -- exceptions that can't be formatted --------------------------------------------------------------------------------


def test_an_error_that_cannot_be_formatted(write):
    write("textless.py", "class E(Exception):\n    def __getattribute__(self, name): raise SystemExit\nraise E")
    with pytest.raises(AppImportError) as caught:
        load("textless", "app", None, False)
    message = str(caught.value)
    assert message.startswith("Module 'textless' can't be imported\nTraceback (most recent call last):\n")
    assert message.endswith("(it can't be formatted as a whole)")


def test_an_error_that_is_its_own_cause(write):
    write("circular.py", "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a")
    assert trouble("circular").endswith("ValueError: a")


def test_a_long_error_is_shortened(write):
    write("long.py", "raise ValueError('x' * 1_000_000)")
    assert "characters left out]" in trouble("long")
