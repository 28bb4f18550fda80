"""worker.asgi.exchange: ASGI's `receive` and `send`, with a worker that only keeps what is posted."""

import asyncio
import contextvars
import copy
import gc
import http
import weakref

import pytest
from waiting import PATIENCE, turn
from worker_side import NUMBER, FakeEnd, FakeWorker, trouble

from snakepit.errors import ClientDisconnected, LocalProtocolError
from snakepit.http.fields import NONE, of_length, render
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.wire.envelopes import ANSWER, BODY, CHUNK, CONTINUE, CREDIT, DONE, LARGE, RESPONSE, WINDOW, cost
from snakepit.worker.asgi import exchange as asgi
from snakepit.worker.asgi import loop
from snakepit.worker.asgi.exchange import HEAD_TURNS, AsgiExchange
from snakepit.worker.asgi.loop import AsgiWorker
from snakepit.worker.asgi.websocket import AsgiWebSocket


def request(target=b"/", headers=((b"host", b"a"),), body=b"", more=False, expects_continue=False, **other):
    fields = {
        "method": "POST",
        "client": ("10.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        "version": "1.1",
        "scheme": "http",
    } | other
    assert fields.keys() <= {"method", "client", "server", "version", "scheme", "said"}
    return envelopes.request(
        NUMBER,
        fields["method"],
        target,
        fields["version"],
        list(headers),
        fields["client"],
        fields["server"],
        fields["scheme"],
        body,
        more,
        expects_continue,
        fields.get("said"),
    )


def serve(app, scenario=None, root_path="", mount="", **fields):
    """Run an app over one exchange, beside a scenario that plays the main interpreter; returns the worker."""

    async def main():
        worker = FakeWorker(app, root_path, mount)
        worker.lifespan.state["from"] = "lifespan"
        exchange = AsgiExchange(worker, request(**fields))
        async with asyncio.timeout(PATIENCE):
            task = asyncio.Task(exchange.run(), loop=worker.loop, eager_start=True)
            went_on = not task.done()
            if went_on:
                exchange.goes_on(task)
            if scenario is not None:
                await scenario(exchange, worker)
            await task
        assert worker.over == [exchange] * went_on
        last = worker.end.posted[-1]
        assert last[0] in (DONE, ANSWER), "DONE is the last envelope of each exchange, unless that is an ANSWER"
        assert len(worker.posted(DONE, ANSWER)) == 1
        assert not (worker.posted(ANSWER) and worker.posted(RESPONSE, BODY)), "an ANSWER is the whole response"
        assert all(envelope[1] == NUMBER for envelope in worker.end.posted)
        return worker

    return asyncio.run(main())


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(send, data=b"ok"):
    await send(start())
    await send(body(data))


# -- scope -----------------------------------------------------------------------------------------------------------


def scope_of(root_path="", mount="", **fields):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        await answer(send)

    assert trouble(serve(app, root_path=root_path, mount=mount, **fields)) is None
    return seen[0]


def test_scope():
    assert scope_of(target=b"/a%20b/c%2Fd?e=%20", headers=[(b"host", b"a"), (b"x", b"y")]) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a b/c/d",
        "raw_path": b"/a%20b/c%2Fd",
        "query_string": b"e=%20",
        "root_path": "",
        "headers": [(b"host", b"a"), (b"x", b"y")],
        "client": ("10.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        "state": {"from": "lifespan"},
        "extensions": {"http.response.pathsend": {}},
    }


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/", "/"), (b"/%C3%BC", "/ü"), (b"/%FF", "/\ufffd"), (b"*", "*"), (b"http://b/c", "/c"), (b"/100%", "/100%")],
)
def test_path(target, path):
    assert scope_of(target=target)["path"] == path


@pytest.mark.parametrize(("said", "above"), [(None, "/option"), ("/proxy", "/proxy")])
def test_a_mount_is_part_of_the_path_and_of_the_root_path(said, above):
    scope = scope_of(root_path="/option", mount="/api", target=b"/api/a%20b", said=said)
    assert (scope["root_path"], scope["path"]) == (f"{above}/api", f"{above}/api/a b")
    assert scope["raw_path"] == f"{above}/api/a%20b".encode()


def test_root_path_is_part_of_the_path():
    scope = scope_of(root_path="/api", target=b"/a%20b")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/a b", b"/api/a%20b")


@pytest.mark.parametrize(("said", "path"), [(None, "/option"), ("/proxy", "/proxy"), ("", "")])
def test_root_path_that_a_proxy_tells(said, path):
    scope = scope_of(root_path="/option", target=b"/a%20b", said=said)
    assert (scope["root_path"], scope["path"]) == (path, f"{path}/a b")
    assert scope["raw_path"] == path.encode() + b"/a%20b"


