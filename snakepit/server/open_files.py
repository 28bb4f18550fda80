"""How many files this process may have open: each connection is one, and each worker's channels take a few."""

import sys


def raise_open_files_limit() -> tuple[int, int] | None:
    """Raise the soft limit to the hard one, as far as the platform has such limits and allows it.

    Returns the limit before and after; None where it stays as it was.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return None  # macOS says "unlimited" and then refuses it; the soft limit stays
    return soft, hard
