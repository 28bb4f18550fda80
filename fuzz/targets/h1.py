"""HTTP/1 requests: each parser reads the same of them, however they come."""

from conformance.cases import CASES
from fuzz.target import LONGEST, Fault, Found, expect, splits
from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, Limits, RequestHead
from snakepit.http.fields import TOKEN, has_controls
from snakepit.http.h1.fast_path import CleanHeadParser
from snakepit.http.h1.h11_parser import H11Parser
from snakepit.http.h1.httptools_parser import HttptoolsParser
from snakepit.http.h1.known_fields import KnownFields
from snakepit.http.h1.protocol import RequestParser

LIMITS = Limits(head=1024, fields=12, body=1024)
MOST_REQUESTS = 64

type Request = tuple[str, bytes, str, list[tuple[bytes, bytes]], bool, bool, bool, bool]
type Read = tuple[list[Request], list[bytes], int | None, tuple[bool, bool, bool]]
"""Heads, bodies, the status of a refusal, and what the parser says of the rest; of what was refused, nothing."""


def check(data: bytes) -> None:
    """Read a stream by each parser in several splits, and compare. The first byte says how it is cut."""
    salt, stream = data[:1], data[1:]
    expected: Read | None = None
    for pieces in splits(stream, salt[0] if salt else 0):
        for parser in _parsers():
            read = _read(parser, pieces)
            expected = read if expected is None else expected
            sizes = [len(piece) for piece in pieces]
            expect(read == expected, f"{type(parser).__name__} reads in pieces of {sizes}", read, "not", expected)


def _parsers() -> list[RequestParser]:
    """Make parsers that know nothing, and one that knows header lines."""
    return [
        H11Parser(LIMITS),
        CleanHeadParser(LIMITS, KnownFields()),
        HttptoolsParser(LIMITS, KnownFields()),
        HttptoolsParser(LIMITS, _KNOWN),
    ]


_KNOWN = KnownFields()
"""Of all inputs of the process, as that of a server is of all its clients."""


def _read(parser: RequestParser, pieces: list[bytes]) -> Read:
    heads: list[Request] = []
    bodies: list[bytes] = []
    complete = 0
    try:
        for piece in pieces:
            _take(parser.feed(piece), heads, bodies)
            while parser.ended and len(heads) < MOST_REQUESTS:
                complete = len(heads)
                parser.restart()
                _take(parser.feed(b""), heads, bodies)
    except RemoteProtocolError as error:
        expect(400 <= error.status < 600 and error.reason, "an odd refusal", error.status, error.reason)
        expect(not has_controls(error.reason.encode()), "control characters in a reason", error.reason)
        # whether a head and some of its body are there before the body is refused depends on the pieces, and so does
        # what is found first of a head that is both illegal and too long
        status = 400 if error.status == 431 else error.status
        return heads[:complete], bodies[:complete], status, (False, False, False)
    return heads, bodies, None, (parser.ended, parser.in_head, parser.holds_next)


def _take(event: Event | None, heads: list[Request], bodies: list[bytes]) -> None:
    if isinstance(event, RequestHead):
        _check_head(event)
        flags = event.expects_continue, event.keep_alive, event.upgrade, event.demands_tls
        heads.append((event.method, event.target, event.http_version, event.headers, *flags))
        bodies.append(event.body)
    elif isinstance(event, BodyData):
        bodies[-1] += event.data
    elif event is not None:
        raise Found(f"an event of no kind: {event!r}")
    if event is not None:
        expect(len(bodies[-1]) <= (LIMITS.body or 0), "a body over the limit", len(bodies[-1]))


def _check_head(head: RequestHead) -> None:
    """Refuse what no app may get."""
    names = [name for name, _ in head.headers]
    expect(TOKEN.fullmatch(head.method.encode()), "a method", head.method)
    expect(head.target and not set(head.target) - set(range(0x21, 0x7F)) and b"#" not in head.target, "a target", head)
    expect(head.http_version in ("1.0", "1.1"), "a version", head.http_version)
    expect(len(names) <= LIMITS.fields + 1, "too many fields", len(names))  # one for the host of an absolute target
    for name, value in head.headers:
        expect(TOKEN.fullmatch(name) and name == name.lower(), "a name", name)
        expect(value == value.strip(b" \t") and not set(value) & {0, 10, 13, 127}, "a value", value)
    expect(names.count(b"host") <= 1, "several hosts", head.headers)
    expect(names.count(b"host") == 1 or head.http_version == "1.0", "no host", head.headers)
    framed = names.count(b"transfer-encoding"), names.count(b"content-length")
    expect(framed in ((0, 0), (0, 1), (1, 0)), "framed in several ways", head.headers)


_GET = b"GET /a?b=%20 HTTP/1.1\r\nHost: t\r\n"
SEEDS = [
    b"\x00" + _GET + b"\r\n",
    b"\x05\r\n" + _GET + b"Cookie: a=b; c\r\nAccept: */*\r\n\r\n" * 2,
    b"\x02" + _GET + b"Connection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"\x03POST /p HTTP/1.1\r\nHost: a.b:80\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    b'\x07POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nx: y\r\n\r\n' + _GET,
    b"\x01POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"\x09GET http://u.v/w HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"\x0bOPTIONS * HTTP/1.1\r\nHost: [::1]:8000\r\n\r\nHEAD /%C3%BC HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\x0dPROPFIND / HTTP/1.1\r\nhost:\r\nX-Y:\t \xe4 \r\n\r\nCONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n",
    b"\x17POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 256\r\n\r\n" + b"x" * 256 + _GET + b"\r\n",
    *(b"\x00" + case.stream for case in CASES.values() if len(case.stream) < LONGEST),
    b"\x11GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\nGET / HTTP/2.0\r\n\r\n",
]
WORDS = [
    *(
        b"GET ",
        b"POST ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"http://",
        b"https://",
    ),
    *(b"Host: ", b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"Expect: 100-continue\r\n", b"Connection: "),
    *(
        b"close",
        b"keep-alive",
        b"Upgrade: ",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"0\r\n\r\n",
        b" ",
        b"\t",
        b"\x00",
        b":",
    ),
    *(b"%00", b",", b"identity", b"gzip, chunked", b"+1", b"0x1", b"99999999999999999999", b"\x0b", b"\x7f", b"\x85"),
]
FAULTS = [
    Fault(
        "http/h1/known_fields.py",
        "and value.isdigit() and len(value)",
        "and value.strip(b'+').isdigit() and len(value)",
    ),
    Fault("http/h1/fast_path.py", '(%b) (/[!-\\"$-~]*)', "(%b) (/[!-~]*)"),
    Fault("http/h1/httptools_parser.py", "collected.hosts > 1\n", "collected.hosts > 2\n"),
    Fault("http/h1/fast_path.py", "self._rest = data[len(body) :]", "self._rest = data[len(body) + (left > 200) :]"),
]
