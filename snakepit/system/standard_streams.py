"""Standard input, output and error of a process that was started without some of them (`2>&-`, pythonw.exe).

The next file that is opened gets the number of a closed stream: a socket, or the folder of workers' copies. Output for
standard error would then go there, and Python aborts if it can't make a stream of it. So each closed stream is replaced
by the null device before anything else is opened.
"""

import os
import sys


def open_closed_streams() -> None:
    """Open the null device for each closed standard stream, also for processes that are started from here."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(opened, True)
            mode = "w" if descriptor else "r"
            stream = open(opened, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115  # it stays
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
