"""worker.asgi.websocket: ASGI's `receive` and `send` for WebSockets, with a worker that keeps what is posted."""

import asyncio

import pytest
from waiting import PATIENCE, turn
from worker_side import NUMBER, FakeWorker, trouble

from snakepit.errors import ClientDisconnected, LocalProtocolError
from snakepit.http.fields import NONE, render
from snakepit.wire import envelopes
from snakepit.wire.envelopes import ACCEPT, ANSWER, BODY, CLOSE, CREDIT, DONE, MESSAGE, RESPONSE, WINDOW
from snakepit.worker.asgi.websocket import AsgiWebSocket

CONNECT = {"type": "websocket.connect"}
ACCEPTED = {"type": "websocket.accept"}
QUEUE = 32


def serve(app, scenario=None, headers=(), stopping=False):
    """Run an app over one session, beside a scenario that plays the main interpreter; returns the worker."""

    async def main():
        worker = FakeWorker(app)
        worker.ws_max_queue = QUEUE
        worker.stopping = stopping
        request = envelopes.request(
            NUMBER, "GET", b"/a?b=c", "1.1", list(headers), None, None, "ws", b"", False, False
        )  # fmt: skip
        session = AsgiWebSocket(worker, request)
        async with asyncio.timeout(PATIENCE):
            task = asyncio.Task(session.run(), loop=worker.loop, eager_start=True)
            went_on = not task.done()
            if went_on:
                session.goes_on(task)
            if scenario is not None:
                await scenario(session, worker)
            await task
        assert worker.over == [session] * went_on
        assert worker.end.posted[-1][0] in (DONE, ANSWER)
        assert len(worker.posted(DONE, ANSWER)) == 1
        return worker

    return asyncio.run(main())


def posted(worker):
    """What was posted but for the last, DONE; without the session's number."""
    return [(envelope[0], *envelope[2:]) for envelope in worker.end.posted[:-1]]


def text(data):
    return {"type": "websocket.send", "text": data}


def playing(*steps):
    """An app that receives ("receive") and sends (all else) what it is told, and keeps what it gets."""
    got = []

    async def app(scope, receive, send):
        for step in steps:
            if step == "receive":
                got.append(await receive())
            else:
                await send(step)

    return app, got


def closing(**fields):
    return {"type": "websocket.close", **fields}


def test_the_scope():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        await send(closing())

    lines = [b"one, two", b" three ", b","]
    serve(app, headers=[(b"host", b"t"), *((b"sec-websocket-protocol", line) for line in lines)])
    (scope,) = seen
    assert (scope["type"], scope["scheme"], scope["path"], scope["query_string"]) == ("websocket", "ws", "/a", b"b=c")
    assert scope["subprotocols"] == ["one", "two", "three"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert "method" not in scope


# -- accepting and denying -------------------------------------------------------------------------------------------


def test_it_is_accepted():
    app, got = playing("receive", ACCEPTED)
    worker = serve(app)
    assert got == [CONNECT]
    assert posted(worker) == [(ACCEPT, None, NONE)]
    assert trouble(worker) is None


def test_it_is_accepted_with_a_subprotocol_and_headers():
    accepted = {**ACCEPTED, "subprotocol": "two", "headers": iter([(b"X-A", memoryview(b"1"))])}
    worker = serve(playing("receive", accepted)[0], headers=[(b"sec-websocket-protocol", b"one, two")])
    assert posted(worker) == [(ACCEPT, "two", render([(b"X-A", b"1")]))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"subprotocol": "not offered"},
        {"headers": [(b"Upgrade", b"x")]},
        {"headers": [(b"connection", b"close")]},
        {"headers": [(b"Sec-WebSocket-Accept", b"x")]},
        {"headers": [(b"sec-websocket-extensions", b"x")]},
        {"headers": [(b"sec-websocket-protocol", b"one")]},
        {"headers": [("x-text", "not bytes")]},
        {"headers": [b"xy"]},
        {"headers": [(b"x", b"a\r\nb: c")]},
    ],
)
def test_it_is_accepted_in_a_wrong_way(wrong):
    worker = serve(playing("receive", {**ACCEPTED, **wrong})[0], headers=[(b"sec-websocket-protocol", b"one")])
    assert posted(worker) == []
    assert "LocalProtocolError" in trouble(worker)