def test_unix_socket_has_no_addresses():
    scope = scope_of(client=None, server=None)
    assert (scope["client"], scope["server"]) == (None, None)


def change(value):
    """Change all that can be changed in place in a scope."""
    if isinstance(value, dict):
        for item in value.values():
            change(item)
        value["changed"] = True
    elif isinstance(value, list):
        value.append((b"changed", b"yes"))


@pytest.mark.parametrize("make", [AsgiExchange, AsgiWebSocket])
def test_an_app_that_changes_a_scope_changes_no_other(make):
    """Requests that cross together, and say the same, come with one list of headers."""

    async def main():
        worker = FakeWorker(app)
        worker.ws_max_queue = 1
        said = request()
        first, second = (make(worker, envelope).scope for envelope in decode(encode([said, said])))
        untouched = copy.deepcopy(second)
        change(first)
        assert first["headers"] != second["headers"]
        assert second == untouched
        assert make(worker, said).scope == untouched

    async def app(scope, receive, send): ...

    asyncio.run(main())


def test_state_is_a_copy_for_each_request():
    async def app(scope, receive, send):
        scope["state"]["from"] = "request"
        await answer(send)

    assert serve(app).lifespan.state == {"from": "lifespan"}


# -- responses -------------------------------------------------------------------------------------------------------


def test_small_response_is_one_envelope():
    async def app(scope, receive, send):
        await send(start(201, [(b"x", b"y")]))
        await send(body(b"hello"))

    assert serve(app).end.posted == [envelopes.answer(NUMBER, 201, render([(b"x", b"y")]), b"hello")]


@pytest.mark.parametrize("before", [0, 1], ids=["at once", "later"])
def test_response_leaves_when_the_turn_is_over_though_the_app_goes_on(before):
    async def app(scope, receive, send):
        for _ in range(before):
            await asyncio.sleep(0)
        await answer(send)
        await gate.wait()

    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == [envelopes.response(NUMBER, 200, NONE, b"ok", False)]
        gate.set()

    gate = asyncio.Event()
    assert serve(app, scenario).end.posted[1:] == [envelopes.done(NUMBER, None)]


def test_response_is_an_answer_though_the_app_reads_behind_it():
    """The credit for what it has read comes first then, and counts just the same."""

    async def app(scope, receive, send):
        await answer(send)
        assert (await receive())["more_body"]

    posted = serve(app, body=bytes(WINDOW // 2), more=True).end.posted
    assert posted == [envelopes.credit(NUMBER, WINDOW // 2), envelopes.answer(NUMBER, 200, NONE, b"ok")]


def test_first_of_a_stream_is_no_answer_when_the_app_stops_there():
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"a", True))

    worker = serve(app)
    assert worker.end.posted[0] == envelopes.response(NUMBER, 200, NONE, b"a", True)
    assert trouble(worker) == "the app returned without completing its response"


@pytest.mark.parametrize("turns", [0, 1], ids=["at once", "later"])
def test_a_head_that_nothing_follows_leaves_alone(turns):
    async def app(scope, receive, send):
        for _ in range(turns):
            await asyncio.sleep(0)
        await send(start(200, [(b"content-type", b"text/event-stream")]))
        await gate.wait()
        await send(body(b"data: 1", True))
        await send(body())

    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == [envelopes.response(NUMBER, 200, STREAM, b"", True)]
        gate.set()

    gate = asyncio.Event()
    assert serve(app, scenario).end.posted[1:] == [
        envelopes.body(NUMBER, b"data: 1", True),
        envelopes.body(NUMBER, b"", False),
        envelopes.done(NUMBER, None),
    ]


STREAM = render([(b"content-type", b"text/event-stream")])


@pytest.mark.parametrize("before", [0, 1], ids=["at once", "later"])
@pytest.mark.parametrize("between", range(HEAD_TURNS))
def test_a_head_waits_some_turns_for_the_body(before, between):
    async def app(scope, receive, send):
        for _ in range(before):
            await asyncio.sleep(0)
        await send(start())
        for _ in range(between):
            await asyncio.sleep(0)
        await send(body(b"ok"))

    assert serve(app).end.posted == [envelopes.answer(NUMBER, 200, NONE, b"ok")]


def test_what_ends_in_its_first_turn_leaves_nothing_to_be_called(monkeypatch):
    async def app(scope, receive, send):
        await answer(send)

    async def main():
        worker, loop = FakeWorker(app), asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_soon", None)
        task = asyncio.Task(AsgiExchange(worker, request()).run(), loop=loop, eager_start=True)
        monkeypatch.undo()
        assert task.done()
        return worker.end.posted

    assert asyncio.run(main()) == [envelopes.answer(NUMBER, 200, NONE, b"ok")]


@pytest.mark.parametrize("before", [0, 1], ids=["at once", "later"])
def test_no_head_leaves_behind_the_end(before):
    async def app(scope, receive, send):
        for _ in range(before):
            await asyncio.sleep(0)
        await send(start())
        await asyncio.sleep(0)
        raise RuntimeError("broken")

    async def scenario(exchange, worker):
        await turn()

    worker = serve(app, scenario)
    assert [envelope[0] for envelope in worker.end.posted] == [DONE], "so there is still 500 to be had"


def test_a_head_alone_costs_credit():
    """As the other side counts it, which gives credit back."""

    async def app(scope, receive, send):
        await send(start())
        await gate.wait()
        for _ in range(WINDOW // CHUNK):
            await send(body(bytes(CHUNK), True))
            progress.append(CHUNK)
        await send(body(b"x"))

    async def scenario(exchange, worker):
        await turn()
        gate.set()
        await turn()
        assert len(progress) == WINDOW // CHUNK
        assert len(worker.posted(RESPONSE, BODY)) == 1 + WINDOW // CHUNK
        exchange.add_credit(cost(b"") + 1)

    progress, gate = [], asyncio.Event()
    assert trouble(serve(app, scenario)) is None


# -- responses without a body ----------------------------------------------------------------------------------------

bodiless = pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)])


