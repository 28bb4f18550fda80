"""snakepit.server.net.request_formats: the line of a request by a format."""

import base64
import os
import re

import pytest
from requests_over import MOMENT, request_over

from snakepit.config.access_format import ATOMS
from snakepit.server.net.request_formats import lines_by_format


def line(text, exchange, identified=False):
    return lines_by_format(text, identified)(exchange, MOMENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('%(h)s %(l)s %(u)s "%(r)s" %(s)s %(b)s', '10.0.0.1 - - "GET /a%20b?c=d?e HTTP/1.1" 404 7'),
        ("%(f)s|%(a)s", 'http://x/é|a \\"b\\" \\\\c'),
        ("%(R)s|%(U)s|%(Uq)s|%(q)s|%(m)s|%(H)s", "GET /a%20b HTTP/1.1|/a%20b|/a%20b?c=d?e|c=d?e|GET|HTTP/1.1"),
        ("%(S)s %(st)s %(B)d", "https Not Found 7"),
        ("%(T)d %(M)d %(D)d %(L)s %(dt_ms).1f", "2 2000 2000976 2.000977 2001.0"),
        ("%(queue_ms).1f %(app_ms).1f", "1.0 2000.0"),
        ("%(addr)s %(method)s %(scheme)s %(path)s", "10.0.0.1 GET https /a%20b"),
        ("%(query_string)s %(protocol)s", "c=d?e HTTP/1.1"),
        ("%(status)d %(worker)s %(app)s %(request_id)s", "404 3 shop -"),
        ("%({X-A}i)s %({user-agent}i)s %({none}i)s", '1, 2 a \\"b\\" \\\\c -'),
        ("%({x-b}o)s %({Content-Type}o)s %({none}o)s", "3 text/plain -"),
        ("100 %%", "100 %"),
    ],
)  # fmt: skip
def test_atoms(text, expected):
    assert line(text, request_over()) == expected


def test_every_atom_has_a_value_of_its_type():
    for name, value in ATOMS.items():
        how = {str: "s", int: "d", float: "f"}[type(value)]
        line(f"%({name}){how}", request_over())
        line(f"%({name}){how}", request_over(None, [], b"/", 0, status=999, served_by="no worker"))


def test_times():
    common = line("%(t)s", request_over())
    assert re.fullmatch(r"\[\d\d/(Dec/2025|Jan/2026):\d\d:\d\d:\d\d [+-]\d{4}\]", common)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", line("%(time)s", request_over()))
    assert line("%(p)s", request_over()) == f"<{os.getpid()}>"


def test_what_is_not_known():
    text = "%(h)s %(b)s %(B)d %(worker)s %(app)s %(f)s %(app_ms).1f"
    nobody = request_over(None, [], length=0, assigned_at=None, served_by="no worker")
    assert line(text, nobody) == "- - 0 - - - 0.0"
    assert line(text, request_over(length=0, served_by="worker 1")).startswith("10.0.0.1 - 0 1 - ")
    assert line("%(s)s", request_over(status=0)) == "499"


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
    assert line("%(u)s", request_over(headers=[(b"authorization", credentials.encode())])) == user


def test_nobody_can_forge_a_line():
    headers = [(b"user-agent", b"a\tb\x85c")]
    assert line("%(a)s", request_over(headers=headers)) == "a\\x09b\\x85c"
    assert line("%(r)s", request_over(target=b'/"\x85')) == 'GET /\\"\\x85 HTTP/1.1'


def test_ids():
    headers = [(b"x-request-id", b"abc"), (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00")]
    assert line("%(request_id)s %(trace_id)s", request_over(headers=headers)) == f"- {'a' * 32}"
    assert line("%(request_id)s", request_over(headers=headers), identified=True) == "abc"
    assert line("%(request_id)s %(trace_id)s", request_over(), identified=True) == "- -"
