"""server.dashboard.responder, actions, pages and form: which request gets which answer."""

import asyncio
import json
from urllib.parse import quote

import pytest
from clients import FakeClient
from fakes import fake_of
from sinks import FakeDestination
from waiting import turn

from snakepit.errors import SnakepitError
from snakepit.http.events import RequestHead
from snakepit.server.dashboard.access import Access
from snakepit.server.dashboard.actions import Actions
from snakepit.server.dashboard.faults import Faults
from snakepit.server.dashboard.form import LONGEST
from snakepit.server.dashboard.responder import Dashboard
from snakepit.server.dashboard.watchers import Watched
from snakepit.server.events.events import Events
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.operate.commands import Adjustable
from snakepit.server.pool.outcome import Outcome
from snakepit.server.routing.router import Router
from snakepit.stacks.stack import Stack

TOKEN = "the-token-of-the-test-which-is-long"


@fake_of(Watched)
class State:
    def ask_workers(self):
        pass

    def look(self):
        return {"all": "well"}

    def past(self):
        return []


@fake_of(Adjustable)
class Server:
    """Does what the test says."""

    def __init__(self):
        self.did = []
        self.outcome = Outcome(2)
        self.error = None

    async def reload(self, app=None, by=None):
        return self._do("reload", app)

    async def scale(self, workers, by=None):
        return self._do("scale", workers)

    def _do(self, *what):
        self.did.append(what)
        if self.error is not None:
            raise self.error
        return self.outcome


class Queue:
    def __init__(self):
        self.exchanges = []
        self.interrupts = True
        self.interrupted = []

    def interrupt(self, exchange, by, why):
        self.interrupted.append(exchange)
        return self.interrupts


class Pool:
    def __init__(self):
        self.queue = Queue()


class App:
    def __init__(self):
        self.pool = Pool()


CALLS = [("ours.py", 1, "run"), ("no.py", 3, "work")]
STACKS = [
    Stack("thread", "pool-1", 1, 9, 1, "a lock", CALLS, [True, False]),
    Stack("thread", "pool-2", 2, 8, 1, "", CALLS, [True, False]),
]


class Worker:
    """Has every exchange, and knows where it is."""

    def __init__(self, found):
        self.found = found
        self.watchdog = self

    def has(self, exchange):
        return True

    async def wait_stacks(self):
        return None if self.found is None else (self.found, 0)


class Client(FakeClient):
    host, address, scheme = "localhost:8000", ("127.0.0.1", 5000), "http"

    def endpoints(self, head):
        return self.address, ("127.0.0.1", 8000), self.scheme, None, None


class World:
    def __init__(self, token=""):
        self.access, self.server, self.faults, self.apps = Access(token), Server(), Faults(), [App()]
        self.dashboard = Dashboard(
            self.access,
            State(),
            Actions(self.server, self.apps),
            self.faults,
            Events(),
            asyncio.get_running_loop(),
        )
        self.app = FakeDestination()
        self.router = Router(self.app, [self.dashboard])

    def ask(self, target, method="GET", body=b"", more=False, fields=(), page_token=True, cookie=False, client=None):
        sent = {b"host": b"localhost:8000", b"origin": b"http://localhost:8000"}
        if page_token:
            sent[b"x-snakepit-page"] = self.access.page_token.encode()
        if cookie:
            sent[b"cookie"] = "{}={}".format(*self.access.cookie).encode()
        sent |= dict(fields)
        head = RequestHead(method, target.encode(), "1.1", list(sent.items()), False, body=body, more=more)
        exchange = Exchange(9, client or Client(), self.router.find(head), head)
        if exchange.destination is self.dashboard:
            self.dashboard.submit(exchange)
        return exchange

    async def post(self, target, **more):
        exchange = self.ask(f"/_snakepit/{target}", "POST", **more)
        while not exchange.answered:
            await turn()
        return exchange


def play(test, token=""):
    async def play():
        world = World(token)
        result = test(world)
        if result is not None:
            await result
        world.dashboard.close()

    asyncio.run(play())


def status(exchange):
    return exchange._client.status


def field(exchange, name):
    lines = exchange._client.fields[0].decode().split("\r\n")
    return next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), None)


def told(exchange):
    return json.loads(exchange._client.body)["told"]


@pytest.mark.parametrize(
    ("target", "its"),
    [
        ("/_snakepit/", True),
        ("/_snakepit", True),
        ("/_snakepit/anything", True),
        ("http://localhost:8000/_snakepit/", True),
        ("/", False),
        ("/_snakepit2", False),
        ("/shop/_snakepit/", False),
        ("/?/_snakepit/", False),
        ("/__snakepit__/reload", False),
    ],
)
def test_which_paths_are_its(target, its):
    def test(world):
        assert (world.ask(target).destination is world.dashboard) is its

    play(test)


