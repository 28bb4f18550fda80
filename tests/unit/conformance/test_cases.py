"""The cases of the conformance suite: each name is one case, and no two parsers read one of them differently."""

from collections import Counter

import pytest

from conformance.cases import CASES, GROUPS
from conformance.verdicts import Refuse
from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Limits, RequestHead
from snakepit.http.h1.fast_path import CleanHeadParser
from snakepit.http.h1.h11_parser import H11Parser
from snakepit.http.h1.httptools_parser import HttptoolsParser
from snakepit.http.h1.known_fields import KnownFields

PIECES = (1, 2, 3, 7, 64, 1 << 20)
LIMITS = Limits(head=4096, fields=50)


def test_names_are_unique():
    names = Counter(case.name for group in GROUPS for case in group.cases)
    assert [name for name, count in names.items() if count > 1] == []


def test_each_first_way_says_just_what_snakepit_does():
    first = {case.name: case.ways[0] for case in CASES.values()}
    assert [name for name, way in first.items() if not str(way)] == []
    assert [name for name, way in first.items() if isinstance(way, Refuse) and len(way.statuses) != 1] == []


def read_by(parser, data, size):
    """All requests that a parser finds in a stream that comes in pieces: their heads and bodies, or a status."""
    found = []
    parser_events = []
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        for piece in pieces:
            parser_events.append(parser.feed(piece))
            while parser.ended:
                parser_events.append(None)
                parser.restart()
                parser_events.append(parser.feed(b""))
    except RemoteProtocolError as error:
        parser_events.append(error.status)
    for event in parser_events:
        if isinstance(event, RequestHead):
            found.append([event.method, event.target, event.headers, event.keep_alive, event.demands_tls, event.body])
        elif isinstance(event, BodyData):
            found[-1][-1] += event.data
        elif event is not None:
            found.append(event)
    if found and isinstance(found[-1], int):
        # how much of a body came before it was refused depends on the pieces
        found[:-1] = [request[:-1] if request is found[-2] else request for request in found[:-1]]
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_parser_reads_the_same_however_it_comes(case):
    data = case.stream[:20_000]
    read = []
    for size in PIECES:
        read += [
            read_by(H11Parser(LIMITS), data, size),
            read_by(CleanHeadParser(LIMITS, KnownFields()), data, size),
            read_by(HttptoolsParser(LIMITS, KnownFields()), data, size),
        ]
    statuses = [requests[-1] if requests and isinstance(requests[-1], int) else None for requests in read]
    assert len(set(statuses)) == 1, statuses
    if statuses[0] is None:
        assert all(requests == read[0] for requests in read), read
