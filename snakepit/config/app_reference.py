"""References to the app. Each worker imports the app for itself, so an app object must be turned into a name."""

import inspect
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from snakepit.config.placeholders import PLACEHOLDER
from snakepit.errors import ConfigError
from snakepit.system.working_directory import by_name


@dataclass(frozen=True, slots=True)
class AppReference:
    """Where the app is: an attribute of a module, or of the script being run (`script`, its path)."""

    module: str
    attribute: str
    script: str | None = None

    def __str__(self) -> str:
        return f"{self.script or self.module}:{self.attribute}"


def check(text: str) -> None:
    """Raise ConfigError for a text that is no reference, whatever stands in the place of its placeholders."""
    _parse(PLACEHOLDER.sub("x", text))


def find(app: object) -> AppReference:
    """Turn "module:attribute", or an app that some module holds in its globals, into a reference.

    Raises ConfigError if workers could not find the app.
    """
    return _parse(app) if isinstance(app, str) else _search(app)


def _parse(text: str) -> AppReference:
    module, separator, attribute = text.partition(":")
    if module.endswith(".py") or "/" in module or "\\" in module:
        name = Path(module).stem
        raise ConfigError(f"{text!r} is a file; name the module, as in {name}:{attribute or 'app'}, with --app-dir")
    names = module.split(".") + attribute.split(".")
    if attribute.endswith("()") and attribute[:-2].isidentifier():  # as gunicorn has it
        raise ConfigError(
            f"{text!r} is a call; name the function and say that it is to be called: {text[:-2]} --factory"
        )
    if not separator or not all(name.isidentifier() for name in names):
        raise ConfigError(f"the app must look like module:attribute, as in main:app, not {text!r}")
    return AppReference(module, attribute)


def _search(app: object) -> AppReference:
    main = sys.modules.get("__main__")
    if main is not None and (attribute := _global_name(main, app)) is not None:
        return _in_main(main, attribute)
    for name, module in list(sys.modules.items()):
        if name != "__main__" and isinstance(module, ModuleType) and (attribute := _global_name(module, app)):
            return AppReference(name, attribute)
    raise ConfigError(
        f"the app {_describe(app)} is not a global of any module, so workers can't import it: define it at the top "
        "level of a module, or pass 'module:attribute'"
    )


def _in_main(main: ModuleType, attribute: str) -> AppReference:
    if main.__spec__ is not None:  # python -m package.module
        return AppReference(main.__spec__.name, attribute)
    path = getattr(main, "__file__", None)
    if path is None or not Path(path).is_file():
        raise ConfigError(
            "the app was defined at a prompt or on the command line, where workers can't import it from: "
            "put it in a file"
        )
    return AppReference("__main__", attribute, by_name(os.path.abspath(path)))


def _global_name(module: ModuleType, app: object) -> str | None:
    return next((name for name, value in list(vars(module).items()) if value is app), None)


def _describe(app: object) -> str:
    name = getattr(app, "__qualname__", None)
    return repr(name) if inspect.isroutine(app) and name else f"(a {type(app).__name__})"
