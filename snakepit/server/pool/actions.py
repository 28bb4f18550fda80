"""Actions that the roster tells the pool to carry out: one record for each kind.

`worker` is the worker of the action, `number` its place: workers that replace each other have the same number.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.errors import SnakepitError
    from snakepit.server.events.kinds import Kind
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
    """Give a worker nothing more, and make it finish and end before its deadline."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class AwaitEnd:
    """Make a worker that failed end before its deadline."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class CutStart:
    """Make a worker give up a start that takes too long."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class Abandon:
    """Kill a worker, or wait for it no more; `silent`: because it does not answer."""

    worker: "WorkerHandle"
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Give exchanges that an ended worker had not begun to others; `lost`: it ended unasked."""

    worker: "WorkerHandle"
    lost: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """Put a new worker into an empty place after so many seconds."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelRestart:
    """Cancel a restart: put no new worker into a place."""

    number: int


@dataclass(frozen=True, slots=True)
class CountAge:
    """Start the counters after which a worker is recycled: of exchanges and of seconds."""

    worker: "WorkerHandle"


@dataclass(frozen=True, slots=True)
class ForgetAge:
    """Cancel the timer that would recycle the worker in a place for its age."""

    number: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Tell callers that wait for an additional worker that it is ready, or why it will not come."""

    number: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Tell callers that wait for a replacement that it is ready, or why it will not come."""

    number: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Tell the observer that a worker ended by itself, and another starts after so many seconds."""

    worker: "WorkerHandle"
    seconds: float


@dataclass(frozen=True, slots=True)
class SuccessorFailed:
    """Tell the observer that a worker could not start, and the old one goes on."""

    worker: "WorkerHandle"
    fault: str


@dataclass(frozen=True, slots=True)
class KeepMemory:
    """Record the memory that a worker leaves behind; `before`: bytes in the process when its successor began."""

    worker: "WorkerHandle"
    before: int | None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Report that the app will never be served."""

    error: "SnakepitError"


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """Answer every request with the error of the app's start, until a worker is ready."""

    error: "SnakepitError"


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a line into the log; `level` as in `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the observer of an event, as for `Observer.happened`."""

    kind: "Kind"
    text: str
    number: int
    reason: str


def tell_error(text: str) -> Tell:
    """Write an error into the log."""
    return Tell(logging.ERROR, text)


type Action = (
    Start | Drop | Retire | AwaitEnd | CutStart | Abandon | Close | Restart | CancelRestart | CountAge | ForgetAge
    | Arrived | Settled | Replaced | SuccessorFailed | KeepMemory | GiveUp | AnswerInstead | Tell | Note
)  # fmt: skip
