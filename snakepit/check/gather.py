"""Turns the records of the child process into findings."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

from snakepit.c_extensions import vetted
from snakepit.c_extensions.packages import Package, package_of
from snakepit.check.findings import Crash, LazyImports, LoadingModules, Module, Report
from snakepit.check.progress import INTERPRETERS, Record

_WORST_FIRST = ("refused", "copied", "source", "native")


@dataclass(slots=True)
class Story:
    """The events in one interpreter, from its records."""

    interpreter: int
    stage: str = "importing"
    interface: str | None = None
    size: tuple[int, int | None] | None = None  # modules that were imported then, and bytes of memory of the process
    errors: list[str] = field(default_factory=list)
    loads: list[Record] = field(default_factory=list)
    daemons: list[str] = field(default_factory=list)
    open: bool = False
    loading: dict[int, list[str]] = field(default_factory=dict)  # by thread: modules being loaded, outermost first
    threads: set[int] = field(default_factory=set)  # threads that were active in this stage

    @property
    def through(self) -> bool:
        """Whether all steps with the interpreter are complete."""
        return self.stage == "closed" or self.open

    def now(self) -> LoadingModules:
        """What was going on at the end."""
        stack = max(self.loading.values(), key=len, default=[])
        return LoadingModules(self.interpreter, self.stage, stack[-1] if stack else None, tuple(stack[:-1]))


def story(interpreter: int, records: Iterable[Record]) -> Story:
    """Read an interpreter's records."""
    told = Story(interpreter)
    for record in records:
        match record:
            case ("stage", int(thread), str(name)):
                told.stage = name
                told.threads = {thread}
                told.loading = {}
            case ("begin", int(thread), str(module)):
                told.loading.setdefault(thread, []).append(module)
                told.threads.add(thread)
            case ("end", int(thread)):
                del told.loading.get(thread, [])[-1:]
            case ("load", *_):
                told.loads.append(record)
            case ("app", str(interface)):
                told.interface = interface
            case ("size", int(modules), memory):
                told.size = modules, memory
            case ("error", str(text)):
                told.errors.append(text)
            case ("daemons", list(names)):
                told.daemons = names
            case ("open",):
                told.open = True
    return told


def report(app: str, policy: str, stories: list[Story], crash: Crash | None) -> Report:
    """Return the report about an app."""
    error, race = _error(stories)
    imported = error is None and crash is None
    return Report(
        app=app,
        interface=next((told.interface for told in stories if told.interface is not None), None),
        policy=policy,
        modules=tuple(_modules(app, stories, policy, imported)),
        error=error,
        crash=crash,
        notes=(*_notes(stories), *race),
    )


def lazy_imports(option: str, compared: str, eager: Story, lazy: Story) -> LazyImports | None:
    """Return what lazy imports save, given the records of an interpreter without and of one with them."""
    if eager.size is None or lazy.size is None:
        return None
    (modules, memory), (fewer, less) = eager.size, lazy.size
    saved = None if memory is None or less is None else memory - less
    return LazyImports(option, compared, modules, modules - fewer, memory, saved)


def _error(stories: list[Story]) -> tuple[str | None, list[str]]:
    """Return why the app can't be imported, and a note if a later attempt could import it."""
    before = [text for told in stories for text in told.errors if told.interface is None]
    after = [text for told in stories for text in told.errors if told.interface is not None]
    if after:
        return f"the app was imported, but then an interpreter failed\n{after[0]}", []
    if not before:
        return None, []
    imported = [told for told in stories if told.interface is not None]
    if len(imported) >= INTERPRETERS:
        return None, [
            "Two interpreters that imported the app at once got in each other's way. It could be imported when that "
            f"was tried again, as a server does. What went wrong:\n{before[0]}"
        ]
    if imported:
        return f"{before[0]}\n(It happened in one of two interpreters; the other one imported the app.)", []
    return before[-1], []


def crash(status: int | None, timeout: float, stories: list[Story], faults: str) -> Crash | None:
    """Return how the process crashed; None if it ended normally.

    Args:
        status: as `subprocess` has it, so minus a signal's number; None if the process had to be killed.
        faults: what `faulthandler` wrote.
    """
    if status == 0 and all(told.through for told in stories):
        return None
    thread, frames = _crashed_thread(faults)
    unfinished = [told for told in stories if not told.through] or stories
    known = [told for told in stories if thread in told.threads]
    loading = [told.now() for told in known or unfinished]
    return Crash(
        signal=_signal_name(-status) if status is not None and status < 0 else None,
        exit_status=status if status is not None and status >= 0 else None,
        timeout=timeout if status is None else None,
        while_loading=tuple([now for now in loading if now.module is not None] or loading),
        traceback=frames,
    )


def _crashed_thread(faults: str) -> tuple[int | None, tuple[str, ...]]:
    """The thread that crashed and its frames, from the format of `faulthandler`."""
    _, found, rest = faults.partition("Current thread 0x")
    if not found:
        return None, ()
    number, *lines = rest.partition("\n\n")[0].split("\n")
    frames = [line for line in map(str.strip, lines) if line.startswith('File "') and not _is_machinery(line)]
    try:
        return int(number.partition(" ")[0], 16), tuple(frames)
    except ValueError:
        return None, tuple(frames)


def _is_machinery(frame: str) -> bool:
    path = frame.split('"')[1].replace("\\", "/")
    return path.startswith("<frozen importlib") or path.endswith(
        ("/importlib/__init__.py", "/threading.py", "/check/inside.py", "/worker/loader.py", "/worker/extensions.py")
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _modules(app: str, stories: list[Story], policy: str, imported: bool) -> list[Module]:
    top = _top(app.partition(":")[0])
    found: dict[str, Module] = {}
    for told in stories:
        for _, name, file, how, importers, _ in told.loads:
            if how == "native" and _top([*importers, name][0]) != top:
                continue  # not the app's: the worker's side loads some modules itself to explain an error
            before = found.get(name)
            if before is not None and _WORST_FIRST.index(before.how) <= _WORST_FIRST.index(how):
                continue
            package = package_of(name, file)
            known = vetted.find(name)
            versions = known.versions if known is not None else ()
            advice = _advice(name, how, file, package, versions, policy, imported)
            found[name] = Module(name, file, how, package, versions, tuple(importers), advice)
    return list(found.values())


def _top(module: str) -> str:
    return module.partition(".")[0]


def _advice(
    module: str, how: str, file: str, package: Package | None, versions: tuple[str, ...], policy: str, imported: bool
) -> str:
    if how == "source":
        return "runs as the Python module beside it"
    if how == "copied":
        if vetted.loses_writes(module):
            return "loses writes to files that several workers open: --runtime process"
        if not versions:
            return "not vetted: at your own risk, or --runtime process"
        return _vetted(package, versions)
    if how == "refused":
        if imported:
            return "its importer does without"
        if policy == "all" or not file or vetted.loses_writes(module):
            return "--runtime process"
        if versions:
            return "vetted: --extensions vetted, or --runtime process"
        return "not vetted: --extensions all at your own risk, or --runtime process"
    return ""


def _vetted(package: Package | None, versions: tuple[str, ...]) -> str:
    text = f"vetted with {', '.join(versions)}"
    if package is None or any(f"{package.version}.".startswith(f"{known}.") for known in versions):
        return text
    return f"{text}; {package.version} is installed"


def _notes(stories: list[Story]) -> Iterable[str]:
    daemons = dict.fromkeys(name for told in stories for name in told.daemons)
    if daemons:
        yield (
            f"Daemon threads of the app go on after its exit handlers ({', '.join(daemons)}): a worker's interpreter "
            "stays open then until the process ends."
        )
    if any(told.open for told in stories):
        yield "Threads of the app keep an interpreter from being closed: when the server stops, it waits for them."
