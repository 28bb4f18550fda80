"""Envelopes: every record that may cross between the main interpreter and a worker, and how it is encoded.

An envelope is a plain tuple: its kind, the number of the exchange it belongs to (0: the worker itself), and its
fields. Plain tuples, because `marshal` takes nothing but exact builtin types, and `marshal` is what makes a crossing
cheap: it halves the cost of a request against sending nested tuples over the queue.
The functions below make envelopes; the one who takes them unpacks the same fields in the same order.

Bodies travel in chunks of at most CHUNK bytes, and only against credit: whoever sends a body may have WINDOW bytes
on their way that the other side has not yet given back. Each chunk costs at least CHUNK_COST, so that a million tiny
chunks are bounded just as well as a few large ones.
"""

from marshal import dumps, loads
from typing import Any, cast

from snakepit.http.fields import Fields
from snakepit.http.types import Address, Headers

type Envelope = tuple[Any, ...]
type Copy = tuple[str, int]
"""A C extension that was loaded from a private copy: the module, and the bytes of the file."""

CHUNK = 64 * 1024
"""Bytes; the largest body chunk in one envelope. Socket reads and pipe buffers come in this size."""

WINDOW = 256 * 1024
"""Bytes of one body that may be on their way in one direction: enough to keep both sides busy, small enough that
a thousand slow clients cost 256 MB at the very worst."""

LARGE = 8 * 1024
"""Bytes; a larger body is worth more handling if that saves copying it."""

CHUNK_COST = 1024
"""Bytes; the least that a chunk costs in credit. What an envelope itself takes in memory is a few hundred."""

# main interpreter -> worker
REQUEST, BODY, CREDIT, DISCONNECT, RETIRE, STOP = range(6)
# worker -> main interpreter; BODY and CREDIT go both ways
RESPONSE, ANSWER, CONTINUE, DONE, DECLINED, LOADED, READY, PACE, FAILED, GOODBYE = range(6, 16)


# WebSocket: ACCEPT from the worker, BREACH to it, the others both ways
ACCEPT, MESSAGE, CLOSE, BREACH = range(16, 20)

# hung requests: TIMED_OUT, PING, SPEAK and ABANDONED to the worker, PONG, BUSY and SEEN_TO from it
TIMED_OUT, PING, SPEAK, ABANDONED, PONG, BUSY, SEEN_TO = range(20, 27)

# from a worker that serves, and goes on; and to its watchdog
LIFESPAN_FAILED, REOPEN_LOGS = range(27, 29)

# where a start is: asked of the watchdog, and answered by it
ASK_STACK, STACK = range(29, 31)

_BODY_AT = {MESSAGE: 2, REQUEST: 9, BODY: 2, RESPONSE: 4, ANSWER: 4}  # where in an envelope its body is


def cost(data: bytes | str) -> int:
    """How much credit a body chunk takes."""
    size = len(data)
    return size if size > CHUNK_COST else CHUNK_COST


def split(data: bytes) -> list[bytes]:
    """A body, cut into chunks that may cross; at least one, if an empty one."""
    if len(data) <= CHUNK:
        return [data]
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def request(
    exchange: int,
    method: str,
    target: bytes,
    http_version: str,
    headers: Headers,
    client: Address,
    server: Address,
    scheme: str,
    body: bytes,
    more: bool,
    expects_continue: bool,
    root_path: str | None = None,
) -> Envelope:
    """A request, with as much of its body as is there; `more` says whether BODY envelopes follow.

    `root_path`: in place of the option's.
    """
    return (
        REQUEST,
        exchange,
        method,
        target,
        http_version,
        headers,
        client,
        server,
        scheme,
        body,
        more,
        expects_continue,
        root_path,
    )


def body(exchange: int, data: bytes, more: bool) -> Envelope:
    """A chunk of the request's or the response's body."""
    return (BODY, exchange, data, more)


def credit(exchange: int, amount: int) -> Envelope:
    """Permission to send `amount` more bytes of a body."""
    return (CREDIT, exchange, amount)


def disconnect(exchange: int, stopping: bool = False) -> Envelope:
    """The client has left, or is to: `stopping` says that the server stops, and what is streamed is to end at once."""
    return (DISCONNECT, exchange, stopping)


def retire() -> Envelope:
    """Finish what has begun, shut down, say goodbye."""
    return (RETIRE, 0)


def stop() -> Envelope:
    """Cut what has begun, shut down, say goodbye."""
    return (STOP, 0)


def timed_out(exchange: int) -> Envelope:
    """The app has taken too long, and the client has its answer: end what is being done for it."""
    return (TIMED_OUT, exchange)


def ping() -> Envelope:
    """Say something."""
    return (PING, 0)


def speak() -> Envelope:
    """Its loop does not turn: send what it answered in this turn, and decline what it has taken and not begun."""
    return (SPEAK, 0)


def abandoned() -> Envelope:
    """Nobody waits for this worker any more: raise in whatever keeps it from ending."""
    return (ABANDONED, 0)


def pong(since: float, until: float) -> Envelope:
    """The worker's watchdog is alive, or its loop turns.

    Between these times the loop has rung, at the end of its turn before this one. They are those of `time.monotonic`,
    a clock that all processes have in common; 0.0 from the watchdog.
    """
    return (PONG, 0, since, until)


def reopen_logs() -> Envelope:
    """Log files were moved away: open them anew."""
    return (REOPEN_LOGS, 0)


