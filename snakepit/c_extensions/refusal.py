"""Messages for operators about a C extension that was not loaded: which one, what imports it, and what to do.

Workers use them when an app can't be imported, and `snakepit check` does. `snakepit.worker.extensions.loader` explains
what refusing means.
"""

from collections.abc import Iterable
from itertools import groupby

from snakepit.c_extensions import vetted
from snakepit.c_extensions.packages import STANDARD_LIBRARY, Package, package_of

ARROW = " → "


def explain(module: str, file: str, importers: Iterable[str], policy: str) -> str:
    """Explain the refusal of a module, in lines: what, imported by what, and the ways out. Begins with the module's
    name.

    Args:
        file: where it is; empty if it is built into Python.
        importers: the modules that were being imported then, the outermost first; may be empty.
        policy: what `--extensions` is.
    """
    package = package_of(module, file)
    what = "a C extension" if package is None else f"a C extension of {package}"
    lines = [f"{module}, {what}, refuses to run in several interpreters"]
    chain = import_chain(importers)
    if chain:
        lines.append(f"imported by: {ARROW.join(chain)}")
    if vetted.loses_writes(module):
        lines.append("with a copy in each worker, writes to a file that several open would be lost without an error")
    lines.append("ways out:")
    lines += [f"  {way}" for way in ways_out(module, file, package, policy)]
    return "\n".join(lines)


def note(module: str, file: str, importers: Iterable[str], policy: str) -> str:
    """Return a line about a module that refused and whose importers work without it; empty for Python's own modules.

    Python's own may be missing elsewhere, too, so code that tries them is prepared. Arguments are those of `explain`.
    """
    package = package_of(module, file)
    if package == STANDARD_LIBRARY:
        return ""
    of = "" if package is None else f" of {package}"
    chain = ARROW.join(import_chain(importers))
    by = f" (imported by {chain})" if chain else ""
    return (
        f"{module}, a C extension{of}, refuses to run in several interpreters{by}. The app goes without it, and what "
        f"needs it fails or is slower. Ways out: {'; or '.join(ways_out(module, file, package, policy))}"
    )


def import_chain(importers: Iterable[str]) -> list[str]:
    """Return the chain of imports in short: packages, and the full name of the app's last module in the chain."""
    chain: list[str] = []
    for package, modules in groupby(importers, lambda module: module.partition(".")[0]):
        of_app = not chain or package == chain[0].partition(".")[0]
        chain.append(list(modules)[-1] if of_app else package)
    return chain


def ways_out(module: str, file: str, package: Package | None, policy: str) -> list[str]:
    """Return what an operator can do about a module that refuses, a line each. Arguments are those of `explain`."""
    ways = ["--runtime process: each worker is a process then"]
    known = vetted.find(module)
    if package == STANDARD_LIBRARY:
        ways.append("an app that does without this module")
    else:
        subject = "this package" if package is None else package.name
        tried = f", or is vetted ({', '.join(known.versions)})" if known is not None else ", or is vetted"
        ways.append(f"a version of {subject} that supports subinterpreters (PEP 684){tried}")
    if file and policy == "native" and known is not None:
        ways.append("--extensions vetted: each worker loads a copy of its own")
    elif file and policy != "all" and not vetted.loses_writes(module):
        ways.append("--extensions all: each worker loads a copy of its own, at your own risk")
    return ways
