"""Envelopes: every record that may cross between the main interpreter and a worker.

An envelope is a plain tuple: its kind, the number of the exchange it belongs to (0: the worker itself), and its other
fields. They are plain tuples, because `marshal` takes only exact builtin types, and `marshal` makes a crossing cheap:
it halves the cost of a request compared with sending nested tuples over the queue (see `snakepit.wire.codec`).

KINDS is the table of all kinds. The functions below it make envelopes: each has its kind's name in lower case, and the
fields as parameters. Code that takes an envelope unpacks the fields in the same order, or uses `position` to find one.

Bodies travel in chunks of at most CHUNK bytes, and only against credit: the sender of a body may have WINDOW bytes on
the way for which the other side has not yet given credit back. Each chunk costs at least CHUNK_COST, so that a million
tiny chunks are bounded as well as a few large ones.
"""

from typing import Any, Literal, NamedTuple

from snakepit.http.fields import Fields
from snakepit.http.types import Address, AppFile, Headers, Tls

type Envelope = tuple[Any, ...]
type Copy = tuple[str, int]
"""A C extension that was loaded from a private copy: the module, and the bytes of the file."""

type AppMetric = tuple[str, str, str, str, str, list[tuple[str, list[tuple[str, str]], float]]]
"""A metric that the app keeps: its name, documentation, type, unit, for a gauge what becomes of those of several
processes (prometheus-client's `multiprocess_mode`), and its samples: name, labels, value."""

CHUNK = 64 * 1024
"""Bytes; the largest body chunk in one envelope. Socket reads and pipe buffers have this size."""

WINDOW = 256 * 1024
"""Bytes of one body that may be on their way in one direction: enough to keep both sides busy, small enough that
a thousand slow clients cost 256 MB at the very worst."""

LARGE = 8 * 1024
"""Bytes; for a larger body, extra handling that saves copies is worth its cost."""

CHUNK_COST = 1024
"""Bytes; the least credit that a chunk costs. The envelope itself takes a few hundred bytes of memory."""

ALL = 1 << 62
"""In RELEASE, instead of an exchange's number: one that is higher than any."""

KIND, NUMBER = 0, 1
"""The positions of the kind and of the exchange's number in an envelope."""

type Direction = Literal["to worker", "from worker", "both ways"]
TO_WORKER: Direction = "to worker"
FROM_WORKER: Direction = "from worker"
BOTH_WAYS: Direction = "both ways"


class Kind(NamedTuple):
    """A kind of envelopes: a row of the table.

    `fields`: the fields of an envelope after its kind. If the first one is "exchange", the envelope belongs to an
    exchange; otherwise a 0 stands before the fields. `body`: the field, if any, that crosses apart from the rest if it
    is LARGE.
    """

    number: int
    name: str
    direction: Direction
    fields: tuple[str, ...]
    meaning: str
    body: str


KINDS: list[Kind] = []
"""The table of envelopes; the number of a kind is its index here."""


def _kind(name: str, direction: Direction, fields: str, meaning: str, body: str = "") -> int:
    """Add a kind to the table, and return its number."""
    KINDS.append(Kind(len(KINDS), name, direction, tuple(fields.split()), meaning, body))
    return KINDS[-1].number


# -- one request, and its response -------------------------------------------------------------------------------------

REQUEST = _kind(
    "REQUEST",
    TO_WORKER,
    "exchange method target http_version headers client server scheme body more expects_continue root_path tls",
    "A request, with as much of its body as has come.",
    body="body",
)
BODY = _kind("BODY", BOTH_WAYS, "exchange data more", "A chunk of the request's or the response's body.", body="data")
CREDIT = _kind("CREDIT", BOTH_WAYS, "exchange amount", "The other side may send so many more bytes of a body.")
DISCONNECT = _kind(
    "DISCONNECT",
    TO_WORKER,
    "exchange stopping",
    "The client has gone; or the server is stopping, and a stream has to end at once.",
)
RESPONSE = _kind(
    "RESPONSE",
    FROM_WORKER,
    "exchange status fields body more",
    "The response's head, with the first part of its body.",
    body="body",
)
ANSWER = _kind(
    "ANSWER",
    FROM_WORKER,
    "exchange status fields body",
    "A whole response, and the app has finished the exchange: RESPONSE and DONE in one.",
    body="body",
)
CONTINUE = _kind(
    "CONTINUE",
    FROM_WORKER,
    "exchange",
    "The app has begun to read a body that the client holds back: answer `100 (Continue)`.",
)
DONE = _kind(
    "DONE",
    FROM_WORKER,
    "exchange fault cut_off",
    "The app has finished the exchange, with or without a response. Nothing follows for it.",
)
DECLINED = _kind(
    "DECLINED",
    FROM_WORKER,
    "exchange request",
    "A whole request goes back, not begun: the thread or loop for which it waits has to wait itself, or hangs.",
)

