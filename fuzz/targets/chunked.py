"""Chunked bodies, against a second reader of the same grammar that was written for comparison only."""

from fuzz.target import Fault, expect, splits
from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.h1.chunked import ChunkedBody

LIMITS = Limits(head=120, fields=4, body=60)

type Outcome = tuple[bytes, bytes | None] | None
"""The body, and the bytes behind it or None if it is not complete. None: it is refused."""


def check(data: bytes) -> None:
    """Read a body in several splits, and by the second reader. The first byte says how it is cut."""
    salt, stream = data[:1], data[1:]
    expected = _Second(stream).outcome()
    for pieces in splits(stream, salt[0] if salt else 0):
        read = _read(pieces)
        sizes = [len(piece) for piece in pieces]
        expect(read == expected, f"read in pieces of {sizes}", read, "not", expected)


def _read(pieces: list[bytes]) -> Outcome:
    reader = ChunkedBody(LIMITS)
    body = b""
    rest: list[bytes] = []
    try:
        for piece in pieces:
            if reader.ended:
                rest.append(piece)
            else:
                body += reader.feed(piece)
                expect(len(reader.rest) <= LIMITS.head + 2 or reader.ended, "it keeps too much", len(reader.rest))
    except RemoteProtocolError as error:
        expect(error.status in (400, 413, 431), "an odd status", error.status)
        return None
    expect(len(body) <= (LIMITS.body or 0), "a body over the limit", len(body))
    return body, reader.rest + b"".join(rest) if reader.ended else None


class _Second:
    """Goes through all bytes one by one, with no regular expression and nothing of the package's but its limits."""

    TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    TEXT = frozenset([9, *range(32, 127), *range(128, 256)])

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def outcome(self) -> Outcome:
        body = b""
        extensions = 0
        while True:
            line = self._line(LIMITS.head)
            if not isinstance(line, bytes):
                return None if line else (body, None)
            digits = 0
            while digits < len(line) and line[digits] in b"0123456789abcdefABCDEF":
                digits += 1
            if not 0 < digits <= 16 or len(line) >= LIMITS.head or not self._are_extensions(line[digits:]):
                return None
            size = int(line[:digits], 16)
            extensions = max(0, extensions + len(line) - digits - size)
            if len(body) + size > (LIMITS.body or 0) or extensions > LIMITS.head:
                return None
            if not size:
                return self._trailers(body)
            body += self._data[self._at : self._at + size]
            self._at += size
            end = self._data[self._at : self._at + 2]
            if not b"\r\n".startswith(end):
                return None
            if len(end) < 2:
                return body, None
            self._at += 2

    def _line(self, most: int) -> bytes | bool:
        """Return the next line; False: it is not complete, True: it is none, or it is too long."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            return len(self._data) - self._at > most
        line = self._data[self._at : end + 1]
        self._at = end + 1
        return line[:-2] if line.endswith(b"\r\n") else True

    def _trailers(self, body: bytes) -> Outcome:
        size = number = 0
        while True:
            line = self._line(LIMITS.head - size)
            if not isinstance(line, bytes):
                return None if line else (body, None)
            if not line:
                return body, self._data[self._at :]
            name, colon, value = line.partition(b":")
            size += len(line) + 2
            number += 1
            if not name or not colon or set(name) - self.TOKEN or set(value) - self.TEXT:
                return None
            if number > LIMITS.fields or size > LIMITS.head:
                return None

    def _are_extensions(self, text: bytes) -> bool:
        at = 0
        while at < len(text):
            at = self._space(text, at)
            if text[at : at + 1] != b";":
                return False
            at, begin = self._token(text, at := self._space(text, at + 1)), at
            if at == begin:
                return False
            equals = self._space(text, at)
            if text[equals : equals + 1] != b"=":
                continue
            begin = self._space(text, equals + 1)
            at = self._quoted(text, begin) if text[begin : begin + 1] == b'"' else self._token(text, begin)
            if at <= begin:
                return False
        return True

    def _space(self, text: bytes, at: int) -> int:
        while at < len(text) and text[at] in b" \t":
            at += 1
        return at

    def _token(self, text: bytes, at: int) -> int:
        while at < len(text) and text[at] in self.TOKEN:
            at += 1
        return at

    def _quoted(self, text: bytes, at: int) -> int:
        """Return where a quoted text ends; 0: it does not."""
        at += 1
        while at < len(text):
            if text[at] == ord('"'):
                return at + 1
            if text[at] == ord("\\"):
                at += 1
            if at == len(text) or text[at] not in self.TEXT:
                return 0
            at += 1
        return 0


SEEDS = [
    b"\x003\r\nabc\r\n0\r\n\r\nGET /",
    b'\x05a;x=y;z="q \\" q"\r\n0123456789\r\n0;e\r\nt: v\r\nu:\r\n\r\n',
    b"\x090\r\n\r\n",
    b"\x0b1E\r\n" + b"x" * 30 + b"\r\n00\r\n\r\n",
    b"\x0028\r\n" + b"x" * 40 + b"\r\n28\r\n" + b"x" * 40 + b"\r\n0\r\n\r\n",
    b"\x021\r\na\r\n1 ; a = b\r\nb\r\n0\r\n\r\n",
]
WORDS = [
    *(b"\r\n", b"\n", b"\r", b"0\r\n", b"0\r\n\r\n", b";", b"=", b'"', b"\\", b" ", b"\t", b"ffffffffffffffff"),
    *(b"10000000000000000", b"0x1", b"-1", b"+1", b"_1", b"\x00", b"\x85", b"a: b\r\n", b";a=b", b"1\r\na\r\n"),
]
FAULTS = [
    Fault(
        "http/h1/chunked.py",
        '_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16}+)',
        '_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16}+) ?',
    ),
    Fault("http/h1/chunked.py", 'if data[end - 1 : end] != b"\\r" or end == at:', "if end == at:"),
    Fault("http/h1/chunked.py", "self._received += size\n", "self._received = size\n"),
]
