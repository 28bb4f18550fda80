"""Which event loop runs in the main interpreter (`--loop`). Workers run asyncio's own, wherever they are."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, cast

from snakepit.errors import ConfigError

type LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: Literal["auto", "asyncio", "uvloop"]) -> LoopFactory:
    """The loop of that name; auto: uvloop where it is installed (on Windows winloop, which is uvloop there).

    Raises ConfigError where it is not.
    """
    module = "winloop" if sys.platform == "win32" else "uvloop"
    installed = find_spec(module) is not None
    if name == "uvloop" and not installed:
        raise ConfigError(f"loop is uvloop, but {module} is not installed: pip install 'snakepit-server[fast]'")
    if installed and name != "asyncio":
        return cast("LoopFactory", import_module(module).new_event_loop)
    return asyncio.new_event_loop