@bodiless
@pytest.mark.parametrize("data", [b"", b"hello", bytes(3 * CHUNK)], ids=len)
def test_of_a_response_without_body_only_the_head_crosses(method, status, data):
    async def app(scope, receive, send):
        await send(start(status, [(b"content-length", b"7")]))
        await send(body(data))

    posted = serve(app, method=method).end.posted
    assert posted == [envelopes.answer(NUMBER, status, render([(b"content-length", b"7")]), b"")]


@bodiless
@pytest.mark.parametrize("follows", [True, False], ids=["some of the body", "nothing"])
def test_an_app_that_goes_on_with_a_response_without_body_is_told_that_its_client_has_left(method, status, follows):
    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        await send(start(status))
        if follows:
            await send(body(b"data", True))
        seen.append((await receive())["type"])
        await send(body(b"data", True))
        await send(body())
        seen.append("committed")

    async def scenario(exchange, worker):
        await turn()

    seen = []
    worker = serve(app, scenario, method=method)
    assert worker.end.posted == [envelopes.response(NUMBER, status, NONE, b"", False), envelopes.done(NUMBER, None)]
    assert seen == ["http.disconnect", "committed"]


@bodiless
def test_a_stream_without_an_end_is_cut_though_it_would_have_no_body(monkeypatch, method, status):
    async def app(scope, receive, send):
        await send(start(status))
        try:
            while True:
                await send(body(b"data", True))
        finally:
            seen.append("tidied up")

    monkeypatch.setattr(asgi, "ENDLESS", (1e9, 100_000))
    seen = []
    worker = serve(app, method=method)
    assert worker.end.posted == [envelopes.response(NUMBER, status, NONE, b"", False), envelopes.done(NUMBER, None)]
    assert seen == ["tidied up"]


def test_streamed_response():
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"a", True))
        await send(body(b"b", True))
        await send(body())

    assert serve(app).end.posted == [
        envelopes.response(NUMBER, 200, NONE, b"a", True),
        envelopes.body(NUMBER, b"b", True),
        envelopes.body(NUMBER, b"", False),
        envelopes.done(NUMBER, None),
    ]


def test_defaults_of_the_messages():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    assert serve(app).end.posted == [envelopes.answer(NUMBER, 204, NONE, b"")]


def test_forms_that_headers_and_bodies_may_have():
    async def app(scope, receive, send):
        headers = ([bytearray(name), memoryview(value)] for name, value in [(b"x", b"y")])
        await send({"type": "http.response.start", "status": http.HTTPStatus.OK, "headers": headers})
        await send(body(bytearray(b"a"), True))
        await send(body(memoryview(b"b")))

    posted = serve(app).end.posted
    assert posted[0] == envelopes.response(NUMBER, 200, render([(b"x", b"y")]), b"a", True)
    assert posted[1] == envelopes.body(NUMBER, b"b", False)
    assert type(posted[0][2]) is int
    assert [type(part) for part in posted[0][3]] == [bytes, int, type(None)]


@pytest.mark.parametrize("waits", [False, True], ids=["answer", "response"])
@pytest.mark.parametrize(("size", "large"), [(LARGE, False), (LARGE + 1, True), (CHUNK, True)])
def test_large_bodies_are_told_of(size, large, waits):
    """Or they would be copied more often than they have to."""

    async def app(scope, receive, send):
        await answer(send, bytes(size))
        if waits:
            await asyncio.sleep(0)

    worker = serve(app)
    assert worker.end.large == worker.end.posted[:1] * large
    assert worker.end.posted[0][0] == (RESPONSE if waits else ANSWER)


