"""snakepit.worker.notes: what shows of an app that makes trouble for several workers, or for Snakepit's threads."""

from types import ModuleType, SimpleNamespace

import pytest

from snakepit.server.dispatch.queue import SET_UP_LATE
from snakepit.server.dispatch.sessions import BELONGS
from snakepit.worker import notes as module_of_notes


def notes(environ, modules, workers, in_one_process=True):
    return module_of_notes.notes(environ, modules, workers, in_one_process)


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
    assert notes(environ, {}, 2, in_one_process=False) == []


@pytest.mark.parametrize(("modules", "name"), [(GEVENT, "gevent"), (EVENTLET, "eventlet")])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_patched_standard_library(modules, name, workers):
    (line,) = notes({}, modules, workers)
    assert line.startswith(f"{name} has patched the standard library, ")


def test_several():
    assert len(notes({"PROMETHEUS_MULTIPROC_DIR": "/metrics"}, GEVENT | EVENTLET, 2)) == 3


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("nicegui", "nicegui"),
        ("gradio", "gradio"),
        ("socketio.async_server", "socketio"),
        ("mcp.server.streamable_http_manager", "mcp"),
        ("mcp.server.sse", "mcp"),
    ],
)
@pytest.mark.parametrize("in_one_process", [True, False])
def test_state_in_the_memory_of_several_workers(imported, name, in_one_process):
    (line,) = notes({}, module(imported), 2, in_one_process)
    assert line.startswith(f"{name} keeps each ")
    assert "--interpreters 1" in line
    assert notes({}, module(imported), 1, in_one_process) == []
    assert module_of_notes.frameworks(module(imported)) == [name]


def test_frameworks_to_heed():
    assert module_of_notes.frameworks(module("sys") | module("socketio") | module("mcp")) == []
    assert module_of_notes.frameworks(module("dash.dash") | module("nicegui")) == ["dash", "nicegui"]


def test_the_server_knows_how_to_heed_each_framework():
    assert set(module_of_notes.FRAMEWORKS) == {*BELONGS, *SET_UP_LATE}


def channels(**settings):
    return module("channels.layers") | module("django.conf", settings=SimpleNamespace(**settings))


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (channels(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}), True),
        (channels(CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}), False),
        (channels(CHANNEL_LAYERS={}), False),
        (channels(CHANNEL_LAYERS={"default": "?"}), False),
        (channels(), False),
        (module("channels.layers"), False),
        (module("django.conf", settings=SimpleNamespace()), False),
    ],
)
def test_channels_layer_in_memory(modules, said):
    assert [line.startswith("channels' InMemoryChannelLayer keeps groups") for line in notes({}, modules, 2)] == [
        True
    ] * said
