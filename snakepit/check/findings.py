"""The findings of a check, as records."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

from snakepit.c_extensions.packages import Package

PYTHON_VERSION = "{}.{}.{}".format(*sys.version_info)


@dataclass(frozen=True, slots=True)
class Module:
    """An extension module.

    Args:
        file: empty if it is built into Python.
        how: "native", "copied", "source" or "refused", as in `snakepit.worker.extensions.loader.Load`.
        vetted_versions: of its package, on this Python; empty if the package is not vetted.
        importers: the modules that were being imported then, the outermost first.
        advice: one phrase, or nothing.
    """

    module: str
    file: str
    how: str
    package: Package | None
    vetted_versions: tuple[str, ...]
    importers: tuple[str, ...]
    advice: str

    def as_json(self) -> dict[str, Any]:
        """Return it as in the output of `--json`."""
        return {
            "module": self.module,
            "file": self.file,
            "how": self.how,
            "package": None if self.package is None else self.package.name,
            "version": None if self.package is None else self.package.version,
            "vetted_versions": list(self.vetted_versions),
            "importers": list(self.importers),
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class LoadingModules:
    """The modules that an interpreter was loading when the process ended.

    Args:
        interpreter: 1 or 2.
        stage: one of `snakepit.check.progress.STAGES`.
        module: the one being loaded, if any.
        importers: the modules that imported it, the outermost first.
    """

    interpreter: int
    stage: str
    module: str | None
    importers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """The abnormal end of the child process: one of `signal`, `exit_status` and `timeout` is not None.

    Args:
        signal: its name, as in SIGSEGV.
        timeout: seconds after which it was ended.
        while_loading: one entry if it is known which interpreter crashed, otherwise one for each that had not finished.
        traceback: lines that say where the crash was, the innermost frame first; empty if that is not known.
    """

    signal: str | None
    exit_status: int | None
    timeout: float | None
    while_loading: tuple[LoadingModules, ...]
    traceback: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LazyImports:
    """The modules and the memory that lazy imports save in a worker, right after the app is imported.

    Args:
        option: the value of `--lazy-imports` that was in effect.
        compared: the value that was compared with "off": "auto" or "on".
        modules: how many are imported without lazy imports.
        modules_saved: how many fewer with them.
        memory: bytes of a process with one interpreter, without lazy imports; None if the system does not tell.
        memory_saved: how many fewer with them.
    """

    option: str
    compared: str
    modules: int
    modules_saved: int
    memory: int | None
    memory_saved: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """The findings about an app.

    Args:
        interface: "asgi" or "wsgi"; None if the app was not imported.
        policy: what `--extensions` was.
        error: why the app can't be imported; several lines.
        notes: what else an operator should know.
        lazy_imports: what they save; None if this Python has none, or the app can't be imported in both ways.
    """

    app: str
    interface: str | None
    policy: str
    modules: tuple[Module, ...]
    error: str | None
    crash: Crash | None
    notes: tuple[str, ...]
    lazy_imports: LazyImports | None = None

    @property
    def ok(self) -> bool:
        """Whether the app runs in isolated interpreters, as far as importing it shows."""
        return self.error is None and self.crash is None

    def as_json(self) -> dict[str, Any]:
        """Return the output of `--json`; documented in docs/reference/check.md."""
        return {
            "app": self.app,
            "ok": self.ok,
            "interface": self.interface,
            "python": PYTHON_VERSION,
            "policy": self.policy,
            "modules": [module.as_json() for module in self.modules],
            "error": self.error,
            "crash": None if self.crash is None else asdict(self.crash),
            "notes": list(self.notes),
            "lazy_imports": None if self.lazy_imports is None else asdict(self.lazy_imports),
        }