@pytest.mark.parametrize(("size", "large"), [(LARGE, False), (LARGE + 1, True)])
def test_large_chunks_are_told_of(size, large):
    async def app(scope, receive, send):
        await send(start())
        for _ in range(3):
            await send(body(bytes(size), True))
        await send(body())

    worker = serve(app)
    assert worker.end.large == worker.end.posted[:3] * large


def test_large_body_is_cut():
    data = bytes(2 * CHUNK + 5)

    async def app(scope, receive, send):
        await answer(send, data)

    worker = serve(app)
    sent = worker.posted(RESPONSE, BODY)
    assert [envelope[0] for envelope in sent] == [RESPONSE, BODY, BODY]
    assert sent[0][3:] == (of_length(NONE, 2 * CHUNK + 5), bytes(CHUNK), True)
    assert sent[1][2:] == (bytes(CHUNK), True)
    assert sent[2][2:] == (bytes(5), False)


# -- credit for the response -----------------------------------------------------------------------------------------


def test_send_waits_when_the_window_is_used_up():
    total = 3 * WINDOW
    progress = []

    async def app(scope, receive, send):
        await send(start())
        for _ in range(total // CHUNK):
            await send(body(bytes(CHUNK), True))
            progress.append(CHUNK)
        await send(body())

    async def scenario(exchange, worker):
        await turn()
        assert sum(progress) == WINDOW
        assert len(worker.end.posted) == WINDOW // CHUNK
        exchange.add_credit(CHUNK)
        await turn()
        assert sum(progress) == WINDOW + CHUNK
        exchange.add_credit(total)

    worker = serve(app, scenario)
    assert trouble(worker) is None
    assert sum(progress) == total


def test_one_large_send_waits_too():
    async def app(scope, receive, send):
        await answer(send, bytes(2 * WINDOW))

    async def scenario(exchange, worker):
        await turn()
        assert sum(len(envelope[4] if envelope[0] == RESPONSE else envelope[2]) for envelope in worker.end.posted) == (
            WINDOW
        )
        exchange.add_credit(WINDOW)

    assert trouble(serve(app, scenario)) is None


def test_tiny_chunks_are_bounded_as_well():
    async def app(scope, receive, send):
        await send(start())
        for _ in range(10_000):
            await send(body(b"x", True))
        await send(body())

    async def scenario(exchange, worker):
        await turn()
        assert len(worker.end.posted) == WINDOW // cost(b"x")
        exchange.add_credit(10_001 * cost(b"x"))

    worker = serve(app, scenario)
    assert trouble(worker) is None
    assert len(worker.posted(RESPONSE, BODY)) == 10_001


def test_too_little_credit_is_none():
    async def app(scope, receive, send):
        await answer(send, bytes(WINDOW + 1))

    async def scenario(exchange, worker):
        # the chunk before the last one overdraws nothing: exactly the window is used up
        await turn()
        before = len(worker.end.posted)
        exchange.add_credit(0)
        await turn()
        assert len(worker.end.posted) == before
        exchange.add_credit(1)

    assert trouble(serve(app, scenario)) is None


# -- order of messages -----------------------------------------------------------------------------------------------


def refused(messages, match):
    """The last of the messages raises, in the app; what it does not catch becomes the exchange's fault."""
    seen = []

    async def app(scope, receive, send):
        for message in messages[:-1]:
            await send(message)
        with pytest.raises(LocalProtocolError, match=match) as caught:
            await send(messages[-1])
        seen.append(caught.value)
        raise caught.value

    worker = serve(app)
    assert len(seen) == 1
    assert trouble(worker).startswith("Traceback")
    assert str(seen[0]) in trouble(worker)
    return worker


def test_body_before_start():
    worker = refused([body(b"x")], "'http.response.body' is not a message that can be sent before 'http.response.start")
    assert worker.posted(RESPONSE, BODY) == []


def test_start_twice():
    refused([start(), start()], "within a response")


def test_start_within_the_body():
    refused([start(), body(b"x", True), start()], "within a response")


@pytest.mark.parametrize("message", [start(), body(b"x"), body()])
def test_anything_after_the_end(message):
    worker = refused([start(), body(b"x"), message], "after the response was completed")
    assert [envelope[0] for envelope in worker.end.posted] == [RESPONSE, DONE]


@pytest.mark.parametrize("kind", ["http.response.begin", "websocket.accept", "lifespan.startup.complete", ""])
def test_unknown_message(kind):
    refused([{"type": kind}], f"'{kind}' is not a message that can be sent")


@pytest.mark.parametrize("status", [None, "200", 199, 100, 1000, 0, -1, 200.0, True])
def test_bad_status(status):
    refused([start(status)], f"a response's status must be a number from 200 to 999, not {status!r}")


def test_no_status():
    refused([{"type": "http.response.start"}], "not None")


@pytest.mark.parametrize("data", ["text", None, 5, [b"x"]])
def test_bad_body(data):
    worker = refused([start(), body(data)], f"a body must be bytes, not {type(data).__name__}")
    assert worker.posted(RESPONSE, BODY) == []


@pytest.mark.parametrize("headers", [[("x", b"y")], [(b"x", "y")], [(b"x", 5)], [(b"x",)], 5])
def test_bad_headers(headers):
    async def app(scope, receive, send):
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(body(b"x"))
        except Exception as error:
            seen.append(type(error))

    seen = []
    worker = serve(app)
    assert seen == [LocalProtocolError]
    assert worker.posted(RESPONSE, BODY) == []


ILLEGAL = [[(b"bad name", b"a")], [(b"a", b"b\r\nc: d")], [(b"content-length", b"tea")], [(b"a", b"\0")]]


@pytest.mark.parametrize("headers", ILLEGAL)
def test_illegal_headers(headers):
    worker = refused([start(headers=headers)], "illegal response")
    assert worker.posted(RESPONSE, BODY) == []


def test_app_can_still_answer_after_illegal_headers():
    async def app(scope, receive, send):
        with pytest.raises(LocalProtocolError):
            await send(start(headers=ILLEGAL[0]))
        await send(start(500, [(b"x", b"y")]))
        await send(body(b"sorry"))

    assert serve(app).end.posted == [envelopes.answer(NUMBER, 500, render([(b"x", b"y")]), b"sorry")]


@pytest.mark.parametrize(
    ("length", "data", "more"),
    [(4, b"hello", False), (4, b"hello", True), (4, b"hel", False), (4, b"", False), (0, b"x", True)],
)
@pytest.mark.parametrize("large", [0, 3 * CHUNK])
def test_a_body_of_a_wrong_length_that_is_known_before_anything_was_sent(length, data, more, large):
    announced = [(b"content-length", b"%d" % (length + large))]
    worker = refused([start(headers=announced), body(data + bytes(large), more)], "data for declared Content-Length")
    assert worker.posted(RESPONSE, BODY) == []


def test_app_can_still_answer_after_a_body_of_a_wrong_length():
    async def app(scope, receive, send):
        await send(start(headers=[(b"content-length", b"4")]))
        with pytest.raises(LocalProtocolError):
            await send(body(b"hello"))
        await send(start(500))
        await send(body(b"sorry"))

    assert serve(app).end.posted == [envelopes.answer(NUMBER, 500, NONE, b"sorry")]


def test_app_can_still_answer_after_a_refused_start():
    async def app(scope, receive, send):
        with pytest.raises(LocalProtocolError):
            await send(start(None))
        await answer(send)

    worker = serve(app)
    assert trouble(worker) is None
    assert worker.end.posted[0][:3] == (ANSWER, NUMBER, 200)


# -- how an app ends -------------------------------------------------------------------------------------------------


def test_without_a_response():
    async def app(scope, receive, send):
        pass

    assert trouble(serve(app)) == "the app returned without starting a response"


def test_with_a_start_only():
    async def app(scope, receive, send):
        await send(start())

    worker = serve(app)
    assert trouble(worker) == "the app returned without starting a response"
    assert len(worker.end.posted) == 1


def test_without_the_end_of_its_body():
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"x", True))

    assert trouble(serve(app)) == "the app returned without completing its response"


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3), KeyboardInterrupt()])
def test_raises(error):
    async def app(scope, receive, send):
        raise error

    text = trouble(serve(app))
    assert text.startswith("Traceback")
    assert "in app" in text
    assert type(error).__name__ in text.splitlines()[-1]


