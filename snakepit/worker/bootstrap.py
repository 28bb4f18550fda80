"""The first code of Snakepit's that runs in a worker, and the last.

Every interpreter pays for its imports in memory of its own, so here and below nothing is imported that the app at
hand does not need: not the event loop for a WSGI app, not what an option asks for that was not given.

`run` is called once, with the settings that the main interpreter made (see `Settings`), and returns when the worker
is through. It does its work in a second thread of the interpreter: an event loop made in the first one wants to set a
signal wake-up on Windows, which only the main interpreter may do.
"""

import io
import sys
import threading
import time
from typing import Literal, TypedDict

from snakepit import envelopes
from snakepit.channel import ChannelAddress, discard, leave_word
from snakepit.errors import AppError, fault
from snakepit.worker import loader
from snakepit.worker.ending import end_interpreter
from snakepit.worker.extensions import Extensions, Policy
from snakepit.worker.interface import detect


class Settings(TypedDict):
    """What the main interpreter tells a worker. Builtin types only, since it crosses by `marshal`."""

    number: int
    channels: list[ChannelAddress]
    sys_path: list[str]
    argv: list[str]
    module: str
    attribute: str
    script: str | None
    factory: bool
    interface: Literal["auto", "asgi", "wsgi"]
    lifespan: Literal["auto", "on", "off"]
    root_path: str
    interpreters: int
    log_config: str | None
    extensions: Policy
    copies: str


def run(settings: Settings) -> None:
    """Serve exchanges until the main interpreter retires this worker."""
    # Not a daemon, in so many words: threads inherit that, and Python takes the thread we are in, which it did not
    # make, for one. For the same reason a lock, and no join(): asking for the current thread here makes a stand-in
    # for it, which 3.13 trips over when the interpreter is closed.
    ended = threading.Lock()
    ended.acquire()
    name = f"snakepit-worker-{settings['number']}"
    threading.Thread(target=_serve, args=(settings, ended), name=name, daemon=False).start()
    ended.acquire()


def _serve(settings: Settings, ended: threading.Lock) -> None:
    try:
        _serve_until_retired(settings)
    finally:
        ended.release()


def _serve_until_retired(settings: Settings) -> None:
    kind, trouble = "lost", ""
    attached = False
    for stream in (sys.stdout, sys.stderr):  # several workers write to one pipe or file: whole lines, and at once
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
    try:
        before = time.perf_counter()
        try:
            extensions = Extensions(settings["extensions"], settings["copies"])
            extensions.install()
            loader.configure_logging(settings["log_config"])
            app = loader.load(
                settings["module"], settings["attribute"], settings["script"], settings["factory"], extensions
            )
            interface = detect(app, settings["interface"])
        except AppError as error:
            kind, trouble = "import", str(error)
            return
        loaded = envelopes.loaded(interface, time.perf_counter() - before)
        if interface == "asgi":
            from snakepit.worker.asgi import serve
        else:
            from snakepit.worker.wsgi import serve
        attached = True
        failed = serve(app, settings, loaded)
        if failed is not None:
            kind, trouble = failed
    except BaseException as error:  # an app can end its own loop with anything, SystemExit included
        trouble = fault(error)
    finally:
        if not attached:
            for address in settings["channels"]:
                discard(address)
        if trouble:
            leave_word(settings["channels"][0], envelopes.failed(kind, trouble))
        leave_word(settings["channels"][0], envelopes.goodbye(end_interpreter()))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
