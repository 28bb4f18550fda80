"""Imports the app, and explains why it can't be imported."""

import importlib
import os
import sys
import traceback
from types import ModuleType

from snakepit.errors import AppImportError, fault, shortened
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.worker.extensions.loader import REFUSED, Extensions, Load

SCRIPT_MODULE = "__snakepit_main__"
"""The name under which workers load the script being run: not `__main__`, so that its main block does not run again,
as in multiprocessing's spawn."""


def configure_logging(path: str | None, extensions: Extensions | None = None) -> None:
    """Apply a `--log-config` file (dictConfig, JSON) to this worker's loggers, which are its own.

    It may name classes of the app. Raises AppImportError.
    """
    if path is None:
        return
    try:
        with StandardLibraryFirst():
            import json
            import logging.config
        with open(path, encoding="utf-8") as file:
            logging.config.dictConfig(json.load(file))
    except BaseException as error:  # a class of the app can raise anything
        raise AppImportError(_trouble(f"Log config {path!r} can't be used", error, extensions)) from None


def load(
    module_name: str, attribute: str, script: str | None, factory: bool, extensions: Extensions | None = None
) -> object:
    """Import the module (or the script, if it is one), and get the app from it.

    `extensions` is the loader of C extensions in this interpreter, if there is one; it knows which ones refused.

    Raises AppImportError, whose message names the cause, with the app's own traceback if there is one.
    """
    try:
        module = _load_script(script) if script is not None else importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise AppImportError(
                f"No module named {error.name!r} (looked in {', '.join(sys.path[:2])} and where Python looks); "
                "is the name right, and --app-dir the folder that holds it?"
            ) from None
        raise AppImportError(_trouble(f"Module {module_name!r} can't be imported", error, extensions)) from None
    except BaseException as error:  # an app's import can raise anything, including SystemExit
        raise AppImportError(_trouble(f"Module {module_name!r} can't be imported", error, extensions)) from None
    app: object = module
    for name in attribute.split("."):
        try:
            app = getattr(app, name)
        except AttributeError:
            raise AppImportError(f"Module {module_name!r} has no attribute {attribute!r}{_hint(module)}") from None
    return _call_factory(app, attribute, extensions) if factory else app


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


def _call_factory(factory: object, name: str, extensions: Extensions | None) -> object:
    if not callable(factory):
        raise AppImportError(f"{name!r} is to be called (--factory), but is a {type(factory).__name__}")
    try:
        return factory()
    except BaseException as error:
        raise AppImportError(_trouble(f"The factory {name!r} failed", error, extensions)) from None


def _trouble(headline: str, error: BaseException, extensions: Extensions | None) -> str:
    """Describe an error, with the app's own traceback, and with the C extension that caused it, if any."""
    try:
        own = shortened(_own_traceback(error))
        culprit, certain = _culprit(error, extensions.refused if extensions is not None else [])
    except BaseException:  # an exception whose own methods raise
        return f"{headline}\n{fault(error)}"
    if culprit is None:
        return f"{headline}\n{own}{_hint_at_lazy_imports(error)}"
    with StandardLibraryFirst():
        from snakepit.c_extensions.refusal import explain

    policy = extensions.policy if extensions is not None else "vetted"
    because = ":" if certain else "; it may be because"
    return f"{headline}{because} {explain(culprit.module, culprit.file, culprit.importers, policy)}\n{own}"


def _culprit(error: BaseException, refused: list[Load]) -> tuple[Load | None, bool]:
    """Return the module whose refusal led to an error, and whether that is certain.

    It is certain if the refusal is the error, or its cause. Some packages catch it and fail later for another reason:
    so the modules in the error's traceback are compared with those that did the import.
    """
    packages, seen = set(), set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # an error may be its own cause
        seen.add(id(link))
        if isinstance(link, ImportError) and REFUSED in str(link):
            name = str(link).partition(REFUSED)[0].split()[-1]
            unknown = Load(name, link.path or "", "refused", (), 0, "")
            return next((load for load in refused if load.module == name), unknown), True
        for frame, _ in traceback.walk_tb(link.__traceback__):
            packages.add(_package(str(frame.f_globals.get("__name__"))))
        link = link.__cause__ or link.__context__
    for load in reversed(refused):
        if load.importers and _package(load.importers[-1]) in packages:
            return load, False
    return None, False


def _hint_at_lazy_imports(error: BaseException) -> str:
    """Return a hint if a lazy import failed, which Python says in the cause of the error; else an empty string."""
    seen = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # an error may be its own cause
        seen.add(id(link))
        if isinstance(link, ImportError) and str(link).startswith("lazy import of "):
            return "\nThis import was lazy, so it was done at first use; --lazy-imports off does all imports at once."
        link = link.__cause__ or link.__context__
    return ""


def _package(module: str) -> str:
    return module.partition(".")[0]


def _own_traceback(error: BaseException) -> str:
    """Return the traceback without Snakepit's frames, and without the import machinery's frames around them."""
    ours = (os.path.join(os.path.dirname(os.path.dirname(__file__)), ""), "<frozen importlib")
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith((*ours, importlib.__file__)):
        frames = frames.tb_next
    shown = traceback.TracebackException(type(error), error, frames, compact=True)
    todo = [shown]
    while todo:
        link = todo.pop()
        link.stack[:] = [frame for frame in link.stack if not frame.filename.startswith(ours)]
        todo += [other for other in (link.__cause__, link.__context__) if other is not None]
        todo += link.exceptions or ()
    return "".join(shown.format()).rstrip("\n")


def _hint(module: ModuleType) -> str:
    candidates = [
        name
        for name, value in vars(module).items()
        if name in ("app", "application", "api", "asgi", "wsgi", "create_app", "make_app") and callable(value)
    ]
    if candidates:
        return f"; did you mean {' or '.join(map(repr, candidates))}?"
    if module.__name__ in sys.stdlib_module_names:
        return ": this is the standard library's; a module of the app needs another name"
    return ""
