"""Snakepit: ASGI and WSGI apps served in parallel by subinterpreters, each with its own GIL, in one process.

Every worker imports this module, so it is almost empty: the names below are loaded when they are first used.
"""

TYPE_CHECKING = False  # not imported: the supervisor has no other use for `typing`, which takes half a megabyte
if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.run import run
    from snakepit.server.server import Server
    from snakepit.system.version import __version__

__all__ = ["Config", "Server", "__version__", "run"]

_HOMES = {
    "Config": "snakepit.config.options",
    "Server": "snakepit.server.server",
    "__version__": "snakepit.system.version",
    "run": "snakepit.server.run",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snakepit.system.import_order import StandardLibraryFirst, import_what_is_lazy

    with StandardLibraryFirst():
        from importlib import import_module

        module = import_module(home)
        import_what_is_lazy()
        return getattr(module, name)