def test_goes_on_after_its_response():
    async def app(scope, receive, send):
        await answer(send)
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        assert await receive() == {"type": "http.disconnect"}

    assert trouble(serve(app)) is None


def test_raises_after_its_response():
    async def app(scope, receive, send):
        await answer(send)
        raise RuntimeError("too late")

    worker = serve(app)
    assert len(worker.posted(RESPONSE)) == 1
    assert trouble(worker).endswith("RuntimeError: too late")


@pytest.mark.parametrize(("stopping", "text"), [(True, None), (False, "the request's task was cancelled")])
def test_cancelled(stopping, text):
    async def app(scope, receive, send):
        await receive()
        await receive()

    async def scenario(exchange, worker):
        await turn()
        worker.stopping = stopping
        exchange.task.cancel()

    assert trouble(serve(app, scenario)) == text


# -- the request's body ----------------------------------------------------------------------------------------------


async def read(receive):
    messages = []
    while True:
        message = await receive()
        messages.append((message["body"], message["more_body"]))
        if not message["more_body"]:
            return messages


def received(scenario=None, **fields):
    seen = []

    async def app(scope, receive, send):
        seen.extend(await read(receive))
        await answer(send)

    worker = serve(app, scenario, **fields)
    assert trouble(worker) is None
    return seen, worker


