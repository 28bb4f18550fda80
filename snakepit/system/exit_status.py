"""How a process ended, in words."""

import signal


def how_ended(status: int) -> str:
    """For the log; `status` as `subprocess` has it: negative, if a signal ended the process."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