def test_closing_it_before_is_403():
    app, got = playing("receive", closing(code=4000, reason="no"), "receive", "receive")
    worker = serve(app)
    assert worker.end.posted == [(ANSWER, NUMBER, 403, NONE, b"")]
    assert got == [CONNECT, *[{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 2]
    assert trouble(worker) is None


def start(status=401):
    return {"type": "websocket.http.response.start", "status": status, "headers": [(b"x-a", b"1")]}


def body(data=b"", more=False):
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


def test_a_denial_of_its_own():
    app, got = playing("receive", start(), body(b"who ", True), body(b"are you?"), "receive")
    worker = serve(app)
    fields = render([(b"x-a", b"1")])
    assert posted(worker) == [(RESPONSE, 401, fields, b"who ", True), (BODY, b"are you?", False)]
    assert got[-1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert trouble(worker) is None


@pytest.mark.parametrize("steps", [[], ["receive"], [start()], [start(), body(b"some", True)]])
def test_an_app_that_returns_too_early(steps):
    assert "the app returned without" in trouble(serve(playing(*steps)[0]))


# -- every message in every state ------------------------------------------------------------------------------------

MESSAGES = {
    "accept": ACCEPTED,
    "send": text("x"),
    "close": closing(),
    "start": start(),
    "body": body(),
}
STATES = {
    "new": ([], {"accept", "close", "start"}),
    "accepted": ([ACCEPTED], {"send", "close"}),
    "closed": ([ACCEPTED, closing()], set()),
    "denied": ([closing()], set()),
    "denying": ([start()], {"body"}),
    "within a denial": ([start(), body(b"x", True)], {"body"}),
    "after a denial": ([start(), body()], set()),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", [*MESSAGES, "unknown"])
def test_every_message_in_every_state(state, kind):
    steps, allowed = STATES[state]
    raised = []

    async def app(scope, receive, send):
        await receive()
        for step in steps:
            await send(step)
        try:
            await send(MESSAGES.get(kind, {"type": "websocket.unknown"}))
        except LocalProtocolError as error:
            raised.append(str(error))

    serve(app)
    assert bool(raised) == (kind not in allowed), raised
    assert all("is not a message that can be sent" in why for why in raised)


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("accepted", [True, False])
def test_every_message_once_the_client_has_gone(kind, accepted):
    async def app(scope, receive, send):
        await receive()
        if accepted:
            await send(ACCEPTED)
        assert (await receive())["type"] == "websocket.disconnect"
        if kind == "send":
            with pytest.raises(ClientDisconnected):
                await send(MESSAGES[kind])
        else:
            await send(MESSAGES[kind])
        tidied.append(kind)

    async def scenario(session, worker):
        await turn()
        if accepted:
            session.client_closed(1001, "")
        else:
            session.disconnect()

    tidied = []
    assert trouble(serve(app, scenario)) is None
    assert tidied == [kind], "what an app does after that is done"


# -- receiving -------------------------------------------------------------------------------------------------------


def test_messages_are_received_in_their_order_and_then_the_end():
    app, got = playing("receive", ACCEPTED, *["receive"] * 5)

    async def scenario(session, worker):
        session.add_message("one")
        await turn()
        session.add_message(b"two")
        session.add_message("")
        session.client_closed(3000, "bye")
        session.add_message("after the end")
        session.client_closed(1006, "")

    worker = serve(app, scenario)
    disconnect = {"type": "websocket.disconnect", "code": 3000, "reason": "bye"}
    received = [{"type": "websocket.receive", "text": "one"}, {"type": "websocket.receive", "bytes": b"two"}]
    assert got == [CONNECT, *received, {"type": "websocket.receive", "text": ""}, disconnect, disconnect]
    assert trouble(worker) is None


@pytest.mark.parametrize("size", [1, WINDOW // QUEUE, WINDOW, 3 * WINDOW])
def test_credit_is_given_back_for_what_was_received(size):
    least = max(size, WINDOW // QUEUE)
    count = -(-WINDOW // least)
    app, _ = playing("receive", ACCEPTED, *["receive"] * (count + 1))

    async def scenario(session, worker):
        for _ in range(count):
            session.add_message(b"x" * size)
        await turn()
        assert sum(envelope[2] for envelope in worker.posted(CREDIT)) == count * least
        session.client_closed(1000, "")

    serve(app, scenario)


# -- sending ---------------------------------------------------------------------------------------------------------


class Text(str):
    """What could not cross as it is."""


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ({"text": "a"}, "a"),
        ({"text": "☃", "bytes": None}, "☃"),
        ({"bytes": b"a"}, b"a"),
        ({"bytes": b"a", "text": None}, b"a"),
        ({"bytes": bytearray(b"a")}, b"a"),
        ({"bytes": memoryview(b"a")}, b"a"),
        ({"text": ""}, ""),
        ({"bytes": b""}, b""),
        ({"text": Text("a")}, "a"),
    ],
)
def test_a_message_is_sent(message, data):
    worker = serve(playing("receive", ACCEPTED, {"type": "websocket.send", **message})[0])
    assert posted(worker)[1:] == [(MESSAGE, data)]
    assert type(posted(worker)[1][1]) is type(data)


@pytest.mark.parametrize(
    "message", [{}, {"text": None}, {"text": b"a"}, {"bytes": "a"}, {"bytes": 1}, {"text": "\ud800"}]
)
def test_a_message_that_can_not_be_sent(message):
    worker = serve(playing("receive", ACCEPTED, {"type": "websocket.send", **message})[0])
    assert posted(worker)[1:] == []
    assert "LocalProtocolError" in trouble(worker)


def test_sending_waits_for_credit():
    app, _ = playing("receive", ACCEPTED, text("x" * WINDOW), text("y"), text("z"))

    async def scenario(session, worker):
        await turn()
        assert len(worker.posted(MESSAGE)) == 1
        session.add_credit(1)
        await turn()
        assert len(worker.posted(MESSAGE)) == 2
        session.add_credit(WINDOW)

    assert len(serve(app, scenario).posted(MESSAGE)) == 3


def test_the_client_goes_while_sending_waits():
    app, _ = playing("receive", ACCEPTED, text("x" * WINDOW), text("y"))

    async def scenario(session, worker):
        await turn()
        session.client_closed(1006, "")

    worker = serve(app, scenario)
    assert len(worker.posted(MESSAGE)) == 1
    assert trouble(worker) is None, "to let that pass through is how an app stops"


def test_the_app_closes_while_it_waits_to_send():
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPTED)
        await send(text("x" * WINDOW))
        waiting = asyncio.create_task(send(text("y")))
        await turn()
        await send(closing())
        scope["session"].add_credit(WINDOW)
        with pytest.raises(LocalProtocolError, match="closed the WebSocket while it was sending"):
            await waiting

    async def scenario(session, worker):
        session.scope["session"] = session

    assert trouble(serve(app, scenario)) is None


# -- closing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": None, "reason": None}, 1000, ""),
        ({"code": 1011, "reason": "bad"}, 1011, "bad"),
        ({"code": 3000}, 3000, ""),
        ({"code": 4999, "reason": "☃" * 41}, 4999, "☃" * 41),
    ],
)
def test_the_app_closes(fields, code, reason):
    app, got = playing("receive", ACCEPTED, closing(**fields), "receive")
    worker = serve(app)
    assert posted(worker)[1:] == [(CLOSE, code, reason)]
    assert got[-1] == {"type": "websocket.disconnect", "code": code, "reason": reason}


@pytest.mark.parametrize(
    "fields",
    [{"code": code} for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "1000")]
    + [{"reason": "x" * 124}, {"reason": "☃" * 42}, {"reason": "\ud800"}],
)
def test_the_app_closes_in_a_wrong_way(fields):
    worker = serve(playing("receive", ACCEPTED, closing(**fields))[0])
    assert worker.posted(CLOSE) == []
    assert "LocalProtocolError" in trouble(worker)


def test_a_session_that_is_cut_is_closed_with_1012():
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPTED)
        await receive()

    async def scenario(session, worker):
        await turn()
        worker.stopping = True
        session.task.cancel()

    worker = serve(app, scenario)
    assert posted(worker)[1:] == [(CLOSE, 1012, "")]
    assert trouble(worker) is None


def test_a_session_whose_task_is_cancelled_by_the_app_is_a_fault():
    async def app(scope, receive, send):
        await send(ACCEPTED)
        asyncio.current_task().cancel()
        await receive()
        await receive()

    worker = serve(app)
    assert worker.posted(CLOSE) == []
    assert "cancelled" in trouble(worker)


# -- a client that broke the protocol --------------------------------------------------------------------------------


def echoing():
    got = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPTED)
        while True:
            message = await receive()
            got.append(message)
            if message["type"] == "websocket.disconnect":
                with pytest.raises(ClientDisconnected):
                    await send(text("too late"))
                return
            await send(text(message["text"]))

    return app, got


