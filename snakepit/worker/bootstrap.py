"""The first and the last code of Snakepit that runs in a worker, with every runtime.

Imports take memory in each interpreter, so this module and those below import only what the app needs: no event loop
for a WSGI app, and nothing for options that were not given.

`run` is called once, with the settings that the main interpreter made (see `wire.settings`), and returns when the
worker has finished. In an interpreter it works in a second thread: an event loop that is created in the first one would
try to set a signal wake-up on Windows, which only the main interpreter may do.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.errors import AppError, fault
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.wire import envelopes
from snakepit.wire.carrier import discard
from snakepit.worker import app_metrics, children, directory, loader, notes
from snakepit.worker.detect import detect
from snakepit.worker.ending import end_interpreter, finish, wait_for_daemons, wait_for_threads
from snakepit.worker.error_page.choice import page_of_failure
from snakepit.worker.extensions.loader import Extensions, Load
from snakepit.worker.hangs.app_import import RunningImport
from snakepit.worker.hangs.watchdog import Watchdog
from snakepit.worker.standard_names import reserve

if TYPE_CHECKING:
    from snakepit.wire.envelopes import Envelope
    from snakepit.wire.settings import ImportSettings, WorkerSettings


serving = False
"""Whether a worker runs in this interpreter now."""


def run(settings: "WorkerSettings") -> None:
    """Serve exchanges until the main interpreter retires this worker."""
    children.install(settings["runtime"] == "interpreter", settings["open_files"])
    if settings["runtime"] == "interpreter":
        children.set_environment(settings["environ"])
        directory.install(settings["on_chdir"])
        daemons: list[str] = []

        def end() -> list[str]:
            daemons.extend(end_interpreter())
            return daemons

        try:
            in_a_second_thread(lambda: _serve(settings, end), f"snakepit-worker-{settings['number']}")
        except RuntimeError:  # the system has no thread for it
            for address in (*settings["channels"], settings["watch"]):
                discard(address)
            raise
        if not daemons:  # the interpreter is to be closed
            finish()
    elif settings["runtime"] == "process":
        from snakepit.worker.process import prepare

        _serve(settings, list, lambda: prepare([*settings["channels"], settings["watch"]]))
    else:
        before = threading.enumerate()
        os.environ.update(settings["variables"])
        _serve(settings, list)
        wait_for_threads(before)


def wait_closable() -> None:
    """Wait until the interpreter of a worker that has ended can be closed, since no daemon thread runs any more."""
    in_a_second_thread(wait_for_daemons, "snakepit-closing")
    finish()


def in_a_second_thread(work: Callable[[], None], name: str) -> None:
    """Do all work of an interpreter in another thread than the one that entered it; returns when the work is done."""
    # daemon=False explicitly: threads inherit that, and Python treats this thread, which it did not create, as a
    # daemon. For the same reason a lock instead of join(): asking for the current thread here creates a stand-in for
    # it, which makes 3.13 fail when the interpreter is closed.
    ended = threading.Lock()
    ended.acquire()

    def do() -> None:
        try:
            work()
        finally:
            ended.release()

    threading.Thread(target=do, name=name, daemon=False).start()
    ended.acquire()


def _serve(
    settings: "WorkerSettings", end: Callable[[], list[str]], prepare: Callable[[], None] = lambda: None
) -> None:
    """Serve; `prepare` is called first, and `end` last: it returns the names of threads that still run."""
    global serving
    serving = True
    if not settings["write_bytecode"]:
        # With --reload: two saves within a second that leave a file's size as it was have the same stamp in .pyc.
        sys.dont_write_bytecode = True
    attached = False
    words: list[Envelope] = []
    extensions = None
    undo: list[Callable[[], None]] = []
    watchdog = Watchdog(settings["watch"])
    if settings["runtime"] == "interpreter":
        extensions = Extensions(settings["extensions"], settings["copies"])
        extensions.install()
    for stream in (sys.stdout, sys.stderr):  # several workers write to one pipe or file: whole lines, without delay
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
    loading = RunningImport([loader.configure_logging.__code__, loader.load.__code__])
    try:
        prepare()
        watchdog.start()
        watchdog.watch(loading)
        before = time.perf_counter()
        try:
            try:
                find_modules(settings)
                undo.append(make_lazy(settings))
                app = _load(settings, extensions)
                interface = detect(app, settings["interface"])
            finally:
                loading.leave()
        except AppError as error:
            trouble = "\n".join([str(error), *_notes(settings)])
            words.append(envelopes.failed("import", trouble, page_of_failure(settings, error)))
            return
        if settings["page_script"]:
            with StandardLibraryFirst():
                from snakepit.worker.page_injection import with_script
            app = with_script(app, interface, settings["page_script"])
        if settings["request_id"]:
            with StandardLibraryFirst():
                from snakepit.worker.request_ids import with_request_ids
            app = with_request_ids(app, interface)
        seconds, copied = time.perf_counter() - before, extensions.copied if extensions else []
        told = [*_notes(settings), *_refused(extensions), *directory.notes()]
        loaded = envelopes.loaded(interface, seconds, copied, told, notes.frameworks(sys.modules))
        with StandardLibraryFirst():
            if interface == "asgi":
                from snakepit.worker.asgi.loop import serve
            else:
                from snakepit.worker.wsgi.seats import serve
        attached = True
        failed = serve(app, settings, loaded, watchdog)
        if failed is not None:
            words.append(failed)
    except BaseException as error:  # an app can end its own loop with any exception, including SystemExit
        loading.leave()  # if an exception from the watchdog came just at the end of the import
        words.append(envelopes.failed("lost", fault(error)))
    finally:
        if not attached:
            for address in settings["channels"]:
                discard(address)
        if attached and settings["tells_metrics"]:
            words += app_metrics.wait_told()
        words.append(envelopes.goodbye(end(), extensions.copied if extensions else []))
        for be_eager in undo:  # the main interpreter may have other code
            be_eager()
        watchdog.leave(words)
        if (json_log := sys.modules.get("snakepit.worker.json_log")) is not None:
            json_log.end()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        serving = False


def make_lazy(settings: "ImportSettings") -> Callable[[], None]:
    """Make imports lazy as the settings say, and return a function that undoes this."""
    if not hasattr(sys, "set_lazy_imports"):
        return lambda: None
    with StandardLibraryFirst():
        from snakepit.lazy_imports.hook import apply
    return apply(settings["lazy_imports"], settings["lazy_libraries"])


def find_modules(settings: "ImportSettings") -> None:
    """Make this interpreter find the modules of the app."""
    sys.path[:] = settings["sys_path"]
    venv = settings["venv"]
    if venv is not None:
        from snakepit.worker.venv import enter

        enter(venv, settings["own_path"])


def _load(settings: "WorkerSettings", extensions: Extensions | None) -> object:
    runtime = settings["runtime"]
    if runtime != "thread":  # there the server has done this
        reserve(settings["own_modules"])
        if settings["log_format"] == "json" and settings["log_config"] is None:
            with StandardLibraryFirst():
                from snakepit.worker import json_log
            json_log.install(settings["number"], settings["app"])
        loader.configure_logging(settings["log_config"], extensions)
    module, script = settings["module"], settings["script"]
    if runtime == "thread" and (script is not None or module == _name_of_main()):
        module, script = "__main__", None  # it runs in this interpreter
    return loader.load(module, settings["attribute"], script, settings["factory"], extensions)


def _notes(settings: "WorkerSettings") -> list[str]:
    runtime, workers = settings["runtime"], settings["interpreters"]
    return notes.notes(os.environ, sys.modules, 1 if runtime == "thread" else workers, runtime != "process")


def _refused(extensions: Extensions | None) -> list[str]:
    """Return lines about C extensions that refused, although the app could be imported; later ones are logged later."""
    if extensions is None:
        return []
    policy = extensions.policy
    packages: set[str] = set()

    def line(load: Load) -> str:
        from snakepit.c_extensions import refusal

        package = load.module.partition(".")[0]
        if package in packages:  # one is told of, and the way out is the same
            return ""
        packages.add(package)
        return refusal.note(load.module, load.file, load.importers, policy)

    def log(load: Load) -> None:
        import logging

        if told := line(load):
            logging.getLogger("snakepit.worker").warning("%s", told)

    extensions.on_refused = log
    return [told for load in extensions.refused if (told := line(load))]


def _name_of_main() -> str | None:
    """Return the name of the module that `python -m` runs."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else spec.name
