"""The `snakepit` command, and `python -m snakepit`."""

import sys

from snakepit.system.import_order import put_standard_library_first


def main() -> None:
    """Run the command line.

    Ctrl+C during the imports below must not print a traceback, so the default action applies until the server installs
    its own handlers.
    """
    put_standard_library_first()
    import os
    import signal

    from snakepit.system.standard_streams import open_closed_streams

    open_closed_streams()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # a supervisor holds it back until now
    from snakepit.supervisor import first_look

    found = first_look.look(sys.argv[1:], os.environ)
    if found == first_look.SUPERVISE:
        from snakepit.supervisor.supervisor import supervise

        supervise(first_look.take_decision(os.environ))
    from snakepit.cli.main import cli

    cli(prog_name="snakepit", obj=found)


if __name__ == "__main__":
    main()
