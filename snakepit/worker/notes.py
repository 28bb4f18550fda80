"""Detects what an app uses that does not work with several workers, or with Snakepit's threads.

The check runs after the app's import, or its failure; the log gets a line for each finding.
docs/explanation/one-process.md and docs/how-to/state-in-memory.md describe cases that can't be detected, with the ways
out.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Literal, NamedTuple

type Environ = Mapping[str, str]
type Modules = Mapping[str, ModuleType]


class Note(NamedTuple):
    """One check.

    Args:
        is_found: whether the app uses it, given `os.environ` and `sys.modules`.
        matters_to: which workers it affects: any, one of several, or one of several in one process.
        text: the line for the log.
    """

    is_found: Callable[[Environ, Modules], bool]
    matters_to: Literal["any", "several", "several in a process"]
    text: str


def _is_set(variable: str) -> Callable[[Environ, Modules], bool]:
    return lambda environ, modules: bool(environ.get(variable))


def _holds(module: str, attribute: str) -> Callable[[Environ, Modules], bool]:
    """Tell whether a module is imported, and its attribute, a dict, is not empty."""

    def is_found(environ: Environ, modules: Modules) -> bool:
        held = getattr(modules.get(module), attribute, None)
        return isinstance(held, dict) and bool(held)

    return is_found


def _in_memory_layer(environ: Environ, modules: Modules) -> bool:
    """Tell whether Django's settings name the channel layer that is meant for tests."""
    if "channels.layers" not in modules:
        return False
    try:
        layers = modules["django.conf"].settings.CHANNEL_LAYERS.values()
        return any(str(layer["BACKEND"]).endswith(".InMemoryChannelLayer") for layer in layers)
    except Exception:  # no Django, no such setting, or an invalid one, which Channels itself will report
        return False


_IN_MEMORY = (
    "{} keeps {} in the memory of one worker, and requests may reach another: {} (see the page 'State in memory')"
)

_BY_CLIENT = (
    "{} keeps {} in the memory of one worker, so what comes from one address goes to one worker; where clients share "
    "anything, or a proxy hides their addresses, {} (see the page 'State in memory')"
)

FRAMEWORKS = {
    "dash": ("dash.dash",),
    "nicegui": ("nicegui",),
    "gradio": ("gradio",),
    "socketio": ("socketio.async_server",),
    "mcp": ("mcp.server.streamable_http_manager", "mcp.server.sse"),
}
"""Frameworks that the server treats specially, by their modules: those that keep sessions in memory
(`snakepit.server.dispatch.sessions`), and those that set themselves up while they answer the first request
(`snakepit.server.dispatch.queue`)."""

_PATCHED = (
    "{} has patched the standard library, which Snakepit's own threads use: the app may not start, and requests may "
    "hang. Leave that out; --threads does what greenlets would (see the page 'One process: what is shared')"
)


def frameworks(modules: Modules) -> list[str]:
    """Return the imported frameworks that the server treats specially."""
    return [name for name, signs in FRAMEWORKS.items() if any(sign in modules for sign in signs)]


def _keeps(framework: str) -> Callable[[Environ, Modules], bool]:
    return lambda environ, modules: framework in frameworks(modules)


NOTES = (
    Note(
        _is_set("PROMETHEUS_MULTIPROC_DIR"),
        "several in a process",
        "PROMETHEUS_MULTIPROC_DIR is set: prometheus_client names its files by process, and workers in one process "
        "overwrite each other's. --runtime process helps, or a name for each worker (see the page "
        "'One process: what is shared')",
    ),
    Note(_holds("gevent.monkey", "saved"), "any", _PATCHED.format("gevent")),
    Note(_holds("eventlet.patcher", "already_patched"), "any", _PATCHED.format("eventlet")),
    Note(_keeps("nicegui"), "several", _BY_CLIENT.format("nicegui", "each page", "use --interpreters 1")),
    Note(_keeps("gradio"), "several", _BY_CLIENT.format("gradio", "each session", "use --interpreters 1")),
    Note(
        _keeps("socketio"),
        "several",
        _BY_CLIENT.format("socketio", "each client", "use a client manager such as Redis's, or --interpreters 1"),
    ),
    Note(
        _keeps("mcp"),
        "several",
        _BY_CLIENT.format("mcp", "each session", "use stateless_http=True, or --interpreters 1"),
    ),
    Note(
        _in_memory_layer,
        "several",
        _IN_MEMORY.format("channels' InMemoryChannelLayer", "groups", "use channels_redis, or --interpreters 1"),
    ),
)


def notes(environ: Environ, modules: Modules, workers: int, in_one_process: bool) -> list[str]:
    """Return the lines for the log about what was found."""
    matters = {"any": True, "several": workers > 1, "several in a process": workers > 1 and in_one_process}
    return [note.text for note in NOTES if matters[note.matters_to] and note.is_found(environ, modules)]
