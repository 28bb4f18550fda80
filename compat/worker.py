"""Runs inside an interpreter: does what a worker does, with a case in place of the app."""

import gc
import importlib
import json
import sys
import threading
import time
import traceback
import warnings
from typing import TypedDict

from compat import sharing
from compat.registry import CASES, Use
from snakepit.c_extensions import vetted
from snakepit.lazy_imports.hook import apply, made_lazy
from snakepit.wire.settings import Policy
from snakepit.worker.ending import end_interpreter
from snakepit.worker.extensions.loader import Extensions, Load

LEAST_USES = 3


class Settings(TypedDict):
    """The settings from the child's main interpreter; `places`: how many share a file, 0: none.

    `lazy`: libraries with lazy imports; `threads`: how many threads use the package at once before it was imported.
    """

    case: str
    module: str
    urls: list[str]
    policy: Policy
    copies: str
    vetted: str
    seconds: float
    report: str
    place: int
    places: int
    lazy: list[str]
    threads: int


class Report(TypedDict):
    """The report about one interpreter.

    `trouble` is the traceback of what went wrong, or empty; `daemons` names the daemon threads that did not end; `lazy`
    names the libraries with lazy imports; `loads` is of modules outside the standard library, and of any that was
    refused; `acknowledged` and `not_written` are the results of writes to a shared file.
    """

    uses: int
    trouble: str
    daemons: list[str]
    warnings: list[str]
    loads: list[list[str]]
    acknowledged: list[str]
    not_written: list[str]
    lazy: list[str]


def run(settings: Settings) -> None:
    """Use the package for that many seconds, and at least three times; then end the worker, and write the report."""
    ended = threading.Lock()  # not join(), and not a daemon: see snakepit.worker.bootstrap
    ended.acquire()
    threading.Thread(target=_live, args=(settings, ended), name="worker", daemon=False).start()
    ended.acquire()


def _live(settings: Settings, ended: threading.Lock) -> None:
    report = Report(uses=0, trouble="", daemons=[], warnings=[], loads=[], acknowledged=[], not_written=[], lazy=[])
    try:
        if settings["vetted"]:
            vetted.LIST = settings["vetted"]
        extensions = Extensions(settings["policy"], settings["copies"], keep_native=True)
        extensions.install()
        apply("auto" if settings["lazy"] else "off", settings["lazy"])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                _use(settings, report)
            except BaseException:
                report["trouble"] = traceback.format_exc()
        gc.collect()
        report["warnings"] = sorted({str(warning.message).partition("\n")[0] for warning in caught})
        report["loads"] = [[load.module, load.how, load.reason] for load in extensions.loads if _counts(load)]
        report["lazy"] = made_lazy()
        report["daemons"] = end_interpreter()
    except BaseException:
        report["trouble"] += traceback.format_exc()
    finally:
        try:
            with open(settings["report"], "w", encoding="utf-8") as file:
                json.dump(report, file)
        finally:
            ended.release()


def _use(settings: Settings, report: Report) -> None:
    importlib.import_module(settings["module"])  # only that one: a worker has enough to import
    case = CASES[settings["case"]]
    if settings["places"]:
        assert case.file is not None
        told = sharing.write(case.file, settings["copies"], settings["place"], settings["places"])
        report["acknowledged"], report["not_written"] = told
        return
    use = case.use
    if settings["threads"]:
        _use_at_once(use, settings)
    end = time.monotonic() + settings["seconds"]
    while report["uses"] < LEAST_USES or time.monotonic() < end:
        use(*settings["urls"])
        report["uses"] += 1
        if report["uses"] % 2:
            gc.collect()


def _use_at_once(use: Use, settings: Settings) -> None:
    """Use the package for the first time in several threads at once: what is imported meanwhile, all of them want."""
    troubles: list[BaseException] = []
    start = threading.Barrier(settings["threads"])

    def one() -> None:
        try:
            start.wait()
            use(*settings["urls"])
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=one) for _ in range(settings["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]


def _counts(load: Load) -> bool:
    return load.how != "native" or load.module.partition(".")[0] not in sys.stdlib_module_names
