"""The memory of a process: how much it has, and how it keeps freed memory."""

import os
import sys
import threading
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_TOP_PAD = -1, -2  # malloc.h
_KEPT = 16 * 1024 * 1024  # bytes
_STEP = 1024 * 1024  # bytes


def keep_freed_memory() -> None:
    """Make glibc, if it is the allocator, keep up to 16 MiB of freed memory, instead of 128 KiB.

    Bodies come and go in chunks of 64 KiB. Returning their memory to the system after each chunk, and getting it page
    by page for the next, took as long as all other work of the server with them, as measured. If MALLOC_TRIM_THRESHOLD_
    is set in the environment, it takes precedence.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_TOP_PAD, _STEP)


def return_freed_memory() -> None:
    """Have glibc, if it is the allocator, return freed memory to the system now, from all of its arenas.

    It keeps an arena for each of so many threads, and in each what an app's import and the end of an interpreter leave:
    a server whose workers were replaced again and again took twice the memory. Takes some milliseconds, without a GIL.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def return_freed_memory_aside() -> None:
    """Do so in a thread; where the system allows no more threads, at once."""
    thread = threading.Thread(target=return_freed_memory, name="snakepit-memory", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return_freed_memory()


def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of glibc; None where another C library is in use, or for a Python without ctypes."""
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()):
        return None
    try:
        if not os.confstr("CS_GNU_LIBC_VERSION"):
            return None
        import ctypes

        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    return found


def resident_memory(process: int | None = None) -> int | None:
    """Return the bytes of memory that a process has in RAM: the one with this number, or else this one.

    None if it has ended, or the system has no cheap way to measure it.
    """
    try:
        return _resident(process or os.getpid())
    except (ImportError, OSError, AttributeError):  # also a Python without ctypes
        return None


def private_memory(process: int | None = None) -> int | None:
    """Return the bytes in RAM that a process, or else this one, shares with no file: what control groups can't reclaim.

    None if it has ended, or the system is not Linux.
    """
    if sys.platform != "linux":
        return None
    try:
        with open(f"/proc/{process or os.getpid()}/statm") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return None
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


if sys.platform == "win32":

    def _resident(process: int) -> int | None:
        import ctypes

        class Counters(ctypes.Structure):  # PROCESS_MEMORY_COUNTERS, psapi.h
            _fields_ = (
                ("cb", ctypes.c_uint32),
                ("page_faults", ctypes.c_uint32),
                ("peak_working_set", ctypes.c_size_t),
                ("working_set", ctypes.c_size_t),
                ("others", ctypes.c_size_t * 6),
            )

        kernel = ctypes.WinDLL("kernel32")
        kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.POINTER(Counters), ctypes.c_uint32)
        kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = kernel.OpenProcess(0x1000, 0, process)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return None
        try:
            counters = Counters()
            size = counters.cb = ctypes.sizeof(counters)
            told = kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), size)
            return int(counters.working_set) if told else None
        finally:
            kernel.CloseHandle(handle)

elif sys.platform == "darwin":

    def _resident(process: int) -> int | None:
        import ctypes

        info = ctypes.create_string_buffer(96)  # struct proc_taskinfo, sys/proc_info.h; the second of its numbers
        libproc = ctypes.CDLL("/usr/lib/libproc.dylib")
        size = libproc.proc_pidinfo(process, 4, ctypes.c_uint64(0), info, 96)  # PROC_PIDTASKINFO
        return int.from_bytes(info.raw[8:16], sys.byteorder) if size == 96 else None

else:

    def _resident(process: int) -> int | None:
        if sys.platform != "linux":
            return None
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