FILE = _kind(
    "FILE",
    FROM_WORKER,
    "exchange status fields file",
    "A file is the response's body, which the main interpreter reads and sends, with this head. Status 0: the head has "
    "been sent.",
)
FILE_SENT = _kind("FILE_SENT", TO_WORKER, "exchange", "A file has been sent: the response is complete.")
FILE_REFUSED = _kind(
    "FILE_REFUSED",
    TO_WORKER,
    "exchange",
    "Nothing has been sent of a file that the app has open, since it was not found again: the worker is to send it.",
)

# -- WebSocket ---------------------------------------------------------------------------------------------------------

ACCEPT = _kind("ACCEPT", FROM_WORKER, "exchange subprotocol fields", "The app accepts a WebSocket.")
MESSAGE = _kind("MESSAGE", BOTH_WAYS, "exchange data", "A whole message on a WebSocket.", body="data")
CLOSE = _kind(
    "CLOSE",
    BOTH_WAYS,
    "exchange code reason",
    "The app closes a WebSocket; or the client has closed it, or the connection broke.",
)
BREACH = _kind(
    "BREACH",
    TO_WORKER,
    "exchange code reason",
    "The client broke the protocol of a WebSocket, and nothing more will come. What came before may be answered; "
    "a CLOSE or DONE from the worker says that this is finished.",
)

# -- a worker's life ---------------------------------------------------------------------------------------------------

LOADED = _kind("LOADED", FROM_WORKER, "interface seconds copies notes frameworks", "The app was imported.")
READY = _kind("READY", FROM_WORKER, "seconds", "Lifespan start-up is complete: exchanges may come.")
FAILED = _kind(
    "FAILED",
    FROM_WORKER,
    "kind fault page",
    "The worker can't serve; and the page that `--debug` shows of that.",
    body="page",
)
LIFESPAN_FAILED = _kind(
    "LIFESPAN_FAILED",
    FROM_WORKER,
    "fault",
    "The app's lifespan failed after its start-up, and before it was told to shut down. Exchanges go on.",
)
CPU_PER_REQUEST = _kind(
    "CPU_PER_REQUEST", FROM_WORKER, "seconds", "The average CPU time of recent exchanges in this worker."
)
RETIRE = _kind("RETIRE", TO_WORKER, "", "Finish what has begun, shut down, say goodbye.")
STOP = _kind("STOP", TO_WORKER, "", "Cut what has begun, shut down, say goodbye.")
GOODBYE = _kind("GOODBYE", FROM_WORKER, "threads copies", "The worker has shut down. Nothing follows.")

# -- a worker's loop and its watchdog, and what hangs ------------------------------------------------------------------

ASK_HEARTBEAT = _kind("ASK_HEARTBEAT", TO_WORKER, "", "Send a heartbeat.")
HEARTBEAT = _kind(
    "HEARTBEAT",
    FROM_WORKER,
    "since until",
    "The worker's watchdog is alive, or its event loop runs; and when the loop rang before.",
)
TIMED_OUT = _kind(
    "TIMED_OUT",
    TO_WORKER,
    "exchange",
    "The app has taken too long, and the client has its answer: end the app's work on it.",
)
INTERRUPTED = _kind(
    "INTERRUPTED",
    FROM_WORKER,
    "exchange where aside",
    "The watchdog has interrupted an exchange that had timed out, or found nothing to interrupt.",
)
RELEASE = _kind(
    "RELEASE",
    TO_WORKER,
    "upto",
    "The event loop is blocked: send the answers of this turn, and decline the exchanges that have not begun. Or WSGI "
    "threads: send what you keep, and keep no answers of exchanges up to this number any more.",
)
BLOCKED_BY = _kind("BLOCKED_BY", FROM_WORKER, "exchange", "This exchange blocks the event loop.")
ABANDONED = _kind(
    "ABANDONED",
    TO_WORKER,
    "",
    "The server waits for this worker no more: raise an exception in the code that keeps it from ending.",
)
ASK_STACK = _kind("ASK_STACK", TO_WORKER, "", "Send the stack of the start-up.")
STACK = _kind("STACK", FROM_WORKER, "text", "The stack of the start-up.")
ASK_STACKS = _kind("ASK_STACKS", TO_WORKER, "question", "Send the stacks of all threads and tasks.")
STACKS = _kind(
    "STACKS",
    FROM_WORKER,
    "question stacks left_out",
    "The stacks of the worker's threads and tasks, in answer to this question.",
)
ASK_PROFILE = _kind(
    "ASK_PROFILE",
    TO_WORKER,
    "question seconds",
    "Sample the stacks of all threads for so long, and send what they did. 0: end that now.",
)
PROFILE = _kind("PROFILE", FROM_WORKER, "question calls samples", "What the worker's threads did while sampled.")
REOPEN_LOGS = _kind("REOPEN_LOGS", TO_WORKER, "", "Log files were moved away: reopen them.")
ASK_METRICS = _kind("ASK_METRICS", TO_WORKER, "", "Send the metrics that the app keeps.")
METRICS = _kind(
    "METRICS",
    FROM_WORKER,
    "metrics",
    "The metrics that the app keeps: as they were asked for, or the last before the end.",
)
ASK_LAG = _kind("ASK_LAG", TO_WORKER, "", "Say how late the event loop's timers have been, and go on measuring that.")
LAG = _kind("LAG", FROM_WORKER, "counts total", "By how much timers of the worker's event loop were late.")


