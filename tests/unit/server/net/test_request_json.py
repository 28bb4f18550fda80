"""snakepit.server.net.request_json: the JSON object of a request, and its members."""

import json

import pytest
from requests_over import MOMENT, request_over

from snakepit.config.access_fields import DEFAULT_FIELDS, FIELDS
from snakepit.server.net.request_json import lines_as_json

TRACED = [(b"x-request-id", b"abc"), (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")]


def members(exchange, *names, **how):
    return json.loads(lines_as_json(names, **how)(exchange, MOMENT))


def test_the_members_of_each_object():
    found = members(request_over(headers=TRACED, left=True), identified=True)
    assert found == {
        "time": "2026-01-01T00:00:00.500Z",
        "level": "INFO",
        "logger": "snakepit.access",
        "message": "GET /a%20b?c=d?e 404",
        "client": "10.0.0.1:5000",
        "method": "GET",
        "path": "/a%20b",
        "query": "c=d?e",
        "http_version": "1.1",
        "status": 404,
        "bytes": 7,
        "queue_ms": 0.977,
        "app_ms": 2000.0,
        "total_ms": 2000.977,
        "client_left": True,
        "request_id": "abc",
        "trace_id": "a" * 32,
        "worker": 3,
        "app": "shop",
    }
    assert tuple(found) == DEFAULT_FIELDS


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"headers": TRACED, "left": True},
        {"peer": None, "headers": [], "target": b"/", "served_by": "no worker", "assigned_at": None},
        {"target": b'/"\\?"&?\x00', "status": 0, "left": True},
        {"target": b"/?", "length": 0, "status": 200, "served_by": "worker 7"},
        {"target": b"*", "served_by": 'worker 7 of "a b"', "peer": ('"x"', 0)},
    ],
)
@pytest.mark.parametrize("identified", [False, True])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_usual_objects_are_made_faster_and_are_the_same(request_, identified, share):
    how = {"identified": identified, "share": share}
    exchange = request_over(**request_)
    usual = lines_as_json(**how)(exchange, MOMENT)
    assert usual == lines_as_json(DEFAULT_FIELDS, **how)(exchange, MOMENT)
    json.loads(usual)


def test_what_is_not_known_is_left_out():
    found = members(request_over(None, [], b"/", served_by="no worker", assigned_at=None))
    assert found.keys() == {
        "time", "level", "logger", "message", "client", "method", "path", "http_version", "status", "bytes", "total_ms"
    }  # fmt: skip
    assert found["client"] == "local"


def test_an_id_that_a_client_made_up():
    assert "request_id" not in members(request_over(headers=TRACED))


def test_a_client_that_left_before_the_answer():
    found = members(request_over(status=0, left=True))
    assert (found["status"], found["client_left"]) == (499, True)


@pytest.mark.parametrize("name", FIELDS)
def test_each_member_by_itself(name):
    headers = [*TRACED, (b"host", b"h"), (b"user-agent", b"a"), (b"referer", b"r")]
    assert members(request_over(headers=headers, left=True), name, identified=True).keys() == {name}


def test_header_fields():
    found = members(request_over(), "status", "{X-A}i", "{none}i", "{x-b}o", "user_agent", "scheme")
    assert found == {"status": 404, "x-a": "1, 2", "x-b": "3", "user_agent": 'a "b" \\c', "scheme": "https"}


def test_nothing_that_a_client_sends_breaks_an_object():
    target = b'/"\\\x85\x00\x1f\xff?"'
    found = members(request_over(target=target, headers=[(b"user-agent", b'"\x80\n')]), *DEFAULT_FIELDS, "user_agent")
    assert found["path"] == '/"\\\x85\x00\x1f\xff'
    assert found["query"] == '"'
    assert found["user_agent"] == '"\x80\n'
    line = lines_as_json()(request_over(target=b"/\n\r"), MOMENT)
    assert line.splitlines() == [line]


def test_a_sample_says_of_how_many_it_is():
    assert members(request_over(), "status", share=0.25) == {"status": 404, "sampled": 0.25}


def test_an_object_of_which_nothing_is_known():
    assert members(request_over(), "request_id") == {}
