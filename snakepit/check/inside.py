"""Runs inside an isolated interpreter: imports the app as a worker does, and records which modules are loaded.

`import_app` is called first, and `end` when all interpreters that must exist at the same time exist.

This is the one module of the check that imports `snakepit.worker`.
"""

import gc
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import ModuleType
from typing import Any

from snakepit.check.progress import Progress
from snakepit.errors import AppError, fault
from snakepit.system.memory import resident_memory
from snakepit.wire.settings import ImportSettings
from snakepit.worker import bootstrap, children, loader
from snakepit.worker.detect import detect
from snakepit.worker.ending import end_interpreter
from snakepit.worker.extensions.loader import Extensions
from snakepit.worker.standard_names import reserve


def import_app(settings: ImportSettings, path: str) -> None:
    """Import the app; records go to the file `path`."""
    children.set_environment(settings["environ"])
    children.install(own_environment=True, open_files=None)
    _do(lambda progress: _import(settings, progress), path)


def end(path: str) -> None:
    """End the interpreter, without closing it; records go to the file `path`."""
    _do(_end, path)


def _do(work: Callable[[Progress], None], path: str) -> None:
    def do() -> None:
        progress = Progress(path)
        try:
            work(progress)
        except BaseException as error:  # an exception in this thread would reach no caller
            progress.say("error", fault(error))
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()

    bootstrap.in_a_second_thread(do, "snakepit-check")


def _end(progress: Progress) -> None:
    _stage(progress, "collecting")
    gc.collect()
    _stage(progress, "ending")
    progress.say("daemons", end_interpreter())


def _import(settings: ImportSettings, progress: Progress) -> None:
    _stage(progress, "importing")
    bootstrap.serving = True  # shows snakepit.run() that it was called while a worker imported the app
    extensions = Extensions(settings["extensions"], settings["copies"], keep_native=True)
    extensions.install()
    watch = _Watch(progress, extensions)
    watch.install()
    bootstrap.find_modules(settings)
    reserve(settings["own_modules"])
    bootstrap.make_lazy(settings)
    try:
        app = loader.load(settings["module"], settings["attribute"], None, settings["factory"], extensions)
        progress.say("app", detect(app, settings["interface"]))
        progress.say("size", len(sys.modules), resident_memory())
    except AppError as error:
        progress.say("error", str(error))
    watch.tell_loads()


def _stage(progress: Progress, name: str) -> None:
    progress.say("stage", threading.get_ident(), name)


class _Watch:
    """Records when the loading of a module begins and ends, and how each extension module was loaded."""

    def __init__(self, progress: Progress, extensions: Extensions) -> None:
        self._progress = progress
        self._extensions = extensions
        self._told = 0  # of extensions.loads
        self._telling = threading.Lock()

    def install(self) -> None:
        """Start recording; `Extensions.install` has been called before."""
        for importer, name in (
            (SourceFileLoader, "exec_module"),
            (SourcelessFileLoader, "exec_module"),
            (ExtensionFileLoader, "create_module"),
            (ExtensionFileLoader, "exec_module"),
        ):
            setattr(importer, name, self._watched(getattr(importer, name)))

    def tell_loads(self) -> None:
        """Record the loads that were added since the last call."""
        with self._telling:
            new = self._extensions.loads[self._told :]
            self._told += len(new)
            for load in new:
                self._progress.say("load", load.module, load.file, load.how, load.importers, load.reason)

    def _watched(self, method: Callable[[Any, Any], Any]) -> Callable[[Any, ModuleSpec | ModuleType], Any]:
        def watched(loader: Any, subject: ModuleSpec | ModuleType) -> Any:
            thread = threading.get_ident()
            name = subject.name if isinstance(subject, ModuleSpec) else subject.__name__
            self._progress.say("begin", thread, name)
            try:
                return method(loader, subject)
            finally:
                self.tell_loads()
                self._progress.say("end", thread)

        return watched
