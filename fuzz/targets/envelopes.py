"""What a worker may send: frames come in any pieces, and whatever an envelope says, the main interpreter goes on."""

import asyncio
import atexit
import logging
import sys
from pathlib import Path
from typing import Any

from fuzz.target import Choices, Fault, expect, splits
from snakepit.errors import InternalError, LocalProtocolError
from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import WORKER, ExchangeState, WorkerState
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode, encode_apart
from snakepit.wire.envelopes import KINDS, LARGE, TO_WORKER
from snakepit.wire.sockets import FrameReader, frame

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from clients import FakeClient
from sinks import FakeEnd

SENT = [kind for kind in KINDS if kind.direction != TO_WORKER]
AT_ITS_START = (envelopes.LOADED, envelopes.READY, envelopes.FAILED)
"""What a worker that serves has said already."""

ODD: tuple[Any, ...] = (None, -1, 2**70, "", b"", (), [], {}, 1.5, "\ud800", b"\r\n", (b"x\n", 0, -1), [1], True)

_HEAD_FIELDS = ((b"", 0, None), (b"a: b\r\n", 0, 3), (b"", 8, 10**9), (b"x-illegal: yes\r\n", 0, None))


def check(data: bytes) -> None:
    """Send a worker's envelopes: the first byte says whether all have the types that their kinds say."""
    choices = Choices(data)
    odd, salt = choices.flag(), choices.number(256)
    sent = []
    while choices.left and len(sent) < 40:
        sent.append(_envelope(choices, odd))
    _cross(sent, salt, odd)
    _handle(sent, odd)
    _frames(data, salt)


def _envelope(choices: Choices, odd: bool) -> tuple[Any, ...]:
    kind = SENT[choices.number(len(SENT))]
    if not odd and kind.number in AT_ITS_START:
        kind = KINDS[envelopes.BODY]
    number = choices.of((1, 2, 3, 9)) if "exchange" in kind.fields else 0
    fields = [name for name in kind.fields if name != "exchange"]
    made = [kind.number, number, *(_field(name, number, kind.number, choices) for name in fields)]
    if odd and choices.flag():
        made[choices.number(len(made))] = choices.of(ODD)
    if odd and choices.number(8) == 1:
        made = made[: choices.number(len(made) + 1)]
    return tuple(made)


def _field(name: str, number: int, kind: int, choices: Choices) -> Any:
    size = choices.number(6)
    values: dict[str, tuple[Any, ...]] = {
        "status": (200, 204, 304, 404, 599, 101),
        "fields": _HEAD_FIELDS,
        "fault": (None, "it failed"),
        "subprotocol": (None, "chat"),
        "interface": ("asgi", "wsgi"),
        "kind": ("import", "lifespan", "x"),
        "code": (1000, 1005, 4999),
    }
    if name in values:
        return values[name][size % len(values[name])]
    if name in ("more", "cut_off", "aside"):
        return bool(size % 2)
    if name in ("body", "data"):
        text = bytes(65 + size for _ in range((0, 1, 100, LARGE + 1, 2, 3)[size]))
        return text.decode() if kind == envelopes.MESSAGE and size % 2 else text
    if name in ("seconds", "since", "until"):
        return size / 2
    if name == "amount":
        return size * 1000
    if name == "request":
        return envelopes.request(number, "GET", b"/", "1.1", [], None, None, "http", b"", False, False)
    if name == "stacks":
        calls = [("app.py", line, "view") for line in range(size)]
        return [("thread", "MainThread", 1, number, 1, "", calls, [False] * size)] * size
    if name == "samples":
        return [("MainThread", [0] * size, size / 100)] * size
    if name in ("question", "left_out"):
        return size
    if name == "total":
        return size / 10
    if name == "counts":
        return [size] * 16
    if name in ("copies", "notes", "frameworks", "threads", "calls", "metrics"):
        return []
    return "text"


def _cross(sent: list[tuple[Any, ...]], salt: int, odd: bool) -> None:
    """Have envelopes cross in one piece, with their bodies apart, and through a socket."""
    expect(decode(encode(sent)) == sent, "envelopes change on their way", sent)
    apart = (encode(sent),) if odd else encode_apart(sent)
    for pieces in splits(b"".join(frame(apart) + frame(encode(sent))), salt):
        reader = FrameReader()
        for piece in pieces:
            reader.feed(piece)
        items = list(reader.items)
        expect(len(items) == 2, "other frames", len(items))
        expect(items[1] == encode(sent), "another item")
        expect(decode(items[0]) == sent, "envelopes change on their way", sent)


