"""What an app uses that does not go with several workers in one process, or with Snakepit's threads, where it shows.

Looked for once the app is imported, or could not be; the log gets a line for each. Whatever does not show is told in
docs/explanation/one-process.md, with the ways out.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple

type Environ = Mapping[str, str]
type Modules = Mapping[str, ModuleType]


class Note(NamedTuple):
    """One thing to look for.

    Args:
        is_found: whether it is there, given `os.environ` and `sys.modules`.
        by_process: whether it matters only to several workers in one process.
        text: the line for the log.
    """

    is_found: Callable[[Environ, Modules], bool]
    by_process: bool
    text: str


def _is_set(variable: str) -> Callable[[Environ, Modules], bool]:
    return lambda environ, modules: bool(environ.get(variable))


def _holds(module: str, attribute: str) -> Callable[[Environ, Modules], bool]:
    """Whether a module is there, and its attribute, a dict, has something in it."""

    def is_found(environ: Environ, modules: Modules) -> bool:
        held = getattr(modules.get(module), attribute, None)
        return isinstance(held, dict) and bool(held)

    return is_found


_PATCHED = (
    "{} has patched the standard library, which Snakepit's own threads use: the app may not start, and requests may "
    "hang. Leave that out; --threads does what greenlets would (see the page 'One process: what is shared')"
)

NOTES = (
    Note(
        _is_set("PROMETHEUS_MULTIPROC_DIR"),
        True,
        "PROMETHEUS_MULTIPROC_DIR is set: prometheus_client names its files by process, and workers in one process "
        "overwrite each other's. --runtime process helps, or a name for each worker (see the page "
        "'One process: what is shared')",
    ),
    Note(_holds("gevent.monkey", "saved"), False, _PATCHED.format("gevent")),
    Note(_holds("eventlet.patcher", "already_patched"), False, _PATCHED.format("eventlet")),
)


def notes(environ: Environ, modules: Modules, workers_in_process: int) -> list[str]:
    """The lines for what is found."""
    return [
        note.text
        for note in NOTES
        if (workers_in_process > 1 or not note.by_process) and note.is_found(environ, modules)
    ]
