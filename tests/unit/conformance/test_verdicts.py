"""What the conformance suite makes of a server's answers."""

import json

from conformance.verdicts import Clean, Read, Refuse, Switch, Wait
from conformance.wire import parsed


def answer(status=200, path=None, host="a", close=True, **told):
    body = b"no"
    fields = ""
    if path is not None:
        body = json.dumps({"path": path, "fields": {"host": host}, "body": "", **told}).encode()
        fields = "x-seen: 1\r\n"
    return f"HTTP/1.1 {status} X\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body


NEXT = answer(path="/canary", host="canary")


def test_a_refusal_is_the_last_answer():
    refuse = Refuse((400, 501))
    assert refuse.holds(parsed(answer(400), True))
    assert refuse.holds(parsed(answer(501), False))
    assert refuse.holds(parsed(b"", True))
    assert not refuse.holds(parsed(b"", False))
    assert not refuse.holds(parsed(answer(400) + NEXT, True))
    assert not refuse.holds(parsed(answer(200), True))
    assert not refuse.holds(parsed(answer(400) + answer(path="/smuggled"), True))


def test_a_refusal_that_may_go_on():
    refuse = Refuse((417,), may_go_on=True)
    assert refuse.holds(parsed(answer(417) + NEXT, True))
    assert not refuse.holds(parsed(answer(417) + answer(path="/smuggled"), True))


def test_a_reading_is_of_one_request():
    read = Read("", {"path": "/", "fields": {"host": "a"}})
    assert read.holds(parsed(answer(path="/") + NEXT, True))
    assert read.holds(parsed(answer(path="/"), True))
    assert not read.holds(parsed(answer(path="/b") + NEXT, True))
    assert not read.holds(parsed(answer(path="/", host="b") + NEXT, True))
    assert not read.holds(parsed(answer(path="/") + answer(path="/smuggled") + NEXT, True))
    assert not read.holds(parsed(answer(path="/") + answer(400), True))
    assert not read.holds(parsed(answer(path="/"), False))
    assert not read.holds(parsed(NEXT, True))


def test_what_comes_behind_a_reading():
    assert Read("", then="next").holds(parsed(answer(path="/") + NEXT, True))
    assert not Read("", then="next").holds(parsed(answer(path="/"), True))
    assert Read("", then="close").holds(parsed(answer(path="/"), True))
    assert not Read("", then="close").holds(parsed(answer(path="/") + NEXT, True))


def test_several_requests_in_their_order():
    read = Read("", paths=("/1", "/2"))
    assert read.holds(parsed(answer(path="/1") + answer(path="/2") + NEXT, True))
    assert not read.holds(parsed(answer(path="/2") + answer(path="/1") + NEXT, True))


def test_waiting_and_switching():
    assert Wait().holds(parsed(b"", False))
    assert not Wait().holds(parsed(b"", True))
    assert Switch().holds(parsed(b"\x00\x00\x12\x04\x00", False))
    assert not Switch().holds(parsed(answer(505), True))


def test_an_answer_in_which_something_was_injected():
    injected = b"HTTP/1.1 200 OK\r\nX-App: a\r\nInjected: 1\r\nContent-Length: 2\r\n\r\nok"
    assert not Clean("", only_refused=False).holds(parsed(injected + NEXT, True))
    assert not Clean("", only_refused=False).holds(parsed(injected.replace(b"\r\nI", b"\x00I"), True))
    assert Clean("", only_refused=False).holds(parsed(injected.replace(b"\r\nInjected", b" x") + NEXT, True))
    assert not Clean().holds(parsed(answer(200), True))
    assert Clean().holds(parsed(answer(500) + NEXT, True))


def test_answers_are_taken_apart():
    data = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\n\r\n"
        b"HTTP/1.0 400 Bad\r\n\nuntil the end"
    )
    outcome = parsed(data, True)
    assert outcome.interim == 1
    assert [(each.status, each.body) for each in outcome.answers] == [
        (200, b"abc"),
        (204, b""),
        (400, b"until the end"),
    ]
    assert str(outcome) == "200, 204, 400"
    assert str(parsed(b"garbage", False)) == "not HTTP/1, waits"
    assert parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + NEXT, True, is_head=True).answers[1].is_canary
