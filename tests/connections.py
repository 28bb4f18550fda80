"""The connections of a server, on a loop whose clock the test advances, between fake clients and fake apps."""

import asyncio

from clients import FakeTransport, request
from fakes import fake_of
from moves import held_to
from playing import HandLoop
from waiting import turn
from wsproto.connection import CLIENT, ConnectionState
from wsproto.connection import Connection as WsprotoConnection
from wsproto.events import BytesMessage, TextMessage

from snakepit.config.options import Config
from snakepit.http.fields import NONE, render
from snakepit.server.exchanges.exchange import Destination
from snakepit.server.exchanges.sink import EnvelopeSink
from snakepit.server.lifecycle import CONNECTION, WEBSOCKET, ExchangeState
from snakepit.server.net.annotated import connections_for
from snakepit.server.net.http1 import Connection
from snakepit.server.net.websocket import WebSocketConnection
from snakepit.server.routing.router import Router
from snakepit.wire import envelopes
from snakepit.wire.envelopes import BODY, CREDIT, DISCONNECT, REQUEST, cost


@fake_of(EnvelopeSink)
class App:
    """A fake worker's end, with an app that reads the whole body and echoes it."""

    def __init__(self, pool, exchange):
        self.pool = pool
        self.exchange = exchange
        self.posted = []
        self.body = b""
        self.gone = False

    def post(self, envelope, large=False):
        self.posted.append(envelope)
        kind = envelope[0]
        if kind == DISCONNECT:
            self.gone = True
            if self.pool.echoes:
                self.pool.loop.call_soon(self.done)
        elif kind in (REQUEST, BODY):
            data, more = (envelope[9], envelope[10]) if kind == REQUEST else envelope[2:4]
            self.body += data
            if self.pool.echoes:
                self.pool.loop.call_soon(self.read, data, more)

    def read(self, data, more):
        if self.gone:
            return
        if more:
            self.exchange.send_continue()
            self.exchange.add_credit(cost(data))
            return
        head = self.exchange.head
        answer = b"%s %s %s" % (head.method.encode(), head.target, self.body)
        if self.exchange.number % 2:  # both ways in which a worker may say the same
            self.exchange.answer(200, NONE, answer)
        else:
            self.exchange.respond(200, NONE, answer, False)
            self.done()

    def done(self):
        if self.exchange.state is not ExchangeState.CLOSED:
            self.exchange.done(None)

    def respond(self, status=200, headers=(), body=b"ok", more=False):
        self.exchange.respond(status, render(headers), body, more)

    def answer(self, status=200, headers=(), body=b"ok"):
        self.exchange.answer(status, render(headers), body)

    @property
    def credit(self):
        return sum(envelope[2] for envelope in self.posted if envelope[0] == CREDIT)


@fake_of(Destination)
class FakePool:
    """A pool that takes exchanges by `mode`: "assign" to an app each, "line" into the queue, "refuse" not at all."""

    def __init__(self, loop, echoes):
        self.loop = loop
        self.echoes = echoes
        self.interface = "asgi"
        self.mode = "assign"
        self.apps = []
        self.line = []
        self.withdrawn = []

    def submit(self, exchange):
        if self.mode == "refuse":
            exchange.refuse(503, "full", [(b"retry-after", b"1")])
        elif self.mode == "line":
            exchange.mark_waiting()
            self.line.append(exchange)
        else:
            self.assign(exchange)

    def assign(self, exchange):
        app = App(self, exchange)
        self.apps.append(app)
        exchange.assigned_to(app, "worker 1")
        return app

    def withdraw(self, exchange):
        self.line.remove(exchange)
        self.withdrawn.append(exchange)

    @property
    def open(self):
        return self.line + [app.exchange for app in self.apps if not app.exchange.answered]


class World:
    """The connections of a server, their pool, and clients that connect to it."""

    def __init__(self, echoes, options):
        self.loop = asyncio.get_running_loop()
        self.pool = FakePool(self.loop, echoes)
        self.options = {"date_header": False, "server_header": False, "access_log": False} | options
        self.respond()

    def respond(self, *responders):
        """Put these responders before the pool."""
        config, router = Config("app:app", **self.options), Router(self.pool, responders)
        self.http = connections_for(config)(config, router, self.loop)

    async def settle(self):
        await turn()

    def connect(self, **how):
        return FakeTransport(self.loop, self.http.new_connection(), **how)

    @property
    def app(self):
        """The app that got the latest exchange."""
        return self.pool.apps[-1]

    @property
    def deadlines(self):
        """How many connections are under those of idle ones, of heads, of those that close; and their time runs."""
        http = self.http
        idle = [one for one in http.connections.open if one in http.keep_alive and one.idle_since is not None]
        return [len(idle), sum(map(len, {http.heads, http.stalled})), len(http.lingering)]


def play(scenario, echoes=False, **options):
    async def main():
        loop = asyncio.get_running_loop()
        errors = []
        loop.set_exception_handler(lambda _, context: errors.append(context))
        world = World(echoes, options)
        with held_to(Connection, CONNECTION), held_to(WebSocketConnection, WEBSOCKET):
            await scenario(world)
            world.http.close()
            await turn()
        assert world.http.connections.open == set()
        assert sum(world.deadlines) == len(world.http.keep_alive) == 0
        assert errors == []

    asyncio.run(main(), loop_factory=HandLoop)


def echoing(scenario, **options):
    play(scenario, echoes=True, **options)


HANDSHAKE = request(
    "/ws",
    headers=[
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ],
)


class Peer:
    """The client: it speaks WebSocket over a fake transport."""

    def __init__(self, world, accepts=True, behind=b"", headers=(), **how):
        self.world = world
        self.transport = world.connect(**how)
        more = "".join(f"{header}\r\n" for header in headers)
        self.transport.send(HANDSHAKE[:-2] + more.encode() + b"\r\n" + behind)
        self.app = world.app
        self.session = self.app.exchange
        self.frames = WsprotoConnection(CLIENT)
        self._heard = 0
        if accepts:
            self.session.handle(envelopes.accept(self.session.number, None, NONE))
            assert self.transport.received.startswith(b"HTTP/1.1 101 ")

    @property
    def connection(self):
        protocol = self.transport.protocol
        assert isinstance(protocol, WebSocketConnection)
        return protocol

    def say(self, *events):
        self.transport.send(b"".join(bytes(self.frames.send(event)) for event in events))

    def hear(self):
        """Return the events since the last call."""
        _, _, said = self.transport.received.partition(b"\r\n\r\n")
        new, self._heard = said[self._heard :], len(said)
        if not new:
            return []
        assert self.frames.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING), f"after the close: {new!r}"
        self.frames.receive_data(new)
        return [
            event.data if isinstance(event, TextMessage | BytesMessage) else event for event in self.frames.events()
        ]

    def told(self, *kinds):
        """Return the envelopes of these kinds that the app's worker got, without the exchange's number."""
        return [(envelope[0], *envelope[2:]) for envelope in self.app.posted if envelope[0] in kinds]

    def app_says(self, data):
        self.session.handle(envelopes.message(self.session.number, data))

    def app_closes(self, code=1000, reason=""):
        self.session.handle(envelopes.close(self.session.number, code, reason))
