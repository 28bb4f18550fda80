"""The memory of the process: how much there is of it, and how it keeps what was freed."""

import os
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD = -1, -2  # malloc.h
_KEPT = 16 * 1024 * 1024  # bytes
_STEP = 1024 * 1024  # bytes


def keep_freed_memory() -> None:
    """Have glibc keep up to 16 MiB of freed memory, instead of 128 KiB, where it is the allocator.

    Bodies come and go in chunks of 64 KiB. Handing their memory back to the system after each, and getting it page by
    page for the next, was measured to take as long as everything else that the server does with them.
    Whoever sets MALLOC_TRIM_THRESHOLD_ in the environment decides instead.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ or "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()):
        return
    try:
        if not os.confstr("CS_GNU_LIBC_VERSION"):
            return
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, ValueError, AttributeError):  # another C library, or a Python without ctypes
        return
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_TOP_PAD, _STEP)


def resident_memory() -> int | None:
    """Bytes of memory that the process has in RAM; None where the system has no cheap way to tell."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
