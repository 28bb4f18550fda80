"""A replacement for `faulthandler` in workers, where CPython refuses the real one: signal handlers belong to the
process.

It serves libraries that only ask whether it is enabled, or enable it if possible.
"""

from typing import Any


def is_enabled() -> bool:
    """Tell whether the fault handler is enabled."""
    return False


def enable(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def disable() -> bool:
    """Do nothing; it was not enabled."""
    return False


def dump_traceback(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def dump_traceback_later(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def cancel_dump_traceback_later() -> None:
    """Do nothing."""


def register(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


def unregister(*args: Any, **kwargs: Any) -> bool:
    """Do nothing; nothing was registered."""
    return False
