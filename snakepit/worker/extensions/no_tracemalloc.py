"""A replacement for `_tracemalloc`, the C part of `tracemalloc`, in workers, where CPython refuses the real one.

It would trace the memory of the whole process. This module serves libraries that only import it, or ask whether it
traces; an attempt to start it raises an error that says what to do. `tracemalloc` itself is Python code, and is not
replaced.
"""

from typing import Never


def is_tracing() -> bool:
    """Tell whether memory is being traced."""
    return False


def start(nframe: int = 1, /) -> Never:
    """Raise RuntimeError."""
    raise RuntimeError(
        "tracemalloc traces the memory of a whole process, and CPython refuses it in a worker that is an interpreter; "
        "with --runtime process it works"
    )


def stop() -> None:
    """Do nothing; nothing is traced."""


def clear_traces() -> None:
    """Do nothing; nothing was traced."""


def reset_peak() -> None:
    """Do nothing; nothing was traced."""


def get_traceback_limit() -> int:
    """Return how many frames of a traceback would be stored."""
    return 1


def get_traced_memory() -> tuple[int, int]:
    """Return the traced bytes, now and at most."""
    return 0, 0


def get_tracemalloc_memory() -> int:
    """Return the bytes that the traces take."""
    return 0


def _get_traces() -> list[object]:
    return []


def _get_object_traceback(obj: object, /) -> None:
    return None
