"""How many files this process may have open: each connection is one, and each worker's channels take a few."""

import sys


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one, as far as the platform has such limits and allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass  # macOS says "unlimited" and then refuses it; the soft limit stays
