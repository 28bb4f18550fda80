"""A process of the suite: `python -m compat.child PLAN`, PLAN being a file with a `Plan` in JSON.

Each of its threads owns interpreters one after another, like a server that replaces its workers: create one, use the
package there, close it, create the next. A crash ends this process, and the one that started it sees the signal.
"""

import json
import marshal
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import TypedDict

from compat.worker import Settings
from snakepit.wire.interpreters import Interpreter, any_kept_open, create_interpreter, keep_open
from snakepit.wire.settings import Policy

_BOOTSTRAP = """\
import marshal, sys
settings = marshal.loads(settings)
sys.path[:] = settings.pop("sys_path")
from compat.worker import run
run(settings)
"""


class Plan(TypedDict):
    """The task of a process: so many interpreters at a time, each replaced until there were `lives` in its place.

    `folder` is for copies and reports; `vetted` a file with a list to use, or empty; `shares`: instead of using the
    package, all write to one file (`compat.sharing`). `lazy`: libraries whose imports are to be lazy; `threads`: how
    many use the package at once first of all, 0: none does.
    """

    case: str
    module: str
    urls: list[str]
    policy: Policy
    interpreters: int
    lives: int
    seconds: float
    folder: str
    vetted: str
    shares: bool
    lazy: list[str]
    threads: int


def _lives(plan: Plan, place: int, troubles: list[str]) -> None:
    for life in range(plan["lives"]):
        report = Path(plan["folder"]) / f"report-{place}-{life}.json"
        settings = Settings(
            case=plan["case"],
            module=plan["module"],
            urls=plan["urls"],
            policy=plan["policy"],
            copies=plan["folder"],
            vetted=plan["vetted"],
            seconds=plan["seconds"],
            report=str(report),
            place=place,
            places=plan["interpreters"] if plan["shares"] else 0,
            lazy=plan["lazy"],
            threads=plan["threads"],
        )
        try:
            interpreter = create_interpreter()
            _live(interpreter, settings, report)
        except Exception:
            troubles.append(traceback.format_exc())
        if troubles:
            break


def _live(interpreter: Interpreter, settings: Settings, report: Path) -> None:
    try:
        interpreter.prepare_main({"settings": marshal.dumps({**settings, "sys_path": sys.path})})
        interpreter.exec(_BOOTSTRAP)
    finally:
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        if found.get("daemons"):
            keep_open(interpreter)
        else:
            interpreter.close()


def main(plan: Plan) -> int:
    """Carry out the plan; returns the exit status: 1 if an interpreter could not be created, run or closed."""
    troubles: list[str] = []
    threads = [threading.Thread(target=_lives, args=(plan, place, troubles)) for place in range(plan["interpreters"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*troubles, sep="\n", file=sys.stderr)
    sys.stderr.flush()
    if any_kept_open():  # Python waits for no daemon thread of another interpreter when it ends
        os._exit(1 if troubles else 0)
    return 1 if troubles else 0


if __name__ == "__main__":
    raise SystemExit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
