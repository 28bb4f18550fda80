"""Who may import whom. Folders say where code runs, and this test holds them to it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

import snakepit

ROOT = Path(snakepit.__file__).parent


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
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" in SOURCES}
        todo += ast.iter_child_nodes(node)
    return found


def inside(module, folder):
    return module == folder or module.startswith(f"{folder}.")


def offenders(importers, folder, **how):
    return {
        f"{name} imports {module}" for name in importers for module in imports(name, **how) if inside(module, folder)
    }


def modules_in(folder):
    found = [name for name in SOURCES if inside(name, folder)]
    assert len(found) > 1, f"{folder} has moved; this test must follow"
    return found


INSIDE = "snakepit.check.inside"
ROOT_MODULES = [name for name in SOURCES if name.count(".") == 1 and SOURCES[name].name != "__init__.py"]


def test_server_never_imports_worker():
    assert offenders(modules_in("snakepit.server"), "snakepit.worker") == set()


def test_worker_never_imports_server():
    assert offenders(modules_in("snakepit.worker"), "snakepit.server") == set()


@pytest.mark.parametrize("folder", ["snakepit.server", "snakepit.worker"])
def test_protocol_is_pure(folder):
    assert offenders(modules_in("snakepit.protocol"), folder) == set()


@pytest.mark.parametrize("library", ["asyncio", "socket", "select", "selectors", "threading", "time"])
def test_protocol_does_no_io_and_knows_no_clock(library):
    assert offenders(modules_in("snakepit.protocol"), library) == set()


@pytest.mark.parametrize("folder", ["snakepit.server", "snakepit.worker"])
def test_root_modules_serve_both_sides(folder):
    importers = [name for name in ROOT_MODULES if name != "snakepit.cli.main"]
    assert "snakepit.wire.ends" in importers
    assert offenders(importers, folder) == set()


@pytest.mark.parametrize("folder", ["snakepit.server", "snakepit.worker", "snakepit.protocol"])
def test_what_serves_never_imports_the_check(folder):
    assert offenders(modules_in(folder), "snakepit.check") == set()
    assert offenders([name for name in ROOT_MODULES if name != "snakepit.cli.main"], "snakepit.check") == set()


def test_the_check_imports_the_worker_only_in_what_runs_inside_interpreters():
    assert offenders([INSIDE], "snakepit.worker") != set()
    assert offenders([name for name in modules_in("snakepit.check") if name != INSIDE], "snakepit.worker") == set()
    assert offenders([name for name in modules_in("snakepit.check") if name != INSIDE], INSIDE) == set()


@pytest.mark.parametrize("folder", ["snakepit.server", "snakepit.worker", "snakepit.protocol", "snakepit.check"])
def test_the_commands_for_a_running_server_import_none_of_it(folder):
    assert offenders(modules_in("snakepit.control"), folder) == set()


def test_only_the_control_socket_imports_how_it_is_found():
    importers = [name for name in SOURCES if not inside(name, "snakepit.control")]
    found = {name for name in importers for module in imports(name) if inside(module, "snakepit.control")}
    assert found == {"snakepit.cli.main", "snakepit.server.operate.control_socket"}


def test_a_command_starts_quickly():
    code = "import sys, snakepit.control.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    loaded = done.stdout.split()
    assert "snakepit.control.commands" in loaded, done.stderr
    assert {"asyncio", "logging", "h11", "snakepit.config.options"} & set(loaded) == set()


def test_the_check_needs_of_the_server_only_the_folder_for_copies():
    found = {module for name in modules_in("snakepit.check") for module in imports(name)}
    assert {module for module in found if inside(module, "snakepit.server")} == {"snakepit.c_extensions.copies"}


@pytest.mark.parametrize("folder", ["snakepit.server", "snakepit.worker", "snakepit.protocol", "snakepit.check"])
def test_the_supervisor_and_the_others_know_nothing_of_each_other(folder):
    assert offenders(modules_in("snakepit.supervisor"), folder) == set()
    assert offenders(modules_in(folder), "snakepit.supervisor") == set()


def test_the_package_imports_the_server_only_for_types():
    # when one of its names is asked for, it imports the module of that name, in this order
    assert offenders(["snakepit"], "snakepit", for_types=False) == {"snakepit imports snakepit.system.import_order"}


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
    "snakepit.protocol",
    "snakepit.config.options",
)


@pytest.mark.parametrize("start", ["snakepit.worker.bootstrap", INSIDE])
def test_a_worker_never_imports_what_the_main_interpreter_needs(start):
    found = reachable(start)
    assert "snakepit.wire.ends" in found
    assert [name for name in sorted(found) if any(inside(name, heavy) for heavy in HEAVY)] == []


def test_a_worker_really_loads_none_of_it():
    code = "import sys, snakepit.worker.bootstrap; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "snakepit.worker.bootstrap" in loaded
    assert [name for name in loaded if any(inside(name, heavy) for heavy in HEAVY)] == []


@pytest.mark.parametrize("library", ["asyncio", "logging", "json", "ssl", "wsgiref.simple_server"])
def test_a_wsgi_worker_does_not_pay_for_what_only_others_need(library):
    """Each interpreter has its own copy of everything that it imports."""
    code = "import sys, snakepit.worker.bootstrap, snakepit.worker.wsgi.seats; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "snakepit.worker.wsgi.seats" in loaded
    assert library not in loaded


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "snakepit.wire.interpreters"])
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


CARRIERS = ("snakepit.wire.carriers", "snakepit.wire.async_carriers")


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in (*CARRIERS, "snakepit.wire.interpreters")])
def test_only_the_carriers_touch_queues(name):
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