def busy(exchange: int) -> Envelope:
    """Its loop does not turn because of this exchange."""
    return (BUSY, exchange)


def seen_to(exchange: int, where: str, aside: bool) -> Envelope:
    """What the watchdog did about an exchange that timed out.

    Args:
        where: what ran there, as a stack, and gets an exception raised in it; empty if there is no such thing.
        aside: that is a thread beside the one that runs the exchange, whose end will not tell of it.
    """
    return (SEEN_TO, exchange, where, aside)


def response(exchange: int, status: int, fields: Fields, body: bytes, more: bool) -> Envelope:
    """The response's head with the first of its body."""
    return (RESPONSE, exchange, status, fields, body, more)


def answer(exchange: int, status: int, fields: Fields, body: bytes) -> Envelope:
    """A whole response, and the app is through with the exchange: RESPONSE and DONE in one."""
    return (ANSWER, exchange, status, fields, body)


def go_on(exchange: int) -> Envelope:
    """The app has begun to read a body that the client holds back (Expect: 100-continue, RFC 9110 section 10.1.1)."""
    return (CONTINUE, exchange)


def done(exchange: int, fault: str | None, cut_off: bool = False) -> Envelope:
    """The app is through with an exchange, response or not; the last envelope of each, unless that is an ANSWER.

    `cut_off`: the client left in the middle of its request, and the fault came of that.
    """
    return (DONE, exchange, fault, cut_off)


def declined(request: Envelope) -> Envelope:
    """A whole request goes back, unbegun: the thread or loop that it waits for has come to wait itself, or hangs."""
    return (DECLINED, request[1], request)


def accept(exchange: int, subprotocol: str | None, fields: Fields) -> Envelope:
    """The app accepts a WebSocket."""
    return (ACCEPT, exchange, subprotocol, fields)


def message(exchange: int, data: str | bytes) -> Envelope:
    """A whole message on a WebSocket. It may be longer than CHUNK: both ends hold it whole anyway."""
    return (MESSAGE, exchange, data)


def close(exchange: int, code: int, reason: str) -> Envelope:
    """The app closes a WebSocket; or the client has closed it, or it broke. `code` as in RFC 6455 section 7.4."""
    return (CLOSE, exchange, code, reason)


def breach(exchange: int, code: int, reason: str) -> Envelope:
    """The client broke the protocol of a WebSocket, and nothing more will come. What came before may be answered;
    a CLOSE or DONE from the worker says that it has been."""
    return (BREACH, exchange, code, reason)


def loaded(interface: str, seconds: float, copies: list[Copy], notes: list[str], frameworks: list[str]) -> Envelope:
    """The app was imported within `seconds`, and speaks `interface` ("asgi" or "wsgi").

    `copies`: C extensions that were loaded from private copies; `notes`: lines for the log;
    `frameworks`: those that the server has to heed, see `snakepit.worker.notes`.
    """
    return (LOADED, 0, interface, seconds, copies, notes, frameworks)


def ready(seconds: float) -> Envelope:
    """Lifespan start-up was completed within `seconds`: exchanges may come."""
    return (READY, 0, seconds)


def ask_stack() -> Envelope:
    """Say where the start is."""
    return (ASK_STACK, 0)


def stack(text: str) -> Envelope:
    """Where the start is, for people; empty if that can't be told."""
    return (STACK, 0, text)


def pace(seconds: float) -> Envelope:
    """CPU seconds that an exchange takes here, lately and on average."""
    return (PACE, 0, seconds)


def failed(kind: str, fault: str) -> Envelope:
    """The worker can't serve: `kind` is "import", "lifespan" or "lost"."""
    return (FAILED, 0, kind, fault)


def lifespan_failed(fault: str) -> Envelope:
    """The app's lifespan failed after its start-up, and before it was told to shut down. Exchanges go on."""
    return (LIFESPAN_FAILED, 0, fault)


def goodbye(threads: list[str], copies: list[Copy]) -> Envelope:
    """The worker has shut down; nothing follows.

    Args:
        threads: daemon threads of the app that still run.
        copies: C extensions that were loaded from private copies, by the end.
    """
    return (GOODBYE, 0, threads, copies)


def encode(envelopes: list[Envelope]) -> bytes:
    """Turn what one loop iteration has to say into the one item that crosses."""
    return dumps(envelopes)


def encode_apart(envelopes: list[Envelope]) -> tuple[bytes, ...]:
    """The same where large bodies may be among it: these cross beside the rest, and so are copied once, not thrice."""
    bodies: list[bytes] = []
    rest: list[Envelope] = []
    for envelope in envelopes:
        at = _BODY_AT.get(envelope[0])
        if at is not None and type(envelope[at]) is bytes and len(envelope[at]) > LARGE:
            bodies.append(envelope[at])
            envelope = (*envelope[:at], None, *envelope[at + 1 :])
        rest.append(envelope)
    return dumps(rest), *bodies


def decode(item: bytes | tuple[bytes, ...]) -> list[Envelope]:
    """The inverse of `encode` and of `encode_apart`."""
    if isinstance(item, bytes):
        return cast("list[Envelope]", loads(item))
    rest, *bodies = item
    envelopes = cast("list[Envelope]", loads(rest))
    apart = iter(bodies)
    for index, envelope in enumerate(envelopes):
        at = _BODY_AT.get(envelope[0])
        if at is not None and envelope[at] is None:
            envelopes[index] = (*envelope[:at], next(apart), *envelope[at + 1 :])
    return envelopes
