"""Imports the app, and says what is wrong when that can't be done."""

import importlib
import sys
import traceback
from types import ModuleType

from snakepit.errors import AppImportError

SCRIPT_MODULE = "__snakepit_main__"
"""The name under which workers load the script being run: not `__main__`, so that its main block does not run again,
as in multiprocessing's spawn."""

_REFUSED = "does not support loading in subinterpreters"  # CPython, Python/import.c


def configure_logging(path: str | None) -> None:
    """Apply a `--log-config` file (dictConfig, JSON) to this worker's loggers, which are its own."""
    if path is not None:
        import json
        import logging.config

        with open(path, encoding="utf-8") as file:
            logging.config.dictConfig(json.load(file))


def load(module_name: str, attribute: str, script: str | None, factory: bool) -> object:
    """Import the module (or the script, if it is one), and get the app from it.

    Raises AppImportError, whose message names the cause, with the app's own traceback where there is one.
    """
    try:
        module = _load_script(script) if script is not None else importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise AppImportError(
                f"No module named {error.name!r} (looked in {', '.join(sys.path[:2])} and where Python looks); "
                "is the name right, and --app-dir the folder that holds it?"
            ) from None
        raise AppImportError(_import_trouble(module_name, error)) from None
    except BaseException as error:  # an app's import can raise anything, SystemExit included
        raise AppImportError(_import_trouble(module_name, error)) from None
    app: object = module
    for name in attribute.split("."):
        try:
            app = getattr(app, name)
        except AttributeError:
            raise AppImportError(f"Module {module_name!r} has no attribute {attribute!r}{_hint(module)}") from None
    return _call_factory(app, attribute) if factory else app


def _load_script(path: str) -> ModuleType:
    known = sys.modules.get(SCRIPT_MODULE)
    if known is not None:
        return known
    import importlib.util

    spec = importlib.util.spec_from_file_location(SCRIPT_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python script")
    module = importlib.util.module_from_spec(spec)
    # pickles made by the script name its classes after __main__
    sys.modules[SCRIPT_MODULE] = sys.modules["__main__"] = module
    spec.loader.exec_module(module)
    return module


def _call_factory(factory: object, name: str) -> object:
    if not callable(factory):
        raise AppImportError(f"{name!r} is to be called (--factory), but is a {type(factory).__name__}")
    try:
        return factory()
    except BaseException as error:
        raise AppImportError(f"The factory {name!r} failed\n{_own_traceback(error)}") from None


def _import_trouble(module_name: str, error: BaseException) -> str:
    text = f"Module {module_name!r} can't be imported\n{_own_traceback(error)}"
    refused = _refusal(error)
    if refused is not None:
        text += (
            f"\n\n{refused}: it is a C extension that was not built for interpreters with a GIL of their own, and each "
            "worker is one. The traceback above shows who imports it. Use a release of that package that supports "
            "them (PEP 684), a pure Python build of it, or an app that does without."
        )
    return text


def _refusal(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ImportError) and _REFUSED in str(error):
            return next(line.strip() for line in str(error).splitlines() if _REFUSED in line)
        error = error.__cause__ or error.__context__
    return None


def _own_traceback(error: BaseException) -> str:
    """The traceback without the frames of this module and of the import machinery before the app's first."""
    ours = (__file__, importlib.__file__, "<frozen importlib")
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip("\n")


def _hint(module: ModuleType) -> str:
    candidates = [
        name
        for name, value in vars(module).items()
        if name in ("app", "application", "api", "asgi", "wsgi", "create_app", "make_app") and callable(value)
    ]
    return f"; did you mean {' or '.join(map(repr, candidates))}?" if candidates else ""