@pytest.mark.parametrize(
    ("method", "name", "expected"),
    [
        ("GET", "", 200),
        ("HEAD", "", 200),
        ("GET", "style.css", 200),
        ("GET", "dashboard.js", 200),
        ("GET", "charts.js", 200),
        ("GET", "events", 200),
        ("HEAD", "events", 404),
        ("GET", "error?number=1", 404),
        ("GET", "login", 404),
        ("POST", "login", 404),
        ("GET", "reload", 404),
        ("POST", "", 404),
        ("DELETE", "", 404),
        ("GET", "index.html", 404),
        ("GET", "../__init__.py", 404),
        ("GET", "%2e%2e/x", 404),
    ],
)
def test_addresses(method, name, expected):
    def test(world):
        assert status(world.ask(f"/_snakepit/{name}", method)) == expected

    play(test)


def test_the_page():
    def test(world):
        page = world.ask("/_snakepit/")
        assert world.access.page_token.encode() in page._client.body
        assert b'content="0.001 0.0025 0.005 ' in page._client.body
        assert b"{{" not in page._client.body
        assert field(page, "cache-control") == "no-store"
        assert "frame-ancestors 'none'" in field(page, "content-security-policy")
        assert "unsafe" not in field(page, "content-security-policy")
        for said in (b"<script>", b"<style", b" style=", b" onclick", b"//"):
            assert said not in page._client.body.replace(b"http://www.w3.org/2000/svg", b""), said
        head = world.ask("/_snakepit/", "HEAD")
        assert (head._client.body, head._client.fields[2]) == (b"", len(page._client.body))
        assert field(world.ask("/_snakepit"), "location") == "_snakepit/"

    play(test)


def test_a_stranger_is_told_how_to_be_let_in():
    def test(world):
        client = Client()
        client.address = ("203.0.113.7", 5000)
        page = world.ask("/_snakepit/", client=client)
        assert status(page) == 403
        assert b"--dashboard-token" in page._client.body
        assert world.access.page_token.encode() not in page._client.body

    play(test)


def test_events_end_with_the_server():
    def test(world):
        events = world.ask("/_snakepit/events")
        assert b'event: state\ndata: {"all":"well"}' in events._client.body
        assert not events.answered
        world.dashboard.close()
        assert events.answered

    play(test)


def test_an_error_with_its_traceback():
    def test(world):
        world.faults.add(world.ask("/shop?x"), "Traceback\nValueError: it failed")
        found = json.loads(world.ask("/_snakepit/error?number=1")._client.body)
        assert (found["path"], found["text"]) == ("/shop", "Traceback\nValueError: it failed")
        assert b"Traceback" not in world.ask("/_snakepit/events")._client.body
        for number in ("2", "x", "", "9" * 5000, "-1", "\u0661".encode().decode("latin-1")):
            assert status(world.ask(f"/_snakepit/error?number={quote(number)}")) == 404

    play(test)


# -- buttons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "did", "words"),
    [
        ("reload", ("reload", None), "Reloaded 2 workers in 0.0"),
        ("reload?app=/shop", ("reload", "/shop"), "Reloaded 2 workers of /shop in 0.0"),
        ("scale?workers=4", ("scale", 4), "4 workers"),
    ],
)
def test_buttons(target, did, words):
    async def test(world):
        answer = await world.post(target)
        assert status(answer) == 200
        assert told(answer).startswith(words)
        assert world.server.did == [did]

    play(test)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "9" * 30, "٣"])
def test_numbers_that_are_none(number):
    async def test(world):
        for target in ("scale?workers=", "interrupt?id="):
            assert status(await world.post(f"{target}{quote(number)}")) == 409
        assert world.server.did == []

    play(test)


def test_what_fails_is_told():
    async def test(world):
        world.server.outcome = Outcome(0, "SyntaxError")
        assert told(await world.post("reload")) == "not reloaded: SyntaxError"
        world.server.outcome = Outcome(1, "SyntaxError")
        assert told(await world.post("reload")) == "only 1 reloaded: SyntaxError"
        assert told(await world.post("scale?workers=3")) == "there are not 3 workers: SyntaxError"
        world.server.error = SnakepitError("The server is stopping")
        assert told(await world.post("scale?workers=3")) == "The server is stopping"

    play(test)


def test_interrupting():
    async def test(world):
        queue = world.apps[0].pool.queue
        queue.exchanges.append(world.ask("/slow?x=secret"))
        answer = await world.post("interrupt?id=9")
        assert (status(answer), told(answer)) == (200, "Interrupted GET /slow")
        queue.interrupts = False
        assert "nothing is interrupted" in told(await world.post("interrupt?id=9"))
        assert queue.interrupted == queue.exchanges * 2
        assert told(await world.post("interrupt?id=8")) == "This request is over"

    play(test)


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (STACKS, 200, {"stack": 'thread pool-1\n  File "no.py", line 3, in work\n  waits for a lock'}),
        (STACKS[1:], 409, {"told": "No code runs for this request now: it waits for its turn in the worker"}),
        (None, 409, {"told": "The worker does not answer: C code keeps its GIL, or the machine has too much to do"}),
    ],
)
def test_a_stack(found, expected, said):
    async def test(world):
        exchange = world.ask("/slow")
        world.apps[0].pool.queue.exchanges.append(exchange)
        exchange.home = Worker(found)
        answer = world.ask("/_snakepit/stack?id=9")
        while not answer.answered:
            await turn()
        assert (status(answer), json.loads(answer._client.body)) == (expected, said)
        exchange.home = None
        waits = world.ask("/_snakepit/stack?id=9")
        while not waits.answered:
            await turn()
        assert told(waits) == "No worker has this request"

    play(test)