def _frames(data: bytes, salt: int) -> None:
    """Read any bytes as frames."""
    expected: list[Any] | None = None
    for pieces in splits(data, salt):
        reader = FrameReader()
        waits = sum(reader.feed(piece) for piece in pieces)
        found = [list(reader.items), bool(waits)]
        expected = found if expected is None else expected
        expect(found == expected, "other frames in other pieces", found, expected)


class _Owner:
    """A pool that wants to hear everything, and does nothing."""

    def __init__(self) -> None:
        self.queue = self
        self.limited = ()
        self.free = 0

    def worker_free(self, worker: WorkerHandle, count: int) -> None:
        self.free += count

    def declined(self, worker: WorkerHandle, exchange: Exchange) -> None:
        expect(exchange.state in (ExchangeState.NEW, ExchangeState.CLOSED), "declined, and not new", exchange)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: None


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)


def _handle(sent: list[tuple[Any, ...]], odd: bool) -> None:
    """Have the main interpreter take them, as if they had come from a worker with three exchanges."""
    owner = _Owner()
    worker = WorkerHandle(1, {}, _Runtime(), owner, _LOOP)  # type: ignore[typeddict-item, arg-type]
    worker.state = WorkerState.READY
    worker.report.interface = "asgi"
    exchanges = []
    for number in (1, 2, 3):
        head = RequestHead("GET", b"/", "1.1", [], False, body=b"", more=number == 3)
        exchange = Exchange(number, FakeClient(), owner, head)  # type: ignore[arg-type]
        worker.exchanges[number] = exchange
        exchange.assigned_to(FakeEnd(), "worker 1", worker)
        exchanges.append(exchange)
    logger, caught = logging.getLogger("snakepit.server"), _Errors()
    handlers, logger.handlers, logger.propagate = logger.handlers, [caught], False
    try:
        for at in range(0, len(sent), 4):
            worker._take(sent[at : at + 4])
    finally:
        logger.handlers, logger.propagate = handlers, True
    for error in caught.errors:
        expected = isinstance(error, InternalError | LocalProtocolError)
        expect(expected or odd, "an error in the main interpreter", error)
    ended = [exchange for exchange in exchanges if exchange.number not in worker.exchanges]
    expect(worker.served == owner.free, "the pool was not told of all that ended", worker.served, owner.free)
    expect(worker.served <= len(ended), "ended twice", worker.served)
    expect(worker.state in WORKER, "no state", worker.state)
    if not odd:
        for exchange in ended:
            over = exchange.state in (ExchangeState.CLOSED, ExchangeState.NEW)
            expect(over, "ended, and not closed", exchange, sent)


class _Channel:
    """A channel whose other end never comes."""

    def main_carrier(self) -> Any:
        return self

    address = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: 0


class _Runtime:
    daemon, process, seats = True, None, 2

    def __init__(self) -> None:
        self.channels = [_Channel() for _ in range(3)]


def _one_of_each(size: int) -> bytes:
    """Return the input that makes an envelope of each kind, whose fields have this size."""
    made = [0, 5]
    for at, kind in enumerate(SENT):
        kind = KINDS[envelopes.BODY] if kind.number in AT_ITS_START else kind
        made += [at, *(1 if name == "exchange" else size for name in kind.fields)]
    return bytes(made)


SEEDS = [
    *(_one_of_each(size) for size in range(6)),
    bytes([0, 5, *(byte for kind in range(len(SENT)) for byte in (kind, kind % 4, 1, 1, 2, 0))]),
    bytes([0, 9, 1, 0, 0, 0, 1, 2, 0, 0, 2, 1, 0, 1, 0, 1, 3, 1, 0]),
    bytes([1, 3, *(byte for kind in range(len(SENT)) for byte in (kind, 0, 3, 1, 2, 1, kind, 0))]),
    b"\x01\x02" + b"".join(frame((b"abc", b"de")) + frame(b"f")) + b"\0\0\0\0",
]
WORDS = [bytes([kind, number]) for kind in range(len(SENT)) for number in range(3)]
FAULTS = [
    Fault(
        "server/workers/worker.py",
        "or exchange.state not in (ExchangeState.ASSIGNED, ExchangeState.ABANDONED)",
        "or exchange.state is ExchangeState.WAITING",
    ),
    Fault("server/workers/worker.py", "exchange.done(trouble, cut_off)", "exchange.respond_body(trouble, cut_off)"),
    Fault(
        "server/workers/worker.py",
        "            except Exception:  # one exchange's trouble",
        "            except InternalError:  # one exchange's trouble",
    ),
    Fault(
        "wire/sockets.py",
        "        return end if len(buffer) >= end else None\n",
        "        return end if len(buffer) > end else None\n",
    ),
    Fault(
        "wire/codec.py",
        "        if at is not None and envelope[at] is None:\n",
        "        if at is not None and not envelope[at]:\n",
    ),
]
LONGEST = 300
