"""What every HTTP/1 protocol must do, whichever library is behind it: snakepit.http.h1.protocol with each parser.

Every request is fed whole, byte by byte, and cut in two at every place: what it means must not depend on how it came.
"""

import gc
import weakref
from dataclasses import replace

import pytest
from fakes import fake_of
from hypothesis import given
from hypothesis import strategies as st

from snakepit.errors import LocalProtocolError, RemoteProtocolError
from snakepit.http.events import Limits, RequestHead
from snakepit.http.fields import NONE, of_length, render
from snakepit.http.h1.fast_path import CleanHeadParser
from snakepit.http.h1.h11_parser import H11Parser
from snakepit.http.h1.httptools_parser import HttptoolsParser
from snakepit.http.h1.known_fields import KnownFields
from snakepit.http.h1.protocol import FieldSource, Http1Protocol

_known: dict[Limits, KnownFields] = {}


def fresh_httptools(limits):
    """Has seen no request before."""
    return HttptoolsParser(limits, KnownFields())


def httptools(limits):
    """Knows the fields of every good request that any of these tests sent."""
    return HttptoolsParser(limits, _known.setdefault(limits, KnownFields()))


def fresh_h11(limits):
    """Has seen no request before, and leaves only what is unusual to H11Parser."""
    return CleanHeadParser(limits, KnownFields())


def h11(limits):
    """Knows the fields of every good request that any of these tests sent."""
    return CleanHeadParser(limits, _known.setdefault(limits, KnownFields()))


PARSERS = [H11Parser, fresh_h11, h11, fresh_httptools, httptools]


@fake_of(FieldSource)
class NoCommonFields:
    """Adds nothing."""

    def lines(self, flags):
        return b""


@pytest.fixture(params=PARSERS, ids=lambda parser: parser.__name__)
def make(request):
    """Makes a protocol with given limits."""

    def protocol(**limits):
        return Http1Protocol(request.param(Limits(**limits)), NoCommonFields())

    return protocol


# -- reading ---------------------------------------------------------------------------------------------------------


END = "the request's end"


class Body(bytes):
    """Of a request, as far as it has come."""


def feed(protocol, *pieces):
    """Feed pieces; returns what they mean, in parts: a head without a body, Body that came together, END."""
    return joined(event for piece in pieces for event in parts(protocol.receive_data(piece)))


def waits(protocol):
    """What came of the next request before `next_cycle`, in parts."""
    return feed(protocol, b"")


def parts(event):
    if event is None:
        return
    if isinstance(event, RequestHead):
        yield replace(event, body=b"", more=False)
        data = event.body
    else:
        data = event.data
    assert type(data) is bytes
    if data:
        yield Body(data)
    if not event.more:
        yield END


def joined(events):
    together = []
    for event in events:
        if isinstance(event, Body) and together and isinstance(together[-1], Body):
            together[-1] = Body(together[-1] + event)
        else:
            together.append(event)
    return together


def byte_by_byte(data):
    return [data[index : index + 1] for index in range(len(data))]


def whole(data):
    return [data]


ways = pytest.mark.parametrize("cut", [whole, byte_by_byte])


def head(method="GET", target=b"/", version="1.1", headers=((b"host", b"a"),), expects_continue=False):
    return RequestHead(method, target, version, list(headers), expects_continue)


HOST = (b"host", b"a")