def test_what_came_before_a_breach_is_answered_and_then_that_is_said():
    async def scenario(session, worker):
        session.add_message("one")
        session.add_message("two")
        session.client_broke(1002, "why")
        session.add_message("three")

    app, got = echoing()
    worker = serve(app, scenario)
    assert posted(worker)[1:] == [(MESSAGE, "one"), (MESSAGE, "two"), (CLOSE, 1002, "why")]
    assert got[-1] == {"type": "websocket.disconnect", "code": 1002, "reason": "why"}
    assert trouble(worker) is None


def test_a_breach_is_said_once():
    app, got = playing("receive", ACCEPTED, "receive", "receive")

    async def scenario(session, worker):
        session.client_broke(1007, "why")

    worker = serve(app, scenario)
    assert posted(worker)[1:] == [(CLOSE, 1007, "why")]
    assert got[1] == got[2]


def test_the_app_may_close_after_a_breach():
    app, _ = playing("receive", ACCEPTED, "receive", text("answer"), closing(code=4000), "receive")

    async def scenario(session, worker):
        session.add_message("one")
        session.client_broke(1002, "why")

    worker = serve(app, scenario)
    assert posted(worker)[1:] == [(MESSAGE, "answer"), (CLOSE, 4000, "")]


def test_a_breach_after_the_app_has_closed_is_nothing():
    app, got = playing("receive", ACCEPTED, closing(code=4000), "receive")

    async def scenario(session, worker):
        session.client_broke(1002, "why")

    worker = serve(app, scenario)
    assert posted(worker)[1:] == [(CLOSE, 4000, "")]
    assert got[-1]["code"] == 4000


def test_sending_waits_for_credit_after_a_breach_and_goes_on():
    app, _ = playing("receive", ACCEPTED, text("x" * WINDOW), text("y"), "receive")

    async def scenario(session, worker):
        await turn()
        session.client_broke(1002, "why")
        session.add_credit(WINDOW)

    worker = serve(app, scenario)
    assert [envelope[0] for envelope in posted(worker)[1:]] == [MESSAGE, MESSAGE, CLOSE]