def test_no_body():
    assert received()[0] == [(b"", False)]


def test_body_that_came_with_the_head():
    assert received(body=b"hello")[0] == [(b"hello", False)]


def test_body_that_comes_later():
    async def scenario(exchange, worker):
        await turn()
        exchange.add_body(b"b", True)
        await turn()
        exchange.add_body(b"c", False)

    assert received(scenario, body=b"a", more=True)[0] == [(b"a", True), (b"b", True), (b"c", False)]


def test_body_that_comes_later_all_at_once():
    async def scenario(exchange, worker):
        await turn()
        exchange.add_body(b"a", True)
        exchange.add_body(b"b", True)
        exchange.add_body(b"", False)

    assert received(scenario, more=True)[0] == [(b"a", True), (b"b", True), (b"", False)]


def test_credit_goes_back_for_what_was_read():
    chunks = 20

    async def scenario(exchange, worker):
        for _ in range(chunks - 1):
            exchange.add_body(bytes(CHUNK), True)
            await turn()
        exchange.add_body(b"", False)

    _, worker = received(scenario, body=bytes(CHUNK), more=True)
    given_back = [envelope[2] for envelope in worker.posted(CREDIT)]
    assert sum(given_back) > chunks * CHUNK - WINDOW, "or the sender would be stuck"
    assert sum(given_back) <= chunks * CHUNK
    assert len(given_back) <= chunks / 2, "not for every single chunk"


def test_no_credit_for_what_was_not_read():
    async def app(scope, receive, send):
        await answer(send)

    async def scenario(exchange, worker):
        for _ in range(10):
            exchange.add_body(bytes(CHUNK), True)

    assert serve(app, scenario, more=True).posted(CREDIT) == []


def test_two_tasks_may_receive():
    async def app(scope, receive, send):
        got = await asyncio.gather(receive(), receive())
        seen.extend(sorted(message["body"] for message in got))
        await answer(send)

    async def scenario(exchange, worker):
        await turn()
        exchange.add_body(b"a", True)
        await turn()
        assert not exchange.task.done()
        exchange.add_body(b"b", False)

    seen = []
    assert trouble(serve(app, scenario, more=True)) is None
    assert seen == [b"a", b"b"]


# -- Expect: 100-continue --------------------------------------------------------------------------------------------


def test_continue_is_sent_when_the_app_reads():
    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == [envelopes.continue_(NUMBER)]
        exchange.add_body(b"a", True)
        await turn()
        exchange.add_body(b"", False)

    seen, worker = received(scenario, more=True, expects_continue=True)
    assert seen == [(b"a", True), (b"", False)]
    assert len(worker.posted(CONTINUE)) == 1


def test_continue_comes_before_the_head():
    """Behind it, it would come too late, and the app would wait for a body that never comes."""

    async def app(scope, receive, send):
        await send(start())
        await reads.wait()
        assert (await receive())["body"] == b"a"
        await send(body(b"ok"))

    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == []
        reads.set()
        await turn()
        assert worker.end.posted == [envelopes.continue_(NUMBER), envelopes.response(NUMBER, 200, NONE, b"", True)]
        exchange.add_body(b"a", False)

    reads = asyncio.Event()
    worker = serve(app, scenario, more=True, expects_continue=True)
    assert trouble(worker) is None


def test_continue_does_not_come_before_a_response_that_is_complete():
    """The client would send its body for nothing."""

    async def app(scope, receive, send):
        await answer(send)
        await receive()

    assert [envelope[0] for envelope in serve(app, more=True, expects_continue=True).end.posted] == [
        RESPONSE,
        CONTINUE,
        DONE,
    ]


def test_continue_is_not_sent_when_the_app_does_not_read():
    async def app(scope, receive, send):
        await answer(send)

    assert serve(app, more=True, expects_continue=True).posted(CONTINUE) == []


def test_continue_is_not_sent_when_the_body_came_all_the_same():
    async def app(scope, receive, send):
        await gate.wait()
        await read(receive)
        await answer(send)

    async def scenario(exchange, worker):
        exchange.add_body(b"a", False)
        gate.set()

    gate = asyncio.Event()
    assert serve(app, scenario, more=True, expects_continue=True).posted(CONTINUE) == []