@pytest.mark.parametrize("target", ["reload", "scale?workers=1", "interrupt?id=9"])
@pytest.mark.parametrize(
    "how",
    [
        {"page_token": False},
        {"fields": {b"origin": b"http://attacker.example"}},
        {"fields": {b"host": b"attacker.example:8000", b"origin": b"http://attacker.example:8000"}},
        {"fields": {b"sec-fetch-site": b"same-site"}},
        {"fields": {b"x-forwarded-for": b"127.0.0.1"}},
    ],
    ids=str,
)
def test_nothing_is_done_for_others(target, how):
    async def test(world):
        answer = await world.post(target, **how)
        assert status(answer) in (403, 409)
        assert told(answer)
        assert world.server.did == []

    play(test)


def test_a_browser_that_goes_before_it_is_done():
    async def test(world):
        exchange = world.ask("/_snakepit/reload", "POST")
        exchange.client_gone()
        await turn()
        await turn()
        assert world.server.did == [("reload", None)]
        assert exchange._client.sent == []

    play(test)


# -- the token ---------------------------------------------------------------------------------------------------------


def test_the_form_comes_first():
    def test(world):
        form = world.ask("/_snakepit/")
        assert status(form) == 401
        assert b'type="password"' in form._client.body
        assert world.access.page_token.encode() not in form._client.body
        assert status(world.ask("/_snakepit/events")) == 401
        assert status(world.ask("/_snakepit/", cookie=True)) == 200
        assert status(world.ask("/_snakepit/events", cookie=True)) == 200

    play(test, TOKEN)


@pytest.mark.parametrize("secure", [False, True])
def test_the_form(secure):
    def test(world):
        client = Client()
        client.scheme = "https" if secure else "http"
        body = f"token=+{TOKEN}".encode()
        answer = world.ask("/_snakepit/login", "POST", body, client=client)
        assert (status(answer), field(answer, "location")) == (303, "./")
        cookie = field(answer, "set-cookie")
        assert cookie.startswith("{}={}; HttpOnly; SameSite=Strict".format(*world.access.cookie))
        assert cookie.endswith("; Secure") is secure
        wrong = world.ask("/_snakepit/login", "POST", b"token=guess", client=Client())
        assert (status(wrong), field(wrong, "set-cookie")) == (403, None)
        assert b"not the token" in wrong._client.body

    play(test, TOKEN)


def test_a_form_in_pieces():
    def test(world):
        answer = world.ask("/_snakepit/login", "POST", b"tok", more=True)
        assert answer.state is ExchangeState.WAITING
        body = f"en={TOKEN}".encode()
        for at in range(len(body)):
            answer.add_body(body[at : at + 1], at < len(body) - 1)
        assert status(answer) == 303

    play(test, TOKEN)


@pytest.mark.parametrize(
    "body", [b"", b"x", b"token", b"token=", b"&" * 400, b"token=%ff\xff", b"token=" + b"x" * 9000]
)
def test_forms_that_are_none(body):
    def test(world):
        assert status(world.ask("/_snakepit/login", "POST", body)) == 403

    play(test, TOKEN)


def test_a_form_that_does_not_end():
    def test(world):
        answer = world.ask("/_snakepit/login", "POST", b"token=", more=True)
        answer.add_body(b"x" * LONGEST, True)
        assert status(answer) == 413

    play(test, TOKEN)


def test_a_form_whose_browser_goes():
    def test(world):
        answer = world.ask("/_snakepit/login", "POST", b"token=", more=True)
        answer.client_gone()
        assert answer._client.sent == []

    play(test, TOKEN)


def test_the_token_in_the_address_is_in_no_log():
    def test(world):
        answer = world.ask(f"/_snakepit/?token={TOKEN}", fields={b"sec-fetch-site": b"cross-site"})
        assert status(answer) == 200
        assert field(answer, "set-cookie").startswith(world.access.cookie[0])
        assert b'content="0;url=./"' in answer._client.body
        assert answer.head.target == b"/_snakepit/"
        wrong = world.ask("/_snakepit/?token=guess")
        assert (status(wrong), field(wrong, "set-cookie"), wrong.head.target) == (403, None, b"/_snakepit/")
        assert status(world.ask("/_snakepit/?x=y")) == 401
        for name, expected in (("", 308), ("/events", 401), ("/none", 404)):
            elsewhere = world.ask(f"/_snakepit{name}?token={TOKEN}")
            assert (status(elsewhere), elsewhere.head.target.decode()) == (expected, f"/_snakepit{name}")
        assert field(world.ask(f"/_snakepit?token={TOKEN}"), "location") == f"_snakepit/?token={TOKEN}"

    play(test, TOKEN)


def test_without_a_token_a_query_is_nothing_special():
    def test(world):
        assert status(world.ask("/_snakepit/?token=x")) == 200

    play(test)
