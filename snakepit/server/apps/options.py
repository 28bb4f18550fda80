"""Derives the settings of an app's pool and workers from the options and the process."""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from snakepit.config import variables
from snakepit.config.environment import environ_of_app
from snakepit.config.options import Config, RoutedApp
from snakepit.lazy_imports.tried import chosen
from snakepit.server.pool.options import PoolOptions
from snakepit.system import working_directory
from snakepit.system.import_order import path_of_workers, standard_first, standard_modules, without_installed
from snakepit.system.working_directory import WorkingDirectory
from snakepit.wire import page_script

if TYPE_CHECKING:
    from snakepit.config.virtual_environment import VirtualEnvironment

CLOSING_SECONDS = 0.5
"""Seconds for closing interpreters if the process ends anyway. Most take a few hundredths of a second; one with
LiteLLM's proxy, with 870,000 tracked objects, takes three seconds, as a process of its own does."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The values that apps get from the server's process.

    Args:
        server: identifies this server's pages, so that those of an earlier one differ.
        copies: the folder for private copies of C extensions; empty: there is none.
        open_files: the limit on open files before it was raised, and after, if it was.
        working_directory: of the process, if that is the server's alone.
        process_ends: whether the process ends at once after the server, so that interpreters that take long to close
            are left open.
        several: whether it is a server of apps with routes.
    """

    server: str
    copies: str = ""
    open_files: tuple[int, int] | None = None
    working_directory: WorkingDirectory | None = None
    process_ends: bool = False
    several: bool = False


def pool_options(app: RoutedApp, surroundings: Surroundings) -> PoolOptions:
    """Collect the options of an app's pool, and the settings for each worker."""
    config, reference = app.config, app.reference
    path = path_of_workers()
    if surroundings.several:  # otherwise its folder is in the path of this process
        path.insert(0, config.app_dir or working_directory.name())
    published = config.root_path + app.route.path
    directory = _directory(config, surroundings)
    lazy_imports, lazy_libraries = chosen(config.lazy_imports)
    return PoolOptions(
        workers=config.interpreters,
        max_workers=config.max_interpreters or 0,
        threads=config.threads,
        worker_concurrency=config.limit_worker_concurrency,
        concurrency=config.limit_concurrency,
        waiting=config.limit_waiting,
        waiting_seconds=config.timeout_waiting,
        interface=config.interface,
        runtime=config.runtime,
        retiring_seconds=config.timeout_graceful_shutdown,
        max_requests=config.limit_max_requests,
        max_requests_jitter=config.limit_max_requests_jitter,
        lifetime=config.workers_lifetime,
        max_rss=None if config.workers_max_rss is None else config.workers_max_rss * 2**20,
        response_seconds=config.timeout_request,
        # with runtime thread a debugger may stop the worker, and nothing can be replaced there
        startup_seconds=config.timeout_startup if config.runtime != "thread" else 0.0,
        silent_seconds=config.timeout_worker_healthcheck if config.runtime != "thread" else 0.0,
        patient=config.reload,
        working_directory=surroundings.working_directory,
        closing_seconds=CLOSING_SECONDS if surroundings.process_ends else None,
        kept_body=config.buffer_request_body,
        kept_answer=config.buffer_response,
        kept_body_on_disk=config.buffer_request_body_on_disk,
        kept_answer_on_disk=config.buffer_response_on_disk,
        app=app.name if surroundings.several else "",
        settings={
            "page_script": page_script.address(published, surroundings.server) if config.reload_browser else "",
            "mount": app.route.path,
            "sys_path": without_installed(path) if config.venv else path,
            "own_path": standard_first(path),
            "own_modules": standard_modules(),
            "venv": _venv(config.venv),
            "argv": list(sys.argv),
            "module": reference.module,
            "attribute": reference.attribute,
            "script": reference.script,
            "factory": config.factory,
            "interface": config.interface,
            "lifespan": config.lifespan,
            "reset_contextvars": config.reset_contextvars,
            "root_path": config.root_path,
            "interpreters": config.interpreters,
            "log_config": config.log_config,
            "log_format": config.log_format,
            "request_id": config.request_id,
            "app": app.name if surroundings.several else "",
            "extensions": config.extensions,
            "lazy_imports": lazy_imports,
            "lazy_libraries": lazy_libraries,
            "ws_max_queue": config.ws_max_queue,
            "timeout_request": _ended_after(config),
            "copies": surroundings.copies,
            "write_bytecode": not config.reload,
            "environ": _environ(config, directory),  # from now: workers may change the process's environment later
            "variables": variables.mapping(config.env),
            "directory": directory,
            "on_chdir": _on_chdir(config, surroundings),
            "tells_metrics": bool(config.metrics_path),
            "debug": config.debug,
            "open_files": surroundings.open_files,
        },
    )


def _directory(config: Config, surroundings: Surroundings) -> str:
    """Return the working directory of an app's workers; empty: the server's."""
    return config.app_dir if surroundings.several and config.runtime == "process" else ""


def _venv(folder: str) -> "VirtualEnvironment | None":
    if not folder:
        return None
    from snakepit.config.virtual_environment import find  # most apps have none

    return find(folder)


def _environ(config: Config, directory: str) -> dict[str, str]:
    environ = environ_of_app(config)
    return {**environ, "PWD": directory} if directory else environ


def _on_chdir(config: Config, surroundings: Surroundings) -> Literal["error", "warn", "allow"]:
    if config.on_chdir == "auto":
        return "error" if surroundings.several else "warn"
    return config.on_chdir


def _ended_after(config: "Config") -> float | None:
    """Return the seconds after which requests may be ended; None: they never are. People may do it on the live page."""
    return math.inf if config.timeout_request is None and config.dashboard else config.timeout_request
