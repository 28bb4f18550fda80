"""Which folder may import which. Folders say where code runs and what it is for, and this test checks that."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

import snakepit

ROOT = Path(snakepit.__file__).parent

ERRORS = "errors"
LAWS = {
    "": {"config.options", "server", "system"},  # `snakepit` itself, which imports them when they are asked for
    "__main__": {"cli", "supervisor", "system"},
    "errors": set(),
    "logs": {ERRORS, "config", "system.log_output"},
    "system": set(),
    "http": {ERRORS},
    "stacks": {"system"},
    "tls": {ERRORS, "http.types"},
    "wire": {ERRORS, "http.fields", "http.types"},
    "c_extensions": {"system"},
    "acme": {ERRORS, "system"},
    "config": {ERRORS, "acme.names", "http.fields", "lazy_imports.tried", "system"},
    "cli": {
        ERRORS,
        "acme.stored",
        "check.command",
        "config",
        "control",
        "server.run",
        "supervisor.first_look",
        "supervisor.supervisor",
        "system",
    },
    "lazy_imports": {"system"},
    "check": {ERRORS, "c_extensions", "config", "lazy_imports.tried", "system", "wire", "worker"},
    "control": {ERRORS, "stacks.text", "system"},
    "supervisor": {"config.place", "system"},
    "worker": {
        ERRORS,
        "c_extensions",
        "http.accept",
        "http.fields",
        "http.target",
        "http.types",
        "http.ws.close_codes",
        "lazy_imports.hook",
        "stacks",
        "system",
        "wire",
    },
    "server/event_loop": {ERRORS},
    "server/lifecycle": {ERRORS},
    "server/events": {"system"},
    "server/exchanges": {ERRORS, "http", "server.lifecycle", "system.buckets", "wire"},
    "server/workers": {
        ERRORS,
        "server.event_loop",
        "server.exchanges",
        "server.lifecycle",
        "stacks.stack",
        "system",
        "wire",
    },
    "server/dispatch": {
        "http.events",
        "server.event_loop",
        "server.exchanges",
        "server.lifecycle",
        "server.workers",
        "system",
    },
    "server/net": {
        ERRORS,
        "config",
        "http",
        "logs",
        "server.event_loop",
        "server.exchanges",
        "server.lifecycle",
        "server.privileges",
        "server.routing",
        "system",
        "tls",
    },
    "server/privileges": {ERRORS},
    "server/automatic_https": {
        ERRORS,
        "acme",
        "config",
        "server.event_loop.threads",
        "server.events",
        "tls",
    },
    "server/entrance": {
        ERRORS,
        "config",
        "server.automatic_https",
        "server.events",
        "server.net",
        "server.privileges",
        "server.responders",
        "server.routing",
        "system",
        "tls",
    },
    "server/responders": {
        ERRORS,
        "config.static",
        "http",
        "server.event_loop",
        "server.exchanges",
        "server.lifecycle",
        "wire",
    },
    "server/routing": {"config", "http", "server.exchanges", "server.responders"},
    "server/pool": {
        ERRORS,
        "server.dispatch",
        "server.event_loop",
        "server.events",
        "server.exchanges",
        "server.lifecycle",
        "server.responders.failure_page",
        "server.responders.unavailable",
        "server.workers",
        "system",
        "wire",
    },
    "server/apps": {
        ERRORS,
        "config",
        "lazy_imports.tried",
        "server.event_loop",
        "server.events",
        "server.exchanges",
        "server.pool",
        "server.responders",
        "server.routing",
        "system",
        "wire",
    },
    "server/monitor": {
        ERRORS,
        "config",
        "server.apps",
        "server.exchanges",
        "server.lifecycle",
        "server.net",
        "server.responders",
        "server.routing",
        "server.workers",
        "system",
        "tls",
        "wire",
    },
    "server/dashboard": {
        ERRORS,
        "config",
        "http",
        "server.apps",
        "server.event_loop",
        "server.events",
        "server.exchanges",
        "server.inspection.load",
        "server.lifecycle",
        "server.monitor",
        "server.net",
        "server.operate",
        "server.responders",
        "server.workers",
        "stacks.stack",
        "stacks.text",
        "system",
    },
    "server/inspection": {
        ERRORS,
        "server.apps",
        "server.exchanges",
        "server.lifecycle",
        "server.operate.control_socket",
        "server.workers",
        "stacks",
        "system",
    },
    "server/operate": {
        ERRORS,
        "c_extensions",
        "config",
        "control",
        "server.apps",
        "server.event_loop",
        "server.events",
        "server.exchanges",
        "server.lifecycle",
        "server.net",
        "server.pool",
        "server.workers",
        "supervisor.link",
        "system",
    },
    "server/setup": {ERRORS, "config", "server.apps", "server.operate", "server.pool", "system"},
    "server/serving": {ERRORS, "c_extensions", "config", "http", "server", "system", "wire"},
    "server/server": {ERRORS, "config", "server", "system"},
    "server/run": {ERRORS, "config", "http", "logs", "server", "system"},
}
"""What each folder, or file beside folders, may import beside itself. An arrow that is missing here is missing for a
reason: below stands what knows nothing of what is above, and what runs in one interpreter knows nothing of what runs in
another. `worker` never imports `server` nor the other way round: they agree on `wire`."""


def module_name(path):
    parts = ["snakepit", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(name, *, for_types=True):
    """The modules that a module names in its import statements, wherever they stand."""
    found = set()
    todo = [TREES[name]]
    while todo:
        node = todo.pop()
        if not for_types and is_for_types_only(node):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively, which this test does not follow"
            modules = {f"{node.module}.{alias.name}" for alias in node.names} & set(SOURCES)
            found |= modules
            if len(modules) < len(node.names):
                found.add(node.module)
        todo += ast.iter_child_nodes(node)
    return found


def inside(module, folder):
    return module == folder or module.startswith(f"{folder}.")


def modules_in(folder):
    found = [name for name in SOURCES if inside(name, folder)]
    assert len(found) > 1, f"{folder} has moved; this test must follow"
    return found


def room(name):
    """The folder or the file that a law is about."""
    path = SOURCES[name].relative_to(ROOT)
    folder, *rest = path.with_suffix("").parts
    if folder == "server" and rest[0] != "__init__":
        return f"server/{rest[0]}"
    return "" if folder == "__init__" else folder


def is_own(module, law):
    return inside(module, f"snakepit.{law.replace('/', '.')}") if law else False


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "snakepit.server"])
def test_a_module_imports_what_its_folder_may(name):
    law = room(name)
    allowed = [f"snakepit.{folder}" for folder in LAWS[law]]
    ours = {module for module in imports(name) if module in SOURCES and not is_own(module, law)}
    assert {module for module in ours if not any(inside(module, folder) for folder in allowed)} == set()


def test_each_law_is_about_something_and_needed():
    assert set(LAWS) == {room(name) for name in SOURCES if name != "snakepit.server"}
    for law, allowed in LAWS.items():
        used = {
            module for name in SOURCES if room(name) == law and name != "snakepit.server" for module in imports(name)
        }
        assert {
            folder for folder in allowed if not any(inside(name, f"snakepit.{folder}") for name in used)
        } == set(), law


def test_there_are_no_circles():
    """Not even by imports for types only."""
    arrows = {name: {module for module in imports(name) if module in SOURCES} for name in SOURCES}
    while free := [name for name, targets in arrows.items() if not targets & set(arrows)]:
        for name in free:
            del arrows[name]
    assert {name: targets & set(arrows) for name, targets in arrows.items()} == {}


def test_the_root_holds_only_what_belongs_to_all():
    files = {path.name for path in ROOT.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "errors.py", "logs.py", "py.typed"}


@pytest.mark.parametrize("library", ["asyncio", "socket", "select", "selectors", "threading", "time"])
def test_http_does_no_io_and_knows_no_clock(library):
    assert [name for name in modules_in("snakepit.http") if library in imports(name)] == []


INSIDE = "snakepit.check.inside"


def test_the_check_imports_the_worker_only_in_what_runs_inside_interpreters():
    others = [name for name in modules_in("snakepit.check") if name != INSIDE]
    assert any(inside(module, "snakepit.worker") for module in imports(INSIDE))
    assert [name for name in others for module in imports(name) if inside(module, "snakepit.worker")] == []
    assert [name for name in others if INSIDE in imports(name)] == []


def test_only_the_control_socket_imports_how_it_is_found():
    importers = [name for name in SOURCES if not inside(name, "snakepit.control")]
    found = {name for name in importers for module in imports(name) if inside(module, "snakepit.control")}
    assert found == {"snakepit.cli.main", "snakepit.server.operate.control_socket"}


def loaded_by(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_command_starts_quickly():
    loaded = loaded_by("import sys, snakepit.control.commands; print(*sys.modules)")
    assert "snakepit.control.commands" in loaded
    assert {"asyncio", "logging", "h11", "snakepit.config.options"} & set(loaded) == set()


def test_the_package_imports_the_server_only_for_types():
    # when one of its names is asked for, it imports the module of that name, in this order
    found = {module for module in imports("snakepit", for_types=False) if module in SOURCES}
    assert found == {"snakepit.system.import_order"}


def reachable(start):
    """Every module that comes with another: what it imports, what that imports, and the packages they are in."""
    found, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        if name in SOURCES:
            todo += imports(name, for_types=False)
            todo += [name.rpartition(".")[0]] if "." in name else []
    return found


HEAVY = (
    "h11",
    "httptools",
    "wsproto",
    "click",
    "dotenv",
    "snakepit.server",
    "snakepit.http.h1",
    "snakepit.http.ws.frames",
    "snakepit.config",
)


@pytest.mark.parametrize("start", ["snakepit.worker.bootstrap", INSIDE])
def test_a_worker_never_imports_what_the_main_interpreter_needs(start):
    found = reachable(start)
    assert "snakepit.wire.ends" in found
    assert [name for name in sorted(found) if any(inside(name, heavy) for heavy in HEAVY)] == []


def test_a_worker_really_loads_none_of_it():
    loaded = loaded_by("import sys, snakepit.worker.bootstrap; print(*sys.modules)")
    assert "snakepit.worker.bootstrap" in loaded
    assert [name for name in loaded if any(inside(name, heavy) for heavy in HEAVY)] == []


@pytest.mark.parametrize("library", ["asyncio", "logging", "json", "ssl", "wsgiref.simple_server"])
def test_a_wsgi_worker_does_not_pay_for_what_only_others_need(library):
    """Each interpreter has its own copy of everything that it imports."""
    loaded = loaded_by("import sys, snakepit.worker.bootstrap, snakepit.worker.wsgi.seats; print(*sys.modules)")
    assert "snakepit.worker.wsgi.seats" in loaded
    assert library not in loaded


INTERPRETERS = "snakepit.wire.interpreters"


@pytest.mark.parametrize("name", [name for name in SOURCES if name != INTERPRETERS])
def test_only_one_module_knows_where_interpreters_are(name):
    known = ("concurrent", "interpreters_backport", "_interpreters", "_interpqueues", "test.support.interpreters")
    found = {module for module in imports(name) if any(inside(module, api) for api in known)}
    assert {module for module in found if not inside(module, "concurrent.futures")} == set()


QUEUE_METHODS = {"put_nowait", "get_nowait", "qsize", "create_queue", "queue_by_id"}


def queue_uses(name):
    nodes = list(ast.walk(TREES[name]))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return used & QUEUE_METHODS


CARRIERS = ("snakepit.wire.queues", "snakepit.wire.loop_queues")


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in (*CARRIERS, INTERPRETERS)])
def test_only_the_carriers_within_a_process_touch_queues(name):
    assert queue_uses(name) == set()


def test_the_carriers_do_touch_queues():
    assert queue_uses(CARRIERS[0]) | queue_uses(CARRIERS[1]) == QUEUE_METHODS


@pytest.mark.parametrize("name", CARRIERS)
def test_the_carriers_never_block_in_a_queue(name):
    # get() and put() of a cross-interpreter queue sleep for 10 ms whenever they find nothing
    called = {
        node.func.attr
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"get", "put"}
