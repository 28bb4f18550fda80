"""Finds the apps in a folder by reading the code, for `snakepit init`. Nothing is imported or run."""

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LARGEST = 1 << 20
"""Bytes of a file that is read; nobody writes a longer one with an app in it."""

_FRAMEWORKS = {"FastAPI", "Flask", "Starlette", "Quart", "Litestar", "Bottle", "APIFlask"} | {
    "get_asgi_application",
    "get_wsgi_application",
}
"""Classes and functions whose result is an app."""

_APPS = ("app", "application", "api", "asgi", "wsgi")
"""Names that apps usually have."""

_FACTORIES = ("create_app", "make_app", "build_app", "get_app", "create_application", "get_application")

_FILES = ("main", "app", "asgi", "wsgi", "application", "server", "api", "web", "__init__")
"""Modules that usually contain the app, the most usual first."""

_SKIPPED = {"node_modules", "site-packages", "venv", "env", "build", "dist", "tests", "test", "docs", "migrations"}


@dataclass(frozen=True, slots=True)
class FoundApp:
    """An app, or a function that makes one."""

    reference: str
    factory: bool = False
    app_dir: str = ""
    """The folder to import it from, below the one that was searched; empty: that one."""


@dataclass(frozen=True, slots=True)
class _Module:
    path: str
    name: str
    app_dir: str


def find(folder: str) -> list[FoundApp]:
    """Return the apps in a folder, its packages and those below src/: the likeliest first, each once."""
    django = _of_django(folder)
    ranked: list[tuple[int, FoundApp]] = []
    for module in _modules(folder):
        tree = _parsed(module.path)
        for rank, attribute in _in_code(tree.body if tree is not None else (), module):
            factory = rank == _FACTORY
            ranked.append((rank, FoundApp(f"{module.name}:{attribute}", factory, module.app_dir)))
    ranked.sort(key=lambda each: each[0])  # the sort is stable: between equals, the order of the modules
    return list(dict.fromkeys([*django, *(found for _, found in ranked)]))


_INSTANCE, _OTHER_NAME, _FACTORY, _BY_NAME = range(4)
"""Ranks: a framework's app with a usual name; with another one; a factory; and what only has a usual name."""


def _in_code(statements: Sequence[ast.stmt], module: _Module) -> Iterator[tuple[int, str]]:
    usual = module.name.rpartition(".")[2] in _FILES or os.path.basename(module.path) == "__init__.py"
    for node in _top_level(statements):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                if _makes_an_app(value):
                    yield (_INSTANCE if name in _APPS else _OTHER_NAME), name
                elif usual and name in _APPS[:2]:
                    yield _BY_NAME, name
            case ast.FunctionDef(name=name) if name in _FACTORIES and _can_be_called(node):
                yield _FACTORY, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if usual and name in _APPS[:2]:
                    yield _BY_NAME, name
            case ast.ImportFrom(names=names) if usual:
                yield from ((_BY_NAME, bound) for alias in names if (bound := alias.asname or alias.name) in _APPS[:2])


def _top_level(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, also those in `if` and `try`."""
    for node in statements:
        yield node
        if (isinstance(node, ast.If) and "__name__" not in ast.dump(node.test)) or isinstance(node, ast.Try):
            yield from _top_level([*node.body, *node.orelse])


def _makes_an_app(value: ast.expr) -> bool:
    """Tell whether an expression calls a framework's class: `Flask(__name__)` or `flask.Flask(__name__)`."""
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    return name in _FRAMEWORKS


def _can_be_called(function: ast.FunctionDef) -> bool:
    """Tell whether a function needs no arguments."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional == len(arguments.defaults) and None not in arguments.kw_defaults


def _of_django(folder: str) -> list[FoundApp]:
    """Return the app of the project that manage.py belongs to: over WSGI, unless the settings name an ASGI app."""
    tree = _parsed(os.path.join(folder, "manage.py"))
    if tree is None:
        return []
    settings = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and [each.value for each in node.args if isinstance(each, ast.Constant)][:1] == [
            "DJANGO_SETTINGS_MODULE"
        ]:
            settings = next((str(each.value) for each in node.args[1:] if isinstance(each, ast.Constant)), "")
    project = _project(folder, settings)
    if not project:
        return []
    kinds = ("asgi", "wsgi") if _names_asgi(os.path.join(folder, *settings.split("."))) else ("wsgi", "asgi")
    return [
        FoundApp(f"{project}.{kind}:application")
        for kind in kinds
        if os.path.isfile(os.path.join(folder, *project.split("."), f"{kind}.py"))
    ][:1]


def _project(folder: str, settings: str) -> str:
    """Return the package of a project: the nearest above its settings that has wsgi.py or asgi.py."""
    package = settings.rpartition(".")[0]
    while package:
        path = os.path.join(folder, *package.split("."))
        if any(os.path.isfile(os.path.join(path, name)) for name in ("wsgi.py", "asgi.py")):
            return package
        package = package.rpartition(".")[0]
    return ""


def _names_asgi(settings: str) -> bool:
    """Tell whether Django's settings, without their ending, set ASGI_APPLICATION."""
    for path in (f"{settings}.py", os.path.join(settings, "__init__.py"), os.path.join(settings, "..", "base.py")):
        tree = _parsed(path)
        for node in tree.body if tree is not None else ():
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "ASGI_APPLICATION" for target in node.targets
            ):
                return True
    return False


def _modules(folder: str) -> Iterator[_Module]:
    """Yield the modules in a folder and its packages, and then the same of src/."""
    yield from _modules_of(folder, "")
    source = os.path.join(folder, "src")
    if os.path.isdir(source) and not os.path.isfile(os.path.join(source, "__init__.py")):
        yield from _modules_of(source, "src")


def _modules_of(folder: str, app_dir: str) -> Iterator[_Module]:
    files, folders = _listed(folder)
    yield from (_Module(os.path.join(folder, f"{name}.py"), name, app_dir) for name in files if name != "__init__")
    for package in folders:
        if package in ("src", *_SKIPPED) or os.path.isfile(os.path.join(folder, package, "pyvenv.cfg")):
            continue
        for name in _listed(os.path.join(folder, package))[0]:
            module = package if name == "__init__" else f"{package}.{name}"
            yield _Module(os.path.join(folder, package, f"{name}.py"), module, app_dir)


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the modules in a folder, the most usual first, and of the folders that may be packages."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return [], []
    files = [entry.name[:-3] for entry in entries if entry.name.endswith(".py") and entry.is_file()]
    folders = [entry.name for entry in entries if entry.name.isidentifier() and entry.is_dir()]
    named = [name for name in files if name.isidentifier() and not name.startswith("test")]
    named.sort(key=lambda name: _FILES.index(name) if name in _FILES else len(_FILES))
    return named, folders


def _parsed(path: str) -> ast.Module | None:
    """Parse a file; None if there is none, or if it can't be read or parsed."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(LARGEST))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
