"""Stands in for `_tracemalloc`, the C part of `tracemalloc`, in workers, where CPython refuses the real one.

What is traced is the memory of the whole process. Libraries that only import it, or ask whether it traces, get an
answer; who wants to begin is told what to do. `tracemalloc` itself is Python, and stays as it is.
"""

from typing import Never


def is_tracing() -> bool:
    """Whether memory is being traced."""
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
    """How many frames of a traceback would be stored."""
    return 1


def get_traced_memory() -> tuple[int, int]:
    """Bytes that are traced, now and at most."""
    return 0, 0


def get_tracemalloc_memory() -> int:
    """Bytes that the traces take."""
    return 0


def _get_traces() -> list[object]:
    return []


def _get_object_traceback(obj: object, /) -> None:
    return None
