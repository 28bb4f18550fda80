"""What a load generator asks the system for."""

import os
import resource


def raise_file_limit() -> None:
    """Allow this process, and those that it starts, as many open files as the system lets it have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def take_precedence() -> None:
    """Put this process before all others for the cores, as if it were on another machine, where that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass
