"""What the roster has the pool do: one record for each kind of action.

`worker` is whom it is done to, `number` the place that it is about: workers that replace each other have the same.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.errors import SnakepitError
    from snakepit.server.workers.worker import WorkerHandle


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker now."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class Drop:
    """Close a worker that was never started."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class Retire:
    """Give a worker nothing more, and have it finish and end before its deadline."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class AwaitEnd:
    """Have a worker that failed end before its deadline."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class CutStart:
    """Have a worker leave a start that takes too long."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class Abandon:
    """Kill a worker, or leave it to itself; `silent`: because it does not answer."""

    worker: "WorkerHandle"
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Give what a worker that has ended had not begun to others; `lost`: it ended though nobody had asked it to."""

    worker: "WorkerHandle"
    lost: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """Put a new worker into an empty place after so many seconds."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelRestart:
    """Put no new worker into a place."""

    number: int


@dataclass(frozen=True, slots=True)
class CountAge:
    """Recycle a worker when it has served so much, or for so long, from now on."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class ForgetAge:
    """Cancel the timer by which the worker in a place would be recycled for its age."""

    number: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Tell who asked for one more worker that it is there, or what keeps it from coming."""

    number: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Tell who asked for a replacement that there is one, or what keeps it from coming."""

    number: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Tell the observer that a worker ended by itself, and another starts after so many seconds."""

    worker: "WorkerHandle"
    seconds: float


@dataclass(frozen=True, slots=True)
class SuccessorFailed:
    """Tell the observer that a worker could not start, and the one before it goes on."""

    worker: "WorkerHandle"
    fault: str


@dataclass(frozen=True, slots=True)
class KeepMemory:
    """Account for the memory that a worker leaves behind; `before`: bytes in the process when its successor began."""

    worker: "WorkerHandle"
    before: int | None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell that the app will never be served."""

    error: "SnakepitError"


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """Answer every request with what keeps the app from starting, until a worker is ready."""

    error: "SnakepitError"


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a line into the log; `level` as in `logging`."""

    level: int
    text: str


def tell_error(text: str) -> Tell:
    """Write an error into the log."""
    return Tell(logging.ERROR, text)


type Action = (
    Start | Drop | Retire | AwaitEnd | CutStart | Abandon | Close | Restart | CancelRestart | CountAge | ForgetAge
    | Arrived | Settled | Replaced | SuccessorFailed | KeepMemory | GiveUp | AnswerInstead | Tell
)  # fmt: skip
