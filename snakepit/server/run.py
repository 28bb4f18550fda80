"""`snakepit.run()` and `snakepit run`: a server in a process of its own."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from snakepit import logs
from snakepit.config.file import read, wanted
from snakepit.config.options import OPTIONS, Config
from snakepit.config.sources import ConfigFile, ignored_variables
from snakepit.errors import ConfigError, SnakepitError, fault
from snakepit.http.events import Limits
from snakepit.http.h1.choice import parser_factory
from snakepit.server.event_loop.choice import loop_factory
from snakepit.server.net.open_files import raise_open_files_limit
from snakepit.server.operate.managers import Manager, find_manager
from snakepit.server.operate.signals import leave
from snakepit.server.server import Server
from snakepit.system import jit, limits, working_directory
from snakepit.system.import_order import StandardLibraryFirst, add_folder
from snakepit.system.memory import keep_freed_memory
from snakepit.system.standard_streams import open_closed_streams
from snakepit.system.working_directory import WorkingDirectory


def run(app: Any = None, *, config: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """Serve an app until Ctrl+C or SIGTERM. Options are the command line's, with underscores.

    `app` is "module:attribute", or an app that is defined at the top level of a module or of the script being run. Ends
    the process with status 2 (a wrong option, a port in use) or 3 (the app can't be imported or started). In a daemon
    thread it also returns when the program ends.

    `config`: the path of a configuration file for what `options` and the environment do not say, and for the app if
    that is None. Without it no file is read.
    """
    status, _ = _serve(app, options, lambda: None if config is None else read(os.fspath(config)), process_ends=False)
    if status:
        raise SystemExit(status)


def run_command(app: str | None, config_file: str | None, no_config: bool, **options: Any) -> NoReturn:
    """Serve an app for `snakepit run`, then end the process.

    `config_file` names the configuration file, otherwise it is looked for, unless `no_config`.
    """
    status, left_open = _serve(app, options, lambda: wanted(config_file, no_config), process_ends=True)
    if left_open:
        leave(status)  # ending the main interpreter would wait for their threads, or crash
    raise SystemExit(status)


def _serve(
    app: Any, options: dict[str, Any], find_file: Callable[[], ConfigFile | None], process_ends: bool
) -> tuple[int, int]:
    """Serve; returns the exit status, and how many interpreters could not be closed."""
    open_closed_streams()
    if getattr(sys.modules.get("snakepit.worker.bootstrap"), "serving", False):
        _exit_with(
            ConfigError(
                "snakepit.run() was called in a worker; if that was while it imported the app, put the call under "
                "if __name__ == '__main__':"
            )
        )
    manager = Manager()
    try:
        with StandardLibraryFirst():
            jit.take_back(os.environ)
            manager = find_manager()
            file = find_file()
            config = known = Config.resolve(app, options, file)
            if manager.workers:
                config = config.with_workers(manager.workers)
            server = Server(
                config,
                reread=(known, lambda: Config.resolve(app, options, find_file())),
                control=True,
                manager=manager,
                open_files=raise_open_files_limit(),
                working_directory=WorkingDirectory(),
                process_ends=process_ends,
            )
            make_loop = loop_factory(config.loop)
            parser_factory(config.http, Limits())
        folder = "" if config.apps else config.app_dir or working_directory.name()
        if folder:
            add_folder(folder)
        manager.logs_as(config.log_format)
        logs.configure(config)
        if file is not None:
            logging.getLogger("snakepit.server").info("Options from %s", file.path)
        for sentence in ignored_variables(OPTIONS, os.environ):
            logging.getLogger("snakepit.server").warning("%s", sentence)
    except SnakepitError as error:
        manager.close()
        _exit_with(error)
    keep_freed_memory()
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()  # a crash in C code ends all workers: the log must say where it was
    status = 0
    try:
        asyncio.run(server.serve(), loop_factory=make_loop)
    except SnakepitError as error:
        print(f"Error: {error}", file=sys.stderr)
        status = error.exit_status
    except (RuntimeError, MemoryError) as error:
        limit = limits.explain(fault(error))
        if limit is None:
            raise
        print(f"Error: {limit}", file=sys.stderr)
        status = ConfigError.exit_status
    except KeyboardInterrupt:  # before the server's own handlers were set, or after
        status = 128 + signal.SIGINT
    manager.close()
    logs.finish()
    return status, server.left_open


def _exit_with(error: SnakepitError) -> NoReturn:
    print(f"Error: {error}", file=sys.stderr)
    raise SystemExit(error.exit_status)
