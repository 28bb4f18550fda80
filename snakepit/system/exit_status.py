"""Exit statuses of processes, in words."""

import signal


def how_ended(status: int) -> str:
    """Describe how a process ended, for the log; `status` as in `subprocess`: negative if a signal ended it."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
