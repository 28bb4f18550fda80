"""Standard input, output and error, where the process was started without some of them (`2>&-`, pythonw.exe).

A number that is closed goes to whatever is opened next: a socket, the folder of workers' copies. What is meant for
standard error would be written there, and Python aborts where it can't make a stream of what it finds. So the null
device takes the place of each that is closed, before anything else is opened.
"""

import os
import sys


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed, for processes to be started from here, too."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one
            os.set_inheritable(opened, True)
            mode = "w" if descriptor else "r"
            stream = open(opened, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115  # it stays
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