REQUESTS = {
    "get": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [head(), END]),
    "query": (
        b"GET /a%20b/c?d=e&f=%2F HTTP/1.1\r\nHost: a\r\n\r\n",
        [head(target=b"/a%20b/c?d=e&f=%2F"), END],
    ),
    "absolute target": (
        b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        [head(target=b"http://a/b?c"), END],
    ),
    "absolute target in capitals": (
        b"GET HTTP://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        [head(target=b"HTTP://a/b"), END],
    ),
    "absolute target of another host": (
        b"GET http://b/ HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n",
        [head(target=b"http://b/", headers=((b"host", b"b"), (b"x", b"y"))), END],
    ),
    "absolute target in http/1.0": (
        b"GET http://b/ HTTP/1.0\r\n\r\n",
        [head(target=b"http://b/", version="1.0", headers=((b"host", b"b"),)), END],
    ),
    "empty line before it": (b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", [head(target=b"/a"), END]),
    "four empty lines before it": (
        b"\r\n\r\n\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        [head(target=b"/a"), END],
    ),
    "empty line before a body of line ends": (
        b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
        [head("POST", headers=(HOST, (b"content-length", b"4"))), Body(b"\r\n\r\n"), END],
    ),
    "empty line before chunks": (
        b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        [head("POST", headers=(HOST, (b"transfer-encoding", b"chunked"))), Body(b"a"), END],
    ),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [head("OPTIONS", b"*"), END]),
    "unusual method": (b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", [head("PROPFIND"), END]),
    "head": (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", [head("HEAD"), END]),
    "http/1.0": (b"GET / HTTP/1.0\r\n\r\n", [head(version="1.0", headers=()), END]),
    "http/1.0 with body": (
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
        [head("POST", version="1.0", headers=((b"content-length", b"2"),)), Body(b"hi"), END],
    ),
    "headers": (
        b"GET / HTTP/1.1\r\nHOST:a\r\nX-One:  1 \r\nx-two:\t2\r\nX-Empty:\r\nX-One: 3\r\nX-Latin: \xe9\r\n\r\n",
        [
            head(
                headers=(
                    HOST,
                    (b"x-one", b"1"),
                    (b"x-two", b"2"),
                    (b"x-empty", b""),
                    (b"x-one", b"3"),
                    (b"x-latin", b"\xe9"),
                )
            ),
            END,
        ],
    ),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", [head(headers=((b"host", b""),)), END]),
    "length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        [head("POST", headers=(HOST, (b"content-length", b"5"))), Body(b"hello"), END],
    ),
    "length 0": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        [head("POST", headers=(HOST, (b"content-length", b"0"))), END],
    ),
    "body of line ends": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n\n\r\n\r\n\n\nx\n",
        [head("POST", headers=(HOST, (b"content-length", b"9"))), Body(b"\n\r\n\r\n\n\nx\n"), END],
    ),
    "chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, world!\n\r\r\n0\r\n\r\n",
        [
            head("POST", headers=(HOST, (b"transfer-encoding", b"chunked"))),
            Body(b"hello, world!\n\r"),
            END,
        ],
    ),
    "chunked, nothing in it": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        [head("POST", headers=(HOST, (b"transfer-encoding", b"chunked"))), END],
    ),
    "chunked with extension and trailer": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
        b"3;name=value\r\n\n\n\n\r\n0\r\nX-Checksum: 1\r\n\r\n",
        [head("POST", headers=(HOST, (b"transfer-encoding", b"CHUNKED"))), Body(b"\n\n\n"), END],
    ),
    "expects 100": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\nx",
        [
            head(
                "PUT",
                headers=(HOST, (b"content-length", b"1"), (b"expect", b"100-Continue")),
                expects_continue=True,
            ),
            Body(b"x"),
            END,
        ],
    ),
    "http/1.0 can't expect 100": (
        b"PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx",
        [
            head("PUT", version="1.0", headers=((b"content-length", b"1"), (b"expect", b"100-continue"))),
            Body(b"x"),
            END,
        ],
    ),
    "upgrade to something unknown": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tea\r\n\r\n",
        [head(headers=(HOST, (b"connection", b"Upgrade"), (b"upgrade", b"tea"))), END],
    ),
}
each_request = pytest.mark.parametrize(("data", "events"), REQUESTS.values(), ids=list(REQUESTS))

KEPT_OPEN = {name: pair for name, pair in REQUESTS.items() if pair[1][0].http_version == "1.1"}


def same(events, expected):
    """Compare, but for the letter case of a transfer coding, which no app will ever see the use of."""
    for event in (*events, *expected):
        if isinstance(event, RequestHead):
            event.headers = [
                (name, value.lower() if name == b"transfer-encoding" else value) for name, value in event.headers
            ]
    return events == expected


@each_request
@ways
def test_request(make, cut, data, events):
    assert same(feed(make(), *cut(data)), events)


@each_request
def test_request_cut_in_two_anywhere(make, data, events):
    for at in range(1, len(data)):
        assert same(feed(make(), data[:at], data[at:]), events), f"cut after {data[:at]!r}"


@each_request
@ways
def test_nothing_more_comes_of_it(make, cut, data, events):
    protocol = make()
    feed(protocol, *cut(data))
    assert waits(protocol) == []
    assert not protocol.parser.holds_next
    assert not protocol.parser.in_head
    assert not protocol.begun


def test_events_are_of_the_plainest_types(make):
    protocol = make()
    request, *_ = feed(protocol, REQUESTS["headers"][0])
    assert type(request.method) is type(request.http_version) is str
    assert type(request.target) is bytes
    assert type(request.headers) is list
    for field in request.headers:
        assert type(field) is tuple
        assert [type(part) for part in field] == [bytes, bytes]


