"""Privileges of load generators."""

import os
import resource


def raise_file_limit() -> None:
    """Raise the limit on open files of this process, and of those that it starts, as far as the system permits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def take_precedence() -> None:
    """Give this process precedence for the cores, as if it ran on another machine, if the system permits."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass
