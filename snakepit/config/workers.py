"""Options for workers: how many there are, and what they run in."""

from dataclasses import dataclass

from snakepit.config.choices import MOST_WORKERS, ExtensionsOption, LazyImportsOption, RuntimeOption
from snakepit.config.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options for workers."""

    interpreters: int = option(
        0, "Workers. 0: as many as there are usable CPUs, by affinity mask and CPU quota. 1-8: 1, with "
        "--max-interpreters 8. WEB_CONCURRENCY counts where nothing else says how many.",
        short="-n", alias="workers", alias_short="-w", variable="WEB_CONCURRENCY", least=0, most=MOST_WORKERS,
        shown="usable CPUs", ceiling="max_interpreters",
    )  # fmt: skip
    max_interpreters: int | None = option(
        None,
        "Start more workers, one after the other, while requests wait, up to this number. Those that are not needed "
        "for a minute end.",
        least=1, most=MOST_WORKERS, shown="as many as --interpreters",
    )  # fmt: skip
    runtime: RuntimeOption = option(
        "interpreter",
        "What a worker runs in. interpreter: one with a GIL of its own. process: a child process, for C extensions "
        "that refuse interpreters, and so that a crash takes only one worker. thread: the main interpreter, for "
        "debuggers; one worker, whatever --interpreters says.",
    )
    threads: int = option(
        8, "WSGI only: threads in each worker, so requests that one worker serves at once.", least=1, most=1024
    )
    extensions: ExtensionsOption = option(
        "vetted",
        "C extensions that refuse to run in several interpreters get a private copy in each. vetted: those of packages "
        "tested that way. native: none. all: every one, at your own risk.",
    )
    jit: bool | None = option(
        None,
        "Use Python's JIT compiler, if it has one, for the server's own code and for workers that are processes or "
        "threads. Without this option, PYTHON_JIT decides if it is set.",
        shown="with CPython 3.15 or newer",
    )
    lazy_imports: LazyImportsOption = option(
        "auto",
        "Which modules workers load only when they are used, with Python 3.15 or newer. auto: those that tested "
        "libraries import. on: all, also those that the app itself imports. off: those marked as lazy in the code.",
    )
