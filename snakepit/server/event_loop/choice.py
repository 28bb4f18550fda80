"""The choice of the main interpreter's event loop (`--loop`). Workers run asyncio's own, with every runtime."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, cast

from snakepit.errors import ConfigError

type LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: Literal["auto", "asyncio", "uvloop"]) -> LoopFactory:
    """Return the factory of the named loop; auto: uvloop if it is installed (on Windows winloop, uvloop's port).

    Raises ConfigError if it is not installed.
    """
    module = "winloop" if sys.platform == "win32" else "uvloop"
    installed = find_spec(module) is not None
    if name == "uvloop" and not installed:
        raise ConfigError(f"loop is uvloop, but {module} is not installed: pip install 'snakepit-server[fast]'")
    if installed and name != "asyncio":
        return cast("LoopFactory", import_module(module).new_event_loop)
    return asyncio.new_event_loop
