"""The report for people: a table, a verdict, and the ways out."""

from collections.abc import Iterable, Sequence

from snakepit.c_extensions.packages import STANDARD_LIBRARY, package_of
from snakepit.c_extensions.refusal import ARROW, import_chain
from snakepit.check.findings import PYTHON_VERSION, Crash, LazyImports, LoadingModules, Module, Report
from snakepit.check.progress import STAGES
from snakepit.system.table import aligned
from snakepit.system.words import counted

_LEAST = 2**19
"""Bytes that two processes differ by anyway, even if they import the same modules."""

_HEADINGS = ("MODULE", "HOW", "PACKAGE", "IMPORTED BY", "ADVICE")


def render(report: Report, verbose: bool) -> str:
    """Render the report, which ends with a newline; `verbose` also lists modules that load without help."""
    parts = [_table(report.modules, verbose), *report.notes, _lazy_imports(report.lazy_imports), _verdict(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(modules: Sequence[Module], verbose: bool) -> str:
    natives = [module for module in modules if module.how == "native"]
    listed = modules if verbose else [module for module in modules if module.how != "native"]
    lines = aligned([_HEADINGS, *map(_row, listed)]) if listed else []
    if natives and not verbose:
        lines += ["", f"{counted(len(natives), 'extension module')} loaded as usual (-v lists them)."]
    return "\n".join(lines).strip("\n")


def _lazy_imports(found: LazyImports | None) -> str:
    if found is None:
        return ""
    if found.modules_saved <= 0:
        return f"Lazy imports save nothing here (--lazy-imports {found.compared})."
    memory = ""
    if found.memory_saved is not None and found.memory_saved >= _LEAST:
        memory = f" and {found.memory_saved / 2**20:.1f} MiB of memory"
    saved = f"{found.modules_saved} of {counted(found.modules, 'module')}{memory}"
    if found.option == "off":
        return f"Lazy imports would save {saved} in each worker, until they are used: --lazy-imports auto."
    return f"Lazy imports (--lazy-imports {found.option}) save {saved} in each worker, until they are used."


def _row(module: Module) -> tuple[str, ...]:
    package = "" if module.package is None else str(module.package)
    return module.module, module.how, package, ARROW.join(_shortest(import_chain(module.importers))), module.advice


def _shortest(chain: list[str]) -> list[str]:
    return chain if len(chain) <= 3 else [*chain[:2], "…", chain[-1]]


def _verdict(report: Report) -> str:
    if report.ok:
        interface = (report.interface or "").upper()
        how = f"({interface}; imported in two at once, on Python {PYTHON_VERSION} with --extensions {report.policy})"
        return f"{report.app} runs in isolated interpreters.\n{how}"
    lines = [f"{report.app} does not run in isolated interpreters."]
    if report.error is not None:
        lines += ["", report.error]
    if report.crash is not None:
        lines += ["", *_crash(report.crash)]
    return "\n".join(lines)


def _crash(crash: Crash) -> Iterable[str]:
    if crash.timeout is not None:
        yield f"It took longer than {crash.timeout:g} s (--timeout)"
    elif crash.signal is not None:
        yield f"The process crashed ({crash.signal})"
    else:
        status = crash.exit_status or 0
        yield f"The process ended with status {status if status < 256 else hex(status)}"  # Windows: an NTSTATUS
    for loading in crash.while_loading:
        yield from _loading(loading)
    if crash.traceback:
        yield "where (innermost first):"
        yield from (f"  {frame}" for frame in crash.traceback)
    yield "ways out:"
    if crash.exit_status is not None:
        yield "  an app that does not end its process while it is imported (os._exit)"
        return
    if crash.timeout is not None:
        yield "  --timeout with more seconds, if the app takes long"
    yield "  --runtime process: each worker is a process then"
    for package in dict.fromkeys(_packages(crash.while_loading)):
        yield f"  another version of {package}"


def _loading(loading: LoadingModules) -> Iterable[str]:
    doing = STAGES[loading.stage] if loading.module is None else f"loading {loading.module}"
    yield f"  interpreter {loading.interpreter}: {doing}"
    chain = import_chain(loading.importers)
    if chain:
        yield f"    imported by: {ARROW.join(chain)}"


def _packages(loadings: Iterable[LoadingModules]) -> Iterable[str]:
    for loading in loadings:
        package = package_of(loading.module, "") if loading.module is not None else None
        if package is not None and package != STANDARD_LIBRARY:
            yield package.name
