"""snakepit.worker.one_process: what shows of an app that makes trouble in one process, or for Snakepit's threads."""

from types import ModuleType

import pytest

from snakepit.worker.one_process import notes


def module(name, **attributes):
    made = ModuleType(name)
    vars(made).update(attributes)
    return {name: made}


GEVENT = module("gevent.monkey", saved={"socket": {"socket": object()}})
EVENTLET = module("eventlet.patcher", already_patched={"os": True})


def test_nothing_is_said_of_most_apps():
    assert notes({"PATH": "/bin", "PROMETHEUS_MULTIPROC_DIR": ""}, {"sys": None, **module("gevent.monkey")}, 8) == []
    assert notes({}, module("gevent.monkey", saved={}), 8) == []
    assert notes({}, module("gevent.monkey", saved=7), 8) == []


def test_prometheus_in_several_workers_of_a_process():
    environ = {"PROMETHEUS_MULTIPROC_DIR": "/metrics"}
    (line,) = notes(environ, {}, 2)
    assert line.startswith("PROMETHEUS_MULTIPROC_DIR is set: ")
    assert "--runtime process" in line
    assert notes(environ, {}, 1) == []


@pytest.mark.parametrize(("modules", "name"), [(GEVENT, "gevent"), (EVENTLET, "eventlet")])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_patched_standard_library(modules, name, workers):
    (line,) = notes({}, modules, workers)
    assert line.startswith(f"{name} has patched the standard library, ")


def test_several():
    assert len(notes({"PROMETHEUS_MULTIPROC_DIR": "/metrics"}, GEVENT | EVENTLET, 2)) == 3