def test_body_comes_as_it_arrives(make):
    protocol = make()
    feed(protocol, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
    assert feed(protocol, b"ab") == [Body(b"ab")]
    assert feed(protocol, b"cd") == [Body(b"cd"), END]


def test_chunk_comes_before_it_is_complete(make):
    protocol = make()
    feed(protocol, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert feed(protocol, b"10\r\nab") == [Body(b"ab")]


# -- several requests on one connection ------------------------------------------------------------------------------


def answer(protocol, body=b"ok"):
    return b"".join(protocol.send_response(200, render([(b"content-type", b"text/plain")]), body, False, False))


@ways
def test_keep_alive(make, cut):
    protocol = make()
    for data, events in [*KEPT_OPEN.values()] * 2:
        assert same(feed(protocol, *cut(data)), events)
        assert answer(protocol).startswith(b"HTTP/1.1 200 OK\r\n")
        assert protocol.next_cycle()


@ways
@pytest.mark.parametrize(("data", "events"), KEPT_OPEN.values(), ids=list(KEPT_OPEN))
def test_later_request_is_held_until_the_next_cycle(make, cut, data, events):
    later = b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
    protocol = make()
    assert same(feed(protocol, *cut(data + later)), events)
    assert protocol.parser.holds_next
    assert not protocol.parser.in_head
    assert waits(protocol) == []
    answer(protocol)
    assert protocol.next_cycle()
    assert not protocol.parser.holds_next
    assert protocol.parser.in_head
    assert waits(protocol) == [head(target=b"/later"), END]


@given(data=st.data())
@pytest.mark.parametrize("parser", PARSERS)
def test_pipelined_requests_cut_anywhere(parser, data):
    chosen = data.draw(st.lists(st.sampled_from([*KEPT_OPEN.values()]), min_size=1, max_size=4))
    stream = b"".join(request for request, _ in chosen)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=12)))
    protocol = Http1Protocol(parser(Limits()), NoCommonFields())
    seen = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events = feed(protocol, stream[start:end])
        while events:
            seen += events
            if seen[-1] == END:
                answer(protocol)
                assert protocol.next_cycle()
            events = waits(protocol)
    assert same(joined(seen), [event for _, events in chosen for event in events])


def test_in_head(make):
    protocol = make()
    assert not protocol.parser.in_head
    for byte in byte_by_byte(b"GET / HTTP/1.1\r\nHost: a\r\n\r"):
        assert feed(protocol, byte) == []
        assert protocol.parser.in_head
    feed(protocol, b"\n")
    assert not protocol.parser.in_head
    answer(protocol)
    assert protocol.next_cycle()
    assert not protocol.parser.in_head


