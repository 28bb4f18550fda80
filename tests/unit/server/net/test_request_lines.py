"""snakepit.server.net.request_lines: the line of a request, by a format and as JSON."""

import base64
import json
import os
import re

import pytest

from snakepit.config.access_format import ATOMS
from snakepit.http.events import RequestHead
from snakepit.server.net.request_lines import AnsweredRequest, lines_by_format, request_as_json

HEADERS = [(b"user-agent", b'a "b" \\c'), (b"referer", b"http://x/\xe9"), (b"x-a", b"1"), (b"x-a", b"2")]


def answered(peer=("10.0.0.1", 5000), headers=HEADERS, target=b"/a%20b?c=d?e", length=7, **more):
    head = RequestHead("GET", target, "1.1", headers, False)
    facts = {
        "status": 404,
        "fields": b"content-type: text/plain\r\nX-B: 3\r\n",
        "moment": 1767225600.5,
        "seconds": 2.0015,
        "served_by": "worker 3 of shop",
    } | more
    return AnsweredRequest(peer, "https", head, facts.pop("status"), length, **facts)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('%(h)s %(l)s %(u)s "%(r)s" %(s)s %(b)s', '10.0.0.1 - - "GET /a%20b?c=d?e HTTP/1.1" 404 7'),
        ("%(f)s|%(a)s", 'http://x/é|a \\"b\\" \\\\c'),
        ("%(R)s|%(U)s|%(Uq)s|%(q)s|%(m)s|%(H)s", "GET /a%20b HTTP/1.1|/a%20b|/a%20b?c=d?e|c=d?e|GET|HTTP/1.1"),
        ("%(S)s %(st)s %(B)d", "https Not Found 7"),
        ("%(T)d %(M)d %(D)d %(L)s %(dt_ms).1f", "2 2001 2001500 2.001500 2001.5"),
        ("%(addr)s %(method)s %(scheme)s %(path)s", "10.0.0.1 GET https /a%20b"),
        ("%(query_string)s %(protocol)s", "c=d?e HTTP/1.1"),
        ("%(status)d %(worker)s %(app)s %(request_id)s", "404 3 shop -"),
        ("%({X-A}i)s %({user-agent}i)s %({none}i)s", '1, 2 a \\"b\\" \\\\c -'),
        ("%({x-b}o)s %({Content-Type}o)s %({none}o)s", "3 text/plain -"),
        ("100 %%", "100 %"),
    ],
)  # fmt: skip
def test_atoms(text, line):
    assert lines_by_format(text)(answered()) == line


def test_every_atom_has_a_value_of_its_type():
    for name, value in ATOMS.items():
        how = {str: "s", int: "d", float: "f"}[type(value)]
        lines_by_format(f"%({name}){how}")(answered())
        lines_by_format(f"%({name}){how}")(answered(None, [], b"/", None, status=999, served_by="no worker"))


def test_times():
    common = lines_by_format("%(t)s")(answered())
    assert re.fullmatch(r"\[\d\d/(Dec/2025|Jan/2026):\d\d:\d\d:\d\d [+-]\d{4}\]", common)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", lines_by_format("%(time)s")(answered()))
    assert lines_by_format("%(p)s")(answered()) == f"<{os.getpid()}>"


def test_what_is_not_known():
    line = lines_by_format("%(h)s %(b)s %(B)d %(worker)s %(app)s %(f)s")
    assert line(answered(None, [], length=None, served_by="no worker")) == "- - 0 - - -"
    assert line(answered(length=0, served_by="worker 1")).startswith("10.0.0.1 - 0 1 - ")


@pytest.mark.parametrize(
    ("credentials", "user"),
    [
        ("Basic " + base64.b64encode(b"me:secret").decode(), "me"),
        ("basic " + base64.b64encode(b'm"e:').decode(), 'm\\"e'),
        ("Basic " + base64.b64encode(b"none").decode(), "-"),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), "-"),
        ("Basic %%", "-"),
        ("Bearer abc", "-"),
    ],
)
def test_users(credentials, user):
    assert lines_by_format("%(u)s")(answered(headers=[(b"authorization", credentials.encode())])) == user


def test_nobody_can_forge_a_line():
    headers = [(b"user-agent", b"a\tb\x85c")]
    assert lines_by_format("%(a)s")(answered(headers=headers)) == "a\\x09b\\x85c"
    assert lines_by_format("%(r)s")(answered(target=b'/"\x85')) == 'GET /\\"\\x85 HTTP/1.1'
    assert json.loads(request_as_json(answered(target=b'/"\x85')))["path"] == '/"\x85'
