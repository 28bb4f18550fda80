"""The live page: its stream, its buttons, and who may not have them."""

import json
import re
import socket
import struct
import time

import pytest
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, PATIENCE, RUNTIME, Answer, Client, running, wait_until, workers_of

ON = "--dashboard"
TOKEN = "the-token-of-the-tests-is-long"
NOBODY = pytest.mark.skipif(RUNTIME == "thread", reason="an endless loop holds the main interpreter's GIL, too")


def ask(server, path, *fields, method="GET", host=None, body=b""):
    """One request, by default as if from this machine by its usual name."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}", "Connection: close", *fields]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return Answer(server.exchange("\r\n".join([*lines, "", ""]).encode() + body), method == "HEAD")


class Page:
    """The page in a browser, as far as the server has to do with it."""

    def __init__(self, server, *fields):
        self.server = server
        self.fields = fields
        answer = ask(server, "/_snakepit/", *fields)
        assert answer.status == 200, answer.raw
        self.token = re.search(r'name="snakepit-page" content="([^"]+)"', answer.text)[1]

    def get(self, name, *fields):
        return ask(self.server, f"/_snakepit/{name}", f"X-Snakepit-Page: {self.token}", *self.fields, *fields)

    def press(self, name, *fields, origin=None, token=None, host=None):
        """Press a button; returns the status, and what the page is told."""
        own = f"http://127.0.0.1:{self.server.port}"
        answer = ask(
            self.server,
            f"/_snakepit/{name}",
            f"Origin: {origin or own}",
            f"X-Snakepit-Page: {self.token if token is None else token}",
            *self.fields,
            *fields,
            method="POST",
            host=host,
        )
        return answer.status, json.loads(answer.body)["told"]

    def watch(self):
        return Stream(self)


class Stream:
    """The events that one browser gets."""

    def __init__(self, page):
        self.server = page.server
        self.client = Client(page.server)
        fields = "".join(f"{field}\r\n" for field in page.fields)
        fields += f"X-Snakepit-Page: {page.token}\r\n"
        self.client.send(f"GET /_snakepit/events HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
        self.head = self.client.read_head()
        self._rest = ""

    def next(self, name="state"):
        """The data of the next event with this name."""
        while True:
            while "\n\n" not in self._rest:
                size = int(self.client.file.readline() or b"0", 16)
                assert size, "the stream has ended"
                self._rest += self.client.file.read(size).decode()
                self.client.file.readline()
            event, _, self._rest = self._rest.partition("\n\n")
            kind, data = event.split("\n")
            if kind == f"event: {name}":
                return json.loads(data.removeprefix("data: "))

    def until(self, holds):
        """The first state for which this holds."""
        end = time.monotonic() + PATIENCE
        while not holds(state := self.next()):
            if time.monotonic() > end:
                print(self.server.err)
                raise AssertionError(state)
        return state

    def __enter__(self):
        assert self.head.status == 200, self.head.raw
        return self

    def __exit__(self, *_):
        self.client.close()


def test_the_state_goes_on(parts):
    with running("behaviors:app", *parts, ON) as server:
        page = Page(server)
        with page.watch() as stream:
            assert stream.head.headers["content-type"] == "text/event-stream"
            assert stream.next("past") == []
            first = stream.next()
            assert (first["rate"], first["requests"], first["several"]) == (None, 0, False)
            assert first["server"]["pid"] == server.pid
            for _ in range(5):
                assert server.get("/").status == 200
            assert server.get("/raise-before").status == 500
            state = stream.until(lambda state: state["requests"] == 6)
            assert state["errors"] == 1
            assert sum(state["histogram"]["total"]) == sum(state["histogram"]["queue"]) == 6
            [app] = state["apps"]
            assert sum(worker["served"] for worker in app["workers"]) == 6
            assert len(app["workers"]) == workers_of(2)
            ready = stream.until(lambda state: state["verdict"]["level"] == "well")
            assert ready["verdict"]["reasons"] == []
            assert ready["rate"] is not None
            with page.watch() as other:
                assert other.next("past"), "what was seen before"
                listed = other.next("listed")
            [error] = listed["errors"]
            assert "Worker 1 ready: ASGI" in str(listed["events"])
            assert "raise-before" not in str(listed["events"])
            assert error["path"] == "/raise-before"
            assert "Traceback" in json.loads(page.get(f"error?number={error['number']}").body)["text"]
            assert server.stop() == 0
        assert "still in flight" not in server.err
        assert server.err.count("Traceback") == 1, server.err


@NOBODY
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_it_is_live_while_all_workers_hang_and_ends_what_hangs(app):
    with running(f"hanging:{app}", ON, "--threads", "1", workers=2) as server:
        page = Page(server)
        clients = [Client(server) for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(f"GET /burn?secret={number} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        server.wait_logged("begun", times=2)
        with page.watch() as stream:
            state = stream.until(
                lambda state: state["verdict"]["level"] == "bad" and len(state["in_flight"]["requests"]) == 3
            )
            assert state["verdict"]["reasons"][0] == "None of 2 workers reacts"
            assert {request["path"] for request in state["in_flight"]["requests"]} == {"/burn"}
            assert [each["state"] for each in state["in_flight"]["requests"]].count("running") == 2
            assert state["waiting"] == 1
            assert [worker["reacts"] for worker in state["apps"][0]["workers"]] == [False, False]
            for _ in clients:
                state = stream.until(lambda state: any(each["worker"] for each in state["in_flight"]["requests"]))
                hung = next(each for each in state["in_flight"]["requests"] if each["worker"])
                assert page.press(f"interrupt?id={hung['id']}") == (200, "Interrupted GET /burn")
                stream.until(
                    lambda state, hung=hung: hung["id"] not in [each["id"] for each in state["in_flight"]["requests"]]
                )
            stream.until(lambda state: state["verdict"]["level"] == "well")
        for client in clients:
            assert client.read().status == 504
            client.close()
        assert server.get("/").status == 200
        server.wait_logged("interrupted from the dashboard; ending it", times=3)
        assert "is replaced" not in server.err
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("app", "path", "said"),
    [
        ("wsgi", "/burn", "in burn"),
        ("wsgi", "/sleep", "in sleep"),
        ("asgi", "/burn", "in burn"),
        ("asgi", "/await", "await asyncio.sleep(1000)"),
        ("asgi", "/thread", "in burn"),
    ],
)
@NOBODY
def test_where_a_request_is(app, path, said):
    with running(f"hanging:{app}", ON, workers=1) as server, Client(server) as client:
        page = Page(server)
        client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        with page.watch() as stream:
            state = stream.until(lambda state: state["in_flight"]["requests"])
        [request] = state["in_flight"]["requests"]
        answer = page.get(f"stack?id={request['id']}")
        assert answer.status == 200, answer.body
        stack = json.loads(answer.body)["stack"]
        assert said in stack
        assert "hanging.py" in stack
        assert page.get("stack?id=9999").status == 409


@NEEDS_TWO_WORKERS
def test_buttons():
    with running("behaviors:app", ON, workers=1) as server:
        page = Page(server)
        assert page.press("scale?workers=2") == (200, "2 workers")
        with page.watch() as stream:
            assert len(stream.next()["apps"][0]["workers"]) == 2
            status, told = page.press("reload")
            assert (status, told[:20]) == (200, "Reloaded 2 workers i")
            state = stream.until(lambda state: {each["generation"] for each in state["apps"][0]["workers"]} == {2})
            assert state["apps"][0]["replaced"] == {"reload": 2}
        assert page.press("scale?workers=0") == (409, "There can be 1 to 1024 workers, not 0: nothing changes")
        assert page.press("interrupt?id=999") == (409, "This request is over")
        assert server.stop() == 0


@ONE_RUNTIME
def test_nothing_is_done_for_other_pages():
    with running("behaviors:app", ON, workers=1) as server:
        page = Page(server)
        refusals = [
            page.press("reload", token=""),
            page.press("reload", token="x" * 32),
            page.press("reload", origin="http://attacker.example"),
            page.press("reload", origin="null"),
            page.press("reload", f"Sec-Fetch-Site: {'same-site'}"),
            page.press("reload", "Sec-Fetch-Site: cross-site"),
            page.press("reload", host="attacker.example", origin="http://attacker.example"),
            page.press("reload", "X-Forwarded-For: 127.0.0.1"),
            page.press("reload", "Via: 1.1 proxy"),
        ]
        assert [status for status, _ in refusals] == [409, 409, *[403] * 7]
        assert all(told for _, told in refusals)
        for fields in (["X-Snakepit-Page: x"], [], ["Sec-Fetch-Site: same-site"]):
            assert ask(server, "/_snakepit/events", *fields).status in (403, 409)
        assert ask(server, "/_snakepit/", host="attacker.example").status == 403
        assert ask(server, "/_snakepit/", "X-Forwarded-For: 203.0.113.7").status == 403
        assert ask(server, "/_snakepit/", "Forwarded: for=127.0.0.1").status == 403
        old = server.exchange(b"GET /_snakepit/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert old.startswith(b"HTTP/1.1 403 ")
        assert "Reload" not in server.err
        assert server.get("/").status == 200


@ONE_RUNTIME
def test_with_a_token():
    env = {"SNAKEPIT_DASHBOARD_TOKEN": TOKEN}
    with running("behaviors:app", ON, "--access-log-health", env=env, workers=1) as server:
        assert ask(server, "/_snakepit/").status == 401, "from this machine, too"
        assert ask(server, "/_snakepit/style.css").status == 200
        origin = f"Origin: http://127.0.0.1:{server.port}"
        assert ask(server, "/_snakepit/login", origin, method="POST", body=b"token=wrong").status == 403
        assert ask(server, "/_snakepit/login", method="POST", body=f"token={TOKEN}".encode()).status == 403
        right = ask(server, "/_snakepit/login", origin, method="POST", body=f"token={TOKEN}".encode())
        assert (right.status, right.headers["location"]) == (303, "./")
        address = ask(server, f"/_snakepit/?token={TOKEN}")
        assert address.status == 200
        assert address.headers["set-cookie"] == right.headers["set-cookie"]
        cookie, *attributes = right.headers["set-cookie"].split("; ")
        assert attributes == ["HttpOnly", "SameSite=Strict"]

        page = Page(server, f"Cookie: {cookie}", "X-Forwarded-For: 203.0.113.7")
        with page.watch() as stream:
            assert stream.next()["server"]["state"] == "serving"
        assert page.press("reload")[0] == 200
        assert page.press("reload", origin="http://attacker.example")[0] == 403
        no_cookie = Page.__new__(Page)
        no_cookie.server, no_cookie.fields, no_cookie.token = server, (), page.token
        assert no_cookie.press("reload")[0] == 401
        assert server.stop() == 0
    assert '"GET /_snakepit/ HTTP/1.1" 200' in server.out
    assert TOKEN not in server.out + server.err


@ONE_RUNTIME
def test_a_short_token_is_refused_and_not_repeated():
    with pytest.raises(AssertionError) as caught, running("behaviors:app", ON, "--dashboard-token", "guess-me"):
        pass
    assert "dashboard_token must have at least 16 characters" in str(caught.value)
    assert "guess-me" not in str(caught.value)


@ONE_RUNTIME
def test_the_proxy_protocol_needs_a_token():
    with pytest.raises(AssertionError, match="needs dashboard_token"), running("behaviors:app", ON, "--proxy-protocol"):
        pass


@ONE_RUNTIME
def test_a_watcher_that_reads_nothing_harms_nobody():
    with running("behaviors:app", ON, workers=1) as server:
        page = Page(server)
        slow = [page.watch() for _ in range(3)]
        for stream in slow:
            stream.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with page.watch() as stream:
            before = stream.next()["time"]
            for _ in range(3):
                assert stream.next()["time"] - before > 0
                assert server.get("/").status == 200
            for each in slow:
                each.client.close()
            stream.until(lambda state: state["connections"] == 1)
        assert server.stop() == 0
        assert "Traceback" not in server.err


@ONE_RUNTIME
def test_there_may_be_so_many_watchers():
    with running("behaviors:app", ON, workers=1) as server:
        page = Page(server)
        streams = [page.watch() for _ in range(16)]
        assert {stream.head.status for stream in streams} == {200}
        assert page.get("events").status == 503
        streams.pop().client.close()
        others = [page.watch()]
        wait_until(lambda: others[-1].head.status == 200 or others.append(page.watch()), "there is room for one more")
        for stream in others:
            stream.client.close()
        for stream in streams:
            stream.client.close()
        assert server.stop() == 0


@NEEDS_TWO_WORKERS
def test_several_apps():
    mounts = ("--mount", "/shop=wsgi_behaviors:app", "--mount", "/hanging=hanging:wsgi")
    with running("behaviors:app", ON, *mounts, workers=1) as server:
        page = Page(server)
        server.wait_logged(" ready:", times=3)
        assert server.get("/shop/").status == 200
        assert server.get("/shop/raise").status == 500
        with page.watch() as stream:
            state = stream.until(lambda state: state["requests"] == 2)
            assert state["several"]
            by_name = {app["name"]: app for app in state["apps"]}
            assert {name: app["requests"] for name, app in by_name.items()} == {
                "/": 0,
                "/shop": 2,
                "/hanging": 0,
            }
            assert page.press("reload?app=/shop")[1].startswith("Reloaded 1 worker of /shop")
            state = stream.next()
            state = stream.next()
            found = {app["name"]: app["workers"][0]["generation"] for app in state["apps"]}
            assert found == {"/": 1, "/shop": 2, "/hanging": 1}
            assert page.press("reload?app=/none")[0] == 409
        assert server.stop() == 0


@ONE_RUNTIME
def test_with_metrics_both_count():
    with running("behaviors:app", ON, "--metrics", "/metrics", workers=1) as server:
        page = Page(server)
        assert server.get("/").status == 200
        with page.watch() as stream:
            assert stream.next()["requests"] == 1
        text = server.get("/metrics").text
        assert 'snakepit_requests_total{app="behaviors:app",method="GET",status="2xx"} 1.0' in text


@ONE_RUNTIME
def test_without_the_option_the_path_is_the_apps():
    with running("behaviors:app", workers=1) as server:
        assert b"snakepit-page" not in server.get("/_snakepit/").body