def test_continue_is_not_sent_unless_the_client_waits_for_it():
    async def scenario(exchange, worker):
        await turn()
        exchange.add_body(b"a", False)

    assert received(scenario, more=True)[1].posted(CONTINUE) == []


# -- the client goes -------------------------------------------------------------------------------------------------


def test_receive_tells_that_the_client_has_gone():
    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        seen.append(await receive())
        seen.append(await receive())

    async def scenario(exchange, worker):
        await turn()
        assert seen == []
        exchange.disconnect()

    seen = []
    assert trouble(serve(app, scenario)) is None, "an app that stops because the client has gone is not at fault"
    assert seen == [{"type": "http.disconnect"}] * 2


def test_receive_within_a_body_tells_that_the_client_has_gone():
    async def app(scope, receive, send):
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    seen = []
    assert trouble(serve(app, scenario, body=b"a", more=True)) is None
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    ("sent", "posted"),
    [([], 0), ([start()], 1), ([start(), body(b"x", True)], 1)],
    ids=["nothing", "start", "some body"],
)
def test_send_does_nothing_when_the_client_has_left(sent, posted):
    async def app(scope, receive, send):
        for message in sent:
            await send(message)
        await receive()
        await receive()
        for message in (start(), body(b"y", True), body(b"z")):
            await send(message)
        seen.append(await receive())
        seen.append("tidied up")

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    seen = []
    worker = serve(app, scenario)
    assert seen == [{"type": "http.disconnect"}, "tidied up"]
    assert trouble(worker) is None
    assert len(worker.posted(RESPONSE, BODY)) == posted


def test_send_that_waits_returns_when_the_client_leaves():
    async def app(scope, receive, send):
        await send(start())
        seen.append("waits")
        await send(body(bytes(WINDOW * 2), True))
        seen.append("goes on")

    async def scenario(exchange, worker):
        await turn()
        assert seen == ["waits"]
        exchange.disconnect()

    seen = []
    worker = serve(app, scenario)
    assert trouble(worker) is None
    assert seen == ["waits", "goes on"]
    assert len(worker.posted(RESPONSE, BODY)) == WINDOW // CHUNK


@pytest.mark.parametrize("beside", [False, True], ids=["in its task", "in a task of its own"])
@pytest.mark.parametrize("limit", [(0.01, 1 << 40), (1e9, 100_000)], ids=["seconds", "bytes"])
def test_a_stream_without_an_end_is_cut_when_nobody_reads_it(monkeypatch, limit, beside):
    async def stream(send):
        try:
            while True:
                await send(body(b"data", True))
        finally:
            seen.append("tidied up")

    async def app(scope, receive, send):
        await send(start())
        if beside:
            await asyncio.create_task(stream(send))
        else:
            await stream(send)

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    monkeypatch.setattr(asgi, "ENDLESS", limit)
    seen = []
    assert trouble(serve(app, scenario)) is None
    assert seen == ["tidied up"]


def test_a_stream_that_nobody_reads_does_not_stop_the_loop():
    async def app(scope, receive, send):
        await send(start())
        while not seen:
            await send(body(b"data", True))

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()
        await turn()
        seen.append("the loop turns")

    seen = []
    assert trouble(serve(app, scenario)) is None


def test_a_stream_with_an_end_comes_to_it():
    async def app(scope, receive, send):
        await send(start())
        await receive()
        await receive()
        for _ in range(100):
            await send(body(bytes(100_000), True))
        await send(body())
        seen.append("committed")

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    seen = []
    assert trouble(serve(app, scenario)) is None
    assert seen == ["committed"]


@pytest.mark.parametrize(("more", "cut_off"), [(True, True), (False, False)], ids=["within", "after its request"])
def test_what_fails_because_the_client_left_in_the_middle_is_told(more, cut_off):
    async def app(scope, receive, send):
        await receive()
        await receive()
        raise ZeroDivisionError

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    worker = serve(app, scenario, body=b"a", more=more)
    assert "ZeroDivisionError" in trouble(worker)
    assert worker.end.posted[-1][3] == cut_off


def test_own_client_disconnected_is_a_fault():
    async def app(scope, receive, send):
        raise ClientDisconnected("some other client")

    assert trouble(serve(app)).endswith("ClientDisconnected: some other client")


def test_listener_beside_the_answer_ends_with_it():
    async def app(scope, receive, send):
        async def listen():
            await receive()
            return await receive()

        listener = asyncio.ensure_future(listen())
        await turn()
        assert not listener.done()
        await answer(send)
        seen.append(await listener)

    seen = []
    assert trouble(serve(app)) is None
    assert seen == [{"type": "http.disconnect"}]


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def make_worker(monkeypatch):
    """A function that makes a worker, of which only the end is played."""

    def make(app):
        settings = {
            "lifespan": "off",
            "reset_contextvars": False,
            "root_path": "",
            "mount": "",
            "ws_max_queue": 1,
            "timeout_request": None,
            "debug": False,
            "channels": [None],
        }
        return AsgiWorker(app, settings, asyncio.get_running_loop())

    monkeypatch.setattr(loop, "attach_worker_loop", lambda *_: FakeEnd())
    return make


