"""Sends the bytes of a case to a server, and takes apart whatever comes back until the server closes."""

import asyncio
import json
import re
from dataclasses import dataclass, field

from conformance.app import SEEN

CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"
"""What follows each case: a server that has lost its place in the stream does not answer it as what it is."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
"""As clients have it: what a server writes is not what is tried here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what the app was told of its request, if the app has answered."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    raw_head: bytes

    @property
    def seen(self) -> dict | None:
        """What the app was told."""
        return json.loads(self.body) if dict(self.fields).get(SEEN) and self.body else None

    @property
    def is_canary(self) -> bool:
        """Whether this is the answer to the canary."""
        return self.seen is not None and (self.seen["path"], self.seen["fields"].get("host")) == ("/canary", "canary")


@dataclass(slots=True)
class Outcome:
    """What a server did with a case: its answers, how many of them were interim ones, and whether it closed then."""

    answers: list[Answer] = field(default_factory=list)
    interim: int = 0
    closed: bool = False
    strange: bytes = b""
    """What came and is no response of HTTP/1, such as frames of HTTP/2."""

    def __str__(self) -> str:
        said = [_shown(answer) for answer in self.answers]
        if self.strange:
            said.append("not HTTP/1")
        if not self.closed:
            said.append("waits")
        return ", ".join(said) or "closed"


def _shown(answer: Answer) -> str:
    if answer.is_canary:
        return "next"
    return str(answer.status)


async def wait_outcome(port: int, sent: bytes, patience: float, is_head: bool = False) -> Outcome:
    """Send the bytes of a case, and wait until the server closes, or has been silent for so many seconds."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return Outcome(strange=str(error).encode())
    received = bytearray()
    closed = True
    sending = asyncio.ensure_future(_wait_sent(writer, sent))
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 16), patience):
            received += piece
    except TimeoutError:
        closed = False
    except OSError:
        pass  # closed with something unread: a reset, but what came before counts
    finally:
        sending.cancel()
        writer.close()
    return parsed(bytes(received), closed, is_head)


async def _wait_sent(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except OSError:
        pass  # the server has refused it before it had all of it


def parsed(data: bytes, closed: bool, is_head: bool = False) -> Outcome:
    """Take received bytes apart. `is_head`: the first answer is one to HEAD."""
    outcome = Outcome(closed=closed)
    while data:
        found = _HEAD_END.search(data)
        head, end, rest = (data, False, b"") if found is None else (data[: found.start()], True, data[found.end() :])
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not end or not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            outcome.strange = data
            break
        status = int(words[1])
        fields = tuple(
            (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        if status < 200 and status != 101:
            outcome.interim += 1
            data = rest
            continue
        without_body = status in (101, 204, 304) or (is_head and not outcome.answers)
        body, data = (b"", rest) if without_body else _body(dict(fields), rest)
        outcome.answers.append(Answer(status, fields, body, head))
    return outcome


def _body(fields: dict[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return an answer's body, and what is behind it."""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size, _, data = data.partition(b"\r\n")
            count = int(size or b"0", 16)
            if not count:
                return body, data.partition(b"\r\n")[2]
            body, data = body + data[:count], data[count + 2 :]
    if "content-length" in fields:
        count = int(fields["content-length"])
        return data[:count], data[count:]
    return data, b""