def test_in_head_of_the_next_request(make):
    protocol = make()
    feed(protocol, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b")
    assert not protocol.parser.in_head
    answer(protocol)
    assert protocol.next_cycle()
    assert protocol.parser.in_head
    assert waits(protocol) == []
    assert feed(protocol, b" HTTP/1.1\r\nHost: a\r\n\r\n") == [head(target=b"/b"), END]


@pytest.mark.parametrize("came", [b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n"])
def test_empty_lines_are_nothing_of_a_request(make, came):
    protocol = make()
    assert feed(protocol, came) == []
    assert not protocol.parser.in_head
    assert not protocol.parser.holds_next
    assert feed(protocol, b"\r\n\r\n"[len(came) :] + REQUESTS["get"][0]) == [head(), END]


@pytest.mark.parametrize("came", [b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n"])
@pytest.mark.parametrize(("data", "events"), KEPT_OPEN.values(), ids=list(KEPT_OPEN))
def test_empty_lines_behind_a_request_are_no_later_request(make, data, events, came):
    protocol = make()
    assert same(feed(protocol, data + came[:1], came[1:]), events)
    assert not protocol.parser.holds_next
    answer(protocol)
    assert protocol.next_cycle()
    assert not protocol.parser.in_head
    assert feed(protocol, b"\r\n\r\n"[len(came) :]) == []
    assert not protocol.parser.in_head
    assert feed(protocol, b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n") == [head(target=b"/later"), END]


def test_no_next_cycle_before_the_body_was_read(make):
    protocol = make()
    feed(protocol, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    answer(protocol)
    assert not protocol.next_cycle()
    assert feed(protocol, b"cd") == [Body(b"cd"), END]
    assert protocol.next_cycle()
    assert feed(protocol, *REQUESTS["get"][:1]) == [head(), END]


def test_no_next_cycle_before_the_answer(make):
    protocol = make()
    feed(protocol, REQUESTS["get"][0])
    assert not protocol.next_cycle()
    protocol.send_response(200, of_length(NONE, 2), b"o", True, False)
    assert not protocol.next_cycle()
    protocol.send_body(b"k", False)
    assert protocol.next_cycle()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
)
def test_client_that_wants_to_close(make, data):
    protocol = make()
    feed(protocol, data)
    status, headers, _ = parse(answer(protocol))
    assert status == 200
    assert (b"connection", b"close") in headers
    assert not protocol.next_cycle()


CLOSING = {
    "get": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "post": b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
    "http/1.0": b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    # RFC 9112 section 6.1: a proxy that forwarded it may have seen its end elsewhere
    "chunked http/1.0": b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@ways
@pytest.mark.parametrize("data", CLOSING.values(), ids=list(CLOSING))
@pytest.mark.parametrize("behind", [b"\r\n", b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\n"])
def test_what_follows_a_closing_request_is_left_alone(make, cut, data, behind):
    # RFC 9112 section 9.6: the server must not process any further requests on that connection
    protocol = make()
    events = feed(protocol, *cut(data + behind))
    assert [type(event) for event in events if not isinstance(event, Body)] == [RequestHead, str]
    status, _, body = parse(answer(protocol))
    assert (status, body) == (200, b"ok")
    assert not protocol.next_cycle()


# -- refusals --------------------------------------------------------------------------------------------------------

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"

REFUSED = {
    "no request line": (b"hello\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "bad version": (b"GET / HTTP/x\r\nHost: a\r\n\r\n", 400),
    "http/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http/0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "bad method": (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces before the target": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces behind the target": (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space behind the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "tab in the request line": (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "control character in target": (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "the same host twice": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two hosts in http/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
    "space before first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "nul in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
    "control character in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n", 400),
    "escape in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", 400),
    "vertical tab in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0bc\r\n\r\n", 400),
    "delete in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400),
    "control character in a value of http/1.0": (b"GET / HTTP/1.0\r\nX: \x02\r\n\r\n", 400),
    "control character behind an empty line": (b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX: \x02\r\n\r\n", 400),
    "bare carriage return in value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", 400),
    "bare line feed after request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare line feed after header": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "bare line feed at the end of the head": (b"GET / HTTP/1.1\r\nHost: a\r\n\n\r\n\r\n", 400),
    "nothing but bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "five empty lines first": (b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "nothing but empty lines": (b"\r\n" * 5, 400),
    "an empty line that ends with a bare line feed first": (b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "carriage return first": (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare line feed first": (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "folded line": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "line folded with a tab": (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\tc\r\n\r\n", 400),
    "folded transfer coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "host list in http/1.0": (b"GET / HTTP/1.0\r\nHost: a, b\r\n\r\n", 400),
    "host with a bad port behind others": (b"GET / HTTP/1.1\r\nX: y\r\nHost: a:b\r\n\r\n", 400),
    "absolute target without host": (b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "absolute target with user": (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment in an absolute target": (b"GET http://a/#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "request line of http/0.9 and nothing else": (b"GET /\r\n", 400),
    "request line of something else": (b"EHLO example.com\r\n", 400),
    "length of 19 digits": (POST + b"Content-Length: 0000000000000000005\r\n\r\nhello", 400),
    "chunked is not the last coding": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "chunked is not in the last line": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
    ),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    "space behind a chunk's size": (POST + b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400),
    "both lengths": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "both lengths, the other way round": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "two lengths in one": (POST + b"Content-Length: 5, 6\r\n\r\nhello", 400),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "signed length": (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    "length in hex": (POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "length with underscore": (POST + b"Content-Length: 1_0\r\n\r\nhellohello", 400),
    "length of thousands of digits": (POST + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n", 400),
    "unknown transfer coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "transfer coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "unknown expectation": (POST + b"Content-Length: 5\r\nExpect: tea\r\n\r\n", 417),
    "chunk size is no number": (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "negative chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "chunk size of many digits": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n", 400),
    "chunk longer than it says": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    "chunk with bare line feed": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400),
    "control character in a trailer": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: \x01\r\n\r\n",
        400,
    ),
    "trailer that is no header": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx y\r\n\r\n", 400),
}
each_refused = pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=list(REFUSED))


@each_refused
@ways
def test_refused(make, cut, data, status):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(), *cut(data))
    assert caught.value.status == status
    assert caught.value.reason
    assert "\n" not in caught.value.reason


@each_refused
def test_refused_wherever_it_is_cut(make, data, status):
    for at in range(1, min(len(data), 200)):
        with pytest.raises(RemoteProtocolError) as caught:
            feed(make(), data[:at], data[at:])
        assert caught.value.status == status, f"cut after {data[:at]!r}"


@each_refused
@ways
def test_refused_as_the_second_request(make, cut, data, status):
    protocol = make()
    feed(protocol, REQUESTS["get"][0])
    answer(protocol)
    assert protocol.next_cycle()
    with pytest.raises(RemoteProtocolError) as caught:
        feed(protocol, *cut(data))
    assert caught.value.status == status


@each_refused
def test_refused_as_a_pipelined_request(make, data, status):
    protocol = make()
    assert feed(protocol, REQUESTS["get"][0] + data) == [head(), END]
    answer(protocol)
    assert protocol.next_cycle()
    with pytest.raises(RemoteProtocolError) as caught:
        waits(protocol)
    assert caught.value.status == status


@each_refused
@ways
def test_refusal_can_be_answered(make, cut, data, status):
    protocol = make()
    with pytest.raises(RemoteProtocolError):
        feed(protocol, *cut(data))
    assert not protocol.begun
    sent = protocol.send_response(status, render([(b"content-type", b"text/plain")]), b"no\n", False, True)
    got, headers, body = parse(b"".join(sent))
    assert (got, body) == (status, b"no\n")
    assert (b"connection", b"close") in headers
    assert not protocol.next_cycle()


def test_connect_says_what_is_allowed(make):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(), REFUSED["connect"][0])
    assert b"allow" in dict(caught.value.headers)


@ways
@pytest.mark.parametrize("trailers", [b"\n", b"X: y\n\r\n", b"X: y\n\n"])
def test_bare_line_feed_in_trailers(make, cut, trailers):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(), *cut(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + trailers))
    assert caught.value.status == 400


def test_line_end_may_be_split(make):
    assert feed(make(), b"GET / HTTP/1.1\r", b"\nHost: a\r", b"\n\r", b"\n") == [head(), END]


# -- limits ----------------------------------------------------------------------------------------------------------


def request_of(size):
    """A request whose head has this many bytes."""
    start, end = b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


def in_pieces(data):
    return [data[at : at + 100] for at in range(0, len(data), 100)]


many_ways = pytest.mark.parametrize("cut", [whole, byte_by_byte, in_pieces])


@many_ways
def test_head_within_the_limit(make, cut):
    assert len(feed(make(head=2000), *cut(request_of(1900)))) == 2


@many_ways
def test_head_over_the_limit(make, cut):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(head=2000), *cut(request_of(2200)))
    assert caught.value.status == 431


@many_ways
@pytest.mark.parametrize(
    ("start", "status"),
    [(b"", 414), (b"GET /", 414), (b"GET / HTTP/1.1\r\nHost: a\r\nX", 431)],
    ids=["method", "target", "name"],
)
def test_head_that_never_ends(make, cut, start, status):
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(head=2000), *cut(start + b"A" * 3000))
    assert caught.value.status == status


@many_ways
def test_head_over_the_limit_as_a_later_request(make, cut):
    protocol = make(head=2000)
    feed(protocol, request_of(1900))
    answer(protocol)
    assert protocol.next_cycle()
    with pytest.raises(RemoteProtocolError) as caught:
        feed(protocol, *cut(request_of(2200)))
    assert caught.value.status == 431


def test_each_head_counts_for_itself(make):
    protocol = make(head=2000)
    came = feed(protocol, request_of(1900) * 5)
    for _ in range(5):
        assert len(came) == 2
        answer(protocol)
        assert protocol.next_cycle()
        came = waits(protocol)
    assert waits(protocol) == []


@many_ways
def test_body_does_not_count_as_head(make, cut):
    body = b"x" * 5000
    events = feed(make(head=2000), *cut(POST + b"Content-Length: 5000\r\n\r\n" + body))
    assert events[1:] == [Body(body), END]


@ways
def test_fields(make, cut):
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(9))
    assert len(feed(make(fields=10), *cut(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"))) == 2
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(fields=10), *cut(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"X: y\r\n\r\n"))
    assert caught.value.status == 431


@ways
def test_announced_body(make, cut):
    assert feed(make(body=5), *cut(POST + b"Content-Length: 5\r\n\r\nhello"))[1:] == [Body(b"hello"), END]
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(body=5), *cut(POST + b"Content-Length: 6\r\n\r\n"))
    assert caught.value.status == 413


@ways
def test_chunked_body(make, cut):
    start = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    assert feed(make(body=5), *cut(start + b"2\r\nde\r\n0\r\n\r\n"))[1:] == [Body(b"abcde"), END]
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(body=5), *cut(start + b"3\r\ndef\r\n0\r\n\r\n"))
    assert caught.value.status == 413


def test_each_body_counts_for_itself(make):
    protocol = make(body=5)
    for _ in range(3):
        feed(protocol, POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        answer(protocol)
        assert protocol.next_cycle()


def test_body_limit_of_0(make):
    assert feed(make(body=0), POST + b"Content-Length: 0\r\n\r\n")[1:] == [END]
    with pytest.raises(RemoteProtocolError):
        feed(make(body=0), POST + b"Content-Length: 1\r\n\r\n")


# -- answering -------------------------------------------------------------------------------------------------------


def parse(data, is_head=False):
    """A response's status, headers (names in lower case) and body, freed of its coding."""
    start, separator, body = data.partition(b"\r\n\r\n")
    assert separator
    status_line, *lines = start.split(b"\r\n")
    version, status, _ = status_line.split(b" ", 2)
    assert version == b"HTTP/1.1"
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.strip()))
    if (b"transfer-encoding", b"chunked") in headers and not is_head:
        body = unchunked(body)
    return int(status), headers, body


def unchunked(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]
        if not length:
            assert data == b""
            return body


def lengths(headers):
    return [(name, value) for name, value in headers if name in (b"content-length", b"transfer-encoding")]


def respond(protocol, status=200, headers=(), body=(), length=None, close=False):
    fields = render(headers)
    fields = fields if length is None else of_length(fields, length)
    sent = protocol.send_response(status, fields, b"", True, close)
    sent += [protocol.send_body(data, True) for data in body]
    return b"".join([*sent, protocol.send_body(b"", False)])


@pytest.fixture
def asked(make):
    """A protocol that has read a request."""

    def protocol(method="GET", version="1.1"):
        made = make()
        assert len(feed(made, f"{method} / HTTP/{version}\r\nHost: a\r\n\r\n".encode())) == 2
        return made

    return protocol


def test_known_length_is_announced(asked):
    protocol = asked()
    status, headers, body = parse(respond(protocol, 200, [(b"x-a", b"b")], [b"he", b"llo"], 5))
    assert (status, body) == (200, b"hello")
    assert (b"x-a", b"b") in headers
    assert lengths(headers) == [(b"content-length", b"5")]
    assert protocol.next_cycle()


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length"])
@pytest.mark.parametrize("length", [None, 5])
def test_length_that_the_app_announces_is_not_announced_twice(asked, name, length):
    protocol = asked()
    _, headers, body = parse(respond(protocol, 200, [(name, b"5")], [b"hello"], length))
    assert lengths(headers) == [(b"content-length", b"5")]
    assert body == b"hello"
    assert protocol.next_cycle()


def test_unknown_length_is_chunked(asked):
    protocol = asked()
    _, headers, body = parse(respond(protocol, body=[b"he", b"", b"llo\r\n", b"x" * 70_000]))
    assert lengths(headers) == [(b"transfer-encoding", b"chunked")]
    assert body == b"hello\r\n" + b"x" * 70_000
    assert protocol.next_cycle()


def test_unknown_length_to_http_1_0_ends_with_the_connection(asked):
    protocol = asked(version="1.0")
    _, headers, body = parse(respond(protocol, body=[b"he", b"llo"]))
    assert lengths(headers) == []
    assert (b"connection", b"close") in headers
    assert body == b"hello"
    assert not protocol.next_cycle()


@pytest.mark.parametrize("length", [None, 0, 5])
@pytest.mark.parametrize("body", [[], [b""], [b"hello"]])
def test_head_has_no_body(asked, length, body):
    protocol = asked("HEAD")
    status, headers, sent = parse(respond(protocol, body=body, length=length), is_head=True)
    assert (status, sent) == (200, b"")
    assert (b"content-length", b"0") not in headers, "a GET would have had a body"
    assert protocol.next_cycle()


def test_head_keeps_the_length_that_the_app_announces(asked):
    protocol = asked("HEAD")
    _, headers, sent = parse(respond(protocol, headers=[(b"content-length", b"100")], length=0), is_head=True)
    assert lengths(headers) == [(b"content-length", b"100")]
    assert sent == b""
    assert protocol.next_cycle()


def test_get_after_head_has_a_body_again(asked):
    protocol = asked("HEAD")
    respond(protocol, body=[b"hello"], length=5)
    assert protocol.next_cycle()
    feed(protocol, REQUESTS["get"][0])
    assert parse(respond(protocol, body=[b"hello"], length=5))[2] == b"hello"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("body", [[], [b"hello"]])
@pytest.mark.parametrize("length", [None, 0, 5])
def test_status_without_body(asked, status, method, body, length):
    protocol = asked(method)
    got, headers, sent = parse(respond(protocol, status, [(b"etag", b'"x"')], body, length), is_head=True)
    assert (got, sent) == (status, b"")
    assert lengths(headers) == []
    assert protocol.next_cycle()


def test_304_may_say_how_long_it_would_have_been(asked):
    protocol = asked()
    _, headers, sent = parse(respond(protocol, 304, [(b"content-length", b"100")]))
    assert lengths(headers) == [(b"content-length", b"100")]
    assert sent == b""
    assert protocol.next_cycle()


@pytest.mark.parametrize("status", [200, 201, 302, 404, 418, 500, 599, 999])
def test_status_line(asked, status):
    line, _, _ = respond(asked(), status, length=0).partition(b"\r\n")
    assert line.startswith(b"HTTP/1.1 %d " % status)


def test_close(asked):
    protocol = asked()
    status, headers, body = parse(respond(protocol, body=[b"hello"], length=5, close=True))
    assert (status, body) == (200, b"hello")
    assert [value for name, value in headers if name == b"connection"] == [b"close"]
    assert not protocol.next_cycle()


def test_app_that_wants_to_close(asked):
    protocol = asked()
    _, headers, _ = parse(respond(protocol, headers=[(b"connection", b"close")], body=[b"hello"], length=5))
    assert (b"connection", b"close") in headers
    assert not protocol.next_cycle()


def test_repeated_headers_stay_apart_and_in_order(asked):
    _, headers, _ = parse(respond(asked(), headers=[(b"set-cookie", b"a"), (b"set-cookie", b"b")], length=0))
    assert [value for name, value in headers if name == b"set-cookie"] == [b"a", b"b"]


def test_output_comes_in_step(asked):
    protocol = asked()
    [head] = protocol.send_response(200, of_length(NONE, 5), b"", True, False)
    assert head.endswith(b"\r\n\r\n")
    assert protocol.send_body(b"hel", True) == b"hel"
    assert protocol.send_body(b"lo", True) == b"lo"
    assert protocol.send_body(b"", False) == b""


def test_can_answer_until_an_answer_has_begun(make):
    protocol = make()
    assert not protocol.begun
    feed(protocol, REQUESTS["get"][0])
    assert not protocol.begun
    protocol.send_response(200, of_length(NONE, 2), b"", True, False)
    assert protocol.begun
    protocol.send_body(b"ok", False)
    assert protocol.begun
    assert protocol.next_cycle()
    assert not protocol.begun


def test_100_continue(make):
    protocol = make()
    data, events = REQUESTS["expects 100"]
    assert feed(protocol, data[:-1]) == events[:1]
    assert protocol.send_informational(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not protocol.begun
    assert feed(protocol, data[-1:]) == events[1:]
    assert parse(answer(protocol))[0] == 200
    assert protocol.next_cycle()


def test_final_answer_instead_of_100_continue(make):
    protocol = make()
    feed(protocol, REQUESTS["expects 100"][0][:-1])
    status, headers, _ = parse(respond(protocol, 401, length=0, close=True))
    assert status == 401
    assert (b"connection", b"close") in headers
    assert not protocol.next_cycle()


def test_answer_before_the_body_has_come(make):
    protocol = make()
    feed(protocol, POST + b"Content-Length: 5\r\n\r\nhe")
    assert parse(answer(protocol))[2] == b"ok"
    assert feed(protocol, b"llo") == [Body(b"llo"), END]
    assert protocol.next_cycle()


# -- what the app may not send ---------------------------------------------------------------------------------------

ILLEGAL = {
    "space in name": [(b"x y", b"z")],
    "colon in name": [(b"x:", b"z")],
    "empty name": [(b"", b"z")],
    "line end in name": [(b"x\r\ny", b"z")],
    "line end in value": [(b"x", b"y\r\nset-cookie: z")],
    "line feed in value": [(b"x", b"y\nz")],
    "carriage return in value": [(b"x", b"y\rz")],
    "nul in value": [(b"x", b"\x00")],
    "length that is no number": [(b"content-length", b"five")],
    "negative length": [(b"content-length", b"-5")],
    "two different lengths": [(b"content-length", b"5"), (b"content-length", b"6")],
    "unknown transfer coding": [(b"transfer-encoding", b"gzip")],
}


@pytest.mark.parametrize("headers", ILLEGAL.values(), ids=list(ILLEGAL))
def test_illegal_header(headers):
    with pytest.raises(LocalProtocolError):
        render(headers)


@pytest.mark.parametrize(("headers", "length"), [([], 4), ([(b"content-length", b"4")], None)])
def test_body_longer_than_announced(asked, headers, length):
    protocol = asked()
    fields = render(headers) if length is None else of_length(NONE, length)
    [sent] = protocol.send_response(200, fields, b"abc", True, False)
    assert sent.endswith(b"\r\n\r\nabc")
    with pytest.raises(LocalProtocolError):
        protocol.send_body(b"de", True)
    assert protocol.begun
    assert not protocol.next_cycle()


@pytest.mark.parametrize(("headers", "length"), [([], 4), ([(b"content-length", b"4")], None)])
def test_body_shorter_than_announced(asked, headers, length):
    protocol = asked()
    protocol.send_response(200, render(headers) if length is None else of_length(NONE, length), b"abc", True, False)
    with pytest.raises(LocalProtocolError):
        protocol.send_body(b"", False)
    assert protocol.begun
    assert not protocol.next_cycle()


@pytest.mark.parametrize(("length", "body", "more"), [(4, b"abcde", True), (4, b"abcde", False), (4, b"abc", False)])
def test_body_of_a_wrong_length_that_is_known_before_anything_was_sent(asked, length, body, more):
    protocol = asked()
    with pytest.raises(LocalProtocolError, match="data for declared Content-Length"):
        protocol.send_response(200, render([(b"content-length", b"%d" % length)]), body, more, False)
    assert not protocol.begun
    [sent] = protocol.send_response(500, NONE, b"sorry", False, False)
    assert parse(sent)[::2] == (500, b"sorry")
    assert protocol.next_cycle()


def test_second_response(asked):
    protocol = asked()
    protocol.send_response(200, NONE, b"", False, False)
    with pytest.raises(LocalProtocolError):
        protocol.send_response(200, NONE, b"", False, False)


def test_body_behind_the_end(asked):
    protocol = asked()
    respond(protocol, body=[b"ok"], length=2)
    with pytest.raises(LocalProtocolError):
        protocol.send_body(b"more", True)


@given(
    name=st.binary(max_size=8),
    value=st.binary(max_size=8),
)
@pytest.mark.parametrize("parser", PARSERS)
def test_no_header_can_split_a_response(parser, name, value):
    protocol = Http1Protocol(parser(Limits()), NoCommonFields())
    feed(protocol, REQUESTS["get"][0])
    try:
        output = respond(protocol, headers=[(name, value)], body=[b"ok"], length=2)
    except LocalProtocolError:
        return
    start, _, body = output.partition(b"\r\n\r\n")
    assert body == b"ok"
    lines = start.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert [line for line in lines if line.lower().startswith(name.lower() + b":")]


# -- header blocks that were seen before -----------------------------------------------------------------------------


@given(
    method=st.sampled_from([b"GET", b"POST", b"CONNECT", b"TRACE", b"get", b"PRI", b"FOO", b"G\0T", b""]),
    target=st.one_of(st.binary(max_size=6).map(lambda tail: b"/" + tail), st.sampled_from([b"*", b"", b"http://a/"])),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b""]),
    end=st.sampled_from([b"\r\n", b"\n", b" \r\n"]),
    block=st.sampled_from([b"Host: a\r\n\r\n", b"Host: a\r\nContent-Length: 2\r\n\r\n"]),
)
def test_known_block_behind_any_line_is_read_as_h11_reads_it(method, target, version, end, block):
    known = KnownFields()
    while known.get(block) is None:
        feed(Http1Protocol(HttptoolsParser(Limits(), known), NoCommonFields()), b"POST / HTTP/1.1\r\n" + block)
    meanings = []
    for parser in (HttptoolsParser(Limits(), known), H11Parser(Limits())):
        try:
            meanings.append(
                feed(
                    Http1Protocol(parser, NoCommonFields()),
                    method + b" " + target + b" " + version + end + block + b"ok",
                )[:2]
            )
        except RemoteProtocolError as error:
            meanings.append(error.status)
    assert meanings[0] == meanings[1]


def test_known_block_counts_for_the_limit_of_the_head(make):
    assert len(feed(make(head=60), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) == 2
    with pytest.raises(RemoteProtocolError) as caught:
        feed(make(head=60), b"GET /" + b"x" * 40 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caught.value.status == 431


# -- memory ----------------------------------------------------------------------------------------------------------


def refused(protocol):
    with pytest.raises(RemoteProtocolError):
        protocol.receive_data(b"BAD\r\n\r\n")


def test_a_refused_request_keeps_nothing(make):
    gc.disable()
    try:
        protocol = make()
        gone = weakref.ref(protocol.parser)
        refused(protocol)
        del protocol
        assert gone() is None
    finally:
        gc.enable()