def body_size(envelope: Envelope) -> int:
    """Return the bytes of the part of a body that is in an envelope."""
    kind = envelope[KIND]
    field = KINDS[kind].body
    body = envelope[position(kind, field)] if field else b""
    return len(body) if isinstance(body, (bytes, bytearray, memoryview)) else 0


def position(kind: int, field: str) -> int:
    """Return a field's position in envelopes of a kind. For constants: a look-up for each envelope would take long."""
    fields = KINDS[kind].fields
    return fields.index(field) + (NUMBER if fields[:1] == ("exchange",) else NUMBER + 1)


def cost(data: bytes | str) -> int:
    """Return the credit that a body chunk costs, in bytes."""
    size = len(data)
    return size if size > CHUNK_COST else CHUNK_COST


def split(data: bytes) -> list[bytes]:
    """Cut a body into chunks of at most CHUNK bytes; an empty body gives one empty chunk."""
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
    tls: Tls = None,
) -> Envelope:
    """Make a REQUEST; `more` says whether BODY envelopes follow, and `root_path` replaces the option's.

    `tls`: what is known of a connection over TLS.
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
        tls,
    )


def body(exchange: int, data: bytes, more: bool) -> Envelope:
    """Make a BODY; `more` says whether others follow."""
    return (BODY, exchange, data, more)


def credit(exchange: int, amount: int) -> Envelope:
    """Make a CREDIT of `amount` bytes."""
    return (CREDIT, exchange, amount)


def disconnect(exchange: int, stopping: bool = False) -> Envelope:
    """Make a DISCONNECT; `stopping`: the client has not gone, but the server stops and ends the exchange."""
    return (DISCONNECT, exchange, stopping)


def retire() -> Envelope:
    """Make a RETIRE."""
    return (RETIRE, 0)


def stop() -> Envelope:
    """Make a STOP."""
    return (STOP, 0)


def timed_out(exchange: int) -> Envelope:
    """Make a TIMED_OUT."""
    return (TIMED_OUT, exchange)


def ask_heartbeat() -> Envelope:
    """Make an ASK_HEARTBEAT."""
    return (ASK_HEARTBEAT, 0)


def release(upto: int = ALL) -> Envelope:
    """Make a RELEASE."""
    return (RELEASE, 0, upto)


def abandoned() -> Envelope:
    """Make an ABANDONED."""
    return (ABANDONED, 0)


def heartbeat(since: float, until: float) -> Envelope:
    """Make a HEARTBEAT.

    The loop rang between these times, at the end of its previous turn. Both are readings of `time.monotonic`, a clock
    that all processes share; 0.0 from the watchdog.
    """
    return (HEARTBEAT, 0, since, until)


def reopen_logs() -> Envelope:
    """Make a REOPEN_LOGS."""
    return (REOPEN_LOGS, 0)


def ask_metrics() -> Envelope:
    """Make an ASK_METRICS."""
    return (ASK_METRICS, 0)


def metrics(metrics: list[AppMetric]) -> Envelope:
    """Make a METRICS."""
    return (METRICS, 0, metrics)


def ask_lag() -> Envelope:
    """Make an ASK_LAG."""
    return (ASK_LAG, 0)


def lag(counts: list[int], total: float) -> Envelope:
    """Make a LAG: how many timers were late, for each of `system.buckets.BOUNDS` and beyond, and the sum in seconds."""
    return (LAG, 0, counts, total)


def blocked_by(exchange: int) -> Envelope:
    """Make a BLOCKED_BY."""
    return (BLOCKED_BY, exchange)


def interrupted(exchange: int, where: str, aside: bool) -> Envelope:
    """Make an INTERRUPTED.

    Args:
        where: the stack of the code in which an exception is raised; empty if there is none.
        aside: the code runs in another thread than the exchange, so the end of the exchange will not report it.
    """
    return (INTERRUPTED, exchange, where, aside)


def response(exchange: int, status: int, fields: Fields, body: bytes, more: bool) -> Envelope:
    """Make a RESPONSE; `more` says whether BODY envelopes follow."""
    return (RESPONSE, exchange, status, fields, body, more)


def file(exchange: int, status: int, fields: Fields, file: AppFile) -> Envelope:
    """Make a FILE."""
    return (FILE, exchange, status, fields, file)


def file_sent(exchange: int) -> Envelope:
    """Make a FILE_SENT."""
    return (FILE_SENT, exchange)


def file_refused(exchange: int) -> Envelope:
    """Make a FILE_REFUSED."""
    return (FILE_REFUSED, exchange)


def answer(exchange: int, status: int, fields: Fields, body: bytes) -> Envelope:
    """Make an ANSWER."""
    return (ANSWER, exchange, status, fields, body)


def continue_(exchange: int) -> Envelope:
    """Make a CONTINUE (Expect: 100-continue, RFC 9110 section 10.1.1)."""
    return (CONTINUE, exchange)


def done(exchange: int, fault: str | None, cut_off: bool = False) -> Envelope:
    """Make a DONE; `cut_off`: the client left in the middle of its request, and the fault came of that."""
    return (DONE, exchange, fault, cut_off)


def declined(exchange: int, request: Envelope) -> Envelope:
    """Make a DECLINED; `request` is the REQUEST as it came."""
    return (DECLINED, exchange, request)


def accept(exchange: int, subprotocol: str | None, fields: Fields) -> Envelope:
    """Make an ACCEPT."""
    return (ACCEPT, exchange, subprotocol, fields)


def message(exchange: int, data: str | bytes) -> Envelope:
    """Make a MESSAGE. It may be longer than CHUNK: both ends hold the whole message anyway."""
    return (MESSAGE, exchange, data)


def close(exchange: int, code: int, reason: str) -> Envelope:
    """Make a CLOSE; `code` as in RFC 6455 section 7.4."""
    return (CLOSE, exchange, code, reason)


def breach(exchange: int, code: int, reason: str) -> Envelope:
    """Make a BREACH; `code` as in RFC 6455 section 7.4."""
    return (BREACH, exchange, code, reason)


def loaded(interface: str, seconds: float, copies: list[Copy], notes: list[str], frameworks: list[str]) -> Envelope:
    """Make a LOADED.

    Args:
        interface: what the app speaks, "asgi" or "wsgi".
        seconds: the time of the import.
        copies: C extensions that were loaded from private copies.
        notes: lines for the log.
        frameworks: those that the server treats specially, see `snakepit.worker.notes`.
    """
    return (LOADED, 0, interface, seconds, copies, notes, frameworks)


def ready(seconds: float) -> Envelope:
    """Make a READY; `seconds` is the time of lifespan start-up."""
    return (READY, 0, seconds)


def ask_stack() -> Envelope:
    """Make an ASK_STACK."""
    return (ASK_STACK, 0)


def stack(text: str) -> Envelope:
    """Make a STACK; `text` is for people, and empty if the stack is not known."""
    return (STACK, 0, text)


def ask_stacks(question: int) -> Envelope:
    """Make an ASK_STACKS; `question` is in the answer."""
    return (ASK_STACKS, 0, question)


def stacks(question: int, stacks: list[tuple[Any, ...]], left_out: int) -> Envelope:
    """Make a STACKS; `stacks` as `snakepit.stacks.stack.packed` makes them, and how many more there are."""
    return (STACKS, 0, question, stacks, left_out)


def ask_profile(question: int, seconds: float) -> Envelope:
    """Make an ASK_PROFILE; `question` is in the answer. 0 seconds: end what is being sampled."""
    return (ASK_PROFILE, 0, question, seconds)


def profile(question: int, calls: list[Any], samples: list[Any]) -> Envelope:
    """Make a PROFILE; `calls` and `samples` as in `snakepit.stacks.sampler`."""
    return (PROFILE, 0, question, calls, samples)


def cpu_per_request(seconds: float) -> Envelope:
    """Make a CPU_PER_REQUEST."""
    return (CPU_PER_REQUEST, 0, seconds)


def failed(kind: str, fault: str, page: bytes = b"") -> Envelope:
    """Make a FAILED; `kind` is "import", "lifespan" or "lost", `page` as in `snakepit.errors.AppError`."""
    return (FAILED, 0, kind, fault, page)


def lifespan_failed(fault: str) -> Envelope:
    """Make a LIFESPAN_FAILED."""
    return (LIFESPAN_FAILED, 0, fault)


def goodbye(threads: list[str], copies: list[Copy]) -> Envelope:
    """Make a GOODBYE.

    Args:
        threads: daemon threads of the app that still run.
        copies: C extensions that were loaded from private copies, by the end.
    """
    return (GOODBYE, 0, threads, copies)