@pytest.mark.parametrize("waits", [False, True])
def test_each_request_has_a_task_and_a_context_of_its_own(make_worker, waits):
    async def app(scope, receive, send):
        task = asyncio.current_task()
        found.append((task, context.get(None)))
        context.set(scope["path"])
        async with asyncio.timeout(PATIENCE):  # which needs a task
            if waits:
                await asyncio.sleep(0)
        found.append((asyncio.current_task(), context.get(None)))
        await answer(send)

    async def main():
        worker = make_worker(app)
        worker._take(
            [(kind, number, *rest) for number in (1, 2) for kind, _, *rest in [request(target=b"/%d" % number)]]
        )
        await turn()
        assert [envelope[:2] for envelope in worker.end.posted] == [(ANSWER, 1), (ANSWER, 2)]
        assert asyncio.current_task() not in dict(found)
        assert context.get(None) is None

    context, found = contextvars.ContextVar("path"), []
    asyncio.run(main())
    assert [path for _, path in found] == ([None, None, "/1", "/2"] if waits else [None, "/1", None, "/2"])
    assert len(dict(found)) == 2


@pytest.mark.parametrize("waits", [False, True])
def test_a_request_in_a_context_variable_is_gone_with_its_exchange(make_worker, waits):
    class Request:
        def __init__(self, *parts):
            self.parts = parts

    async def app(scope, receive, send):
        request = Request(scope, receive, send)
        context.set(request)
        kept.append(weakref.ref(request))
        if waits:
            await asyncio.sleep(0)
        await answer(send)

    async def main():
        worker = make_worker(app)
        worker._take([request()])
        await turn()
        assert worker.end.posted[-1][0] == ANSWER
        assert [reference() for reference in kept] == [None]

    context, kept = contextvars.ContextVar("request"), []
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


# -- files that the server sends ---------------------------------------------------------------------------------------


def test_a_file_is_sent_by_the_main_interpreter_while_the_app_waits():
    went_on = []

    async def app(scope, receive, send):
        await send(start(201, [(b"content-length", b"5")]))
        await send({"type": "http.response.pathsend", "path": "/srv/a.txt"})
        went_on.append((await receive())["type"])
        went_on.append((await receive())["type"])

    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == [envelopes.file(NUMBER, 201, render([(b"content-length", b"5")]), "/srv/a.txt")]
        exchange.add_credit(1000)
        await turn()
        assert went_on == []
        exchange.file_sent()

    worker = serve(app, scenario)
    assert trouble(worker) is None
    assert went_on == ["http.request", "http.disconnect"]
    assert [envelope[0] for envelope in worker.end.posted] == [envelopes.FILE, DONE]


def test_a_file_behind_a_head_that_has_left():
    async def app(scope, receive, send):
        await send(start())
        for _ in range(HEAD_TURNS + 2):
            await asyncio.sleep(0)
        await send({"type": "http.response.pathsend", "path": "/srv/a.txt"})

    async def scenario(exchange, worker):
        await turn()
        assert worker.end.posted == [
            envelopes.response(NUMBER, 200, NONE, b"", True),
            envelopes.file(NUMBER, 0, NONE, "/srv/a.txt"),
        ]
        exchange.file_sent()

    assert trouble(serve(app, scenario)) is None


def test_a_client_that_leaves_while_a_file_is_sent():
    async def app(scope, receive, send):
        await send(start())
        await send({"type": "http.response.pathsend", "path": "/srv/a.txt"})
        await send(body(b"nobody reads this"))

    async def scenario(exchange, worker):
        await turn()
        exchange.disconnect()

    assert trouble(serve(app, scenario)) is None


def test_the_head_of_a_file():
    async def app(scope, receive, send):
        await send(start(200, [(b"content-length", b"5")]))
        await send({"type": "http.response.pathsend", "path": "/srv/a.txt"})

    worker = serve(app, method="HEAD")
    assert [envelope[0] for envelope in worker.end.posted] == [ANSWER]


@pytest.mark.parametrize("first", [[], [start(), body(b"x")]], ids=["before its head", "after the response"])
def test_a_file_in_the_wrong_place(first):
    async def app(scope, receive, send):
        for message in first:
            await send(message)
        await send({"type": "http.response.pathsend", "path": "/srv/a.txt"})

    assert "'http.response.pathsend' is not a message that can be sent" in trouble(serve(app))
