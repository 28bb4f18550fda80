"""Has the pages in browsers reload themselves when there is a newer version of the app: `--reload-browser`.

It stands before the pool, where it takes what its script asks for, and answers that here in the main interpreter: no
worker is kept from retiring by a browser that waits, and no thread of a WSGI app waits with it. To such an exchange it
is what a worker is to others.

A page's script asks, with the version that the page is of, whether there is a newer one, and gets no answer until there
is. It asks again whenever it lost its connection, so it hears of what it missed, be that a restart of the server.
"""

from typing import TYPE_CHECKING

from snakepit.http.fields import render
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import DISCONNECT
from snakepit.wire.page_script import EVENTS, SCRIPT

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Destination, Exchange
    from snakepit.wire.envelopes import Envelope

_SCRIPT_PATH, _EVENTS_PATH = SCRIPT.encode(), EVENTS.encode()

_SCRIPT_FIELDS = render(
    [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", b"max-age=86400, immutable"),  # each version has an address of its own
        (b"x-content-type-options", b"nosniff"),
    ]
)
_EVENT_FIELDS = render(
    [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would keep the event until there is more
    ]
)

# A hidden page does not wait: over HTTP/1.1 a browser has six connections to a server, for all of its pages. What is
# remembered keeps a page that comes out of some cache from reloading itself for ever.
_SCRIPT = rb"""(() => {
  "use strict";
  if (window.__snakepitReload) return;
  window.__snakepitReload = true;
  const events = document.currentScript.src.replace(/\.js(?=\?)/, "");
  const key = "snakepit-reload:" + location.href;
  let source = null, again = 0;
  const isNew = (version) => {
    try {
      if (sessionStorage.getItem(key) === version) return false;
      sessionStorage.setItem(key, version);
    } catch {}
    return true;
  };
  const stop = () => {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };
  const wait = () => {
    stop();
    if (document.visibilityState === "hidden") return;
    source = new EventSource(events);
    source.addEventListener("newer", (event) => {
      stop();
      if (isNew(event.data)) location.reload();
    });
    source.onerror = () => {
      stop();
      again = setTimeout(wait, 1000);
    };
  };
  document.addEventListener("visibilitychange", wait);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => { if (event.persisted) wait(); });
  wait();
})();
"""


class Pages:
    """See the module.

    Args:
        pool: who gets everything else.
        server: what tells this server's pages from those of the one before.
    """

    def __init__(self, pool: "Destination", server: str) -> None:
        self._pool = pool
        self._server = server
        self._newest = 0
        self._waiting: dict[int, tuple[Exchange, bytes]] = {}  # by number; with the version of its page
        self._closed = False

    # -- what connections need of the pool -----------------------------------------------------------------------------

    @property
    def interface(self) -> str:
        """What the app speaks."""
        return self._pool.interface

    def submit(self, exchange: "Exchange") -> None:
        """Answer what a page's script asks for; the rest is the pool's."""
        path, _, version = exchange.head.target.partition(b"?")
        if path.endswith(_SCRIPT_PATH):  # whatever a proxy has before it
            exchange.answer_instead(200, _SCRIPT_FIELDS, _SCRIPT)
        elif path.endswith(_EVENTS_PATH) and exchange.head.method == "GET" and not exchange.head.upgrade:
            self._wait(exchange, version)
        else:
            self._pool.submit(exchange)

    def withdraw(self, exchange: "Exchange") -> None:
        """Forget an exchange that waits in the line."""
        self._pool.withdraw(exchange)

    # -- what an exchange needs of a worker ------------------------------------------------------------------------

    def post(self, envelope: "Envelope", large: bool = False) -> None:
        """A browser that goes is all that matters here."""
        if envelope[0] == DISCONNECT:
            self._waiting.pop(envelope[1], None)

    # -- from the server -------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Pages that would hear of a newer version."""
        return len(self._waiting)

    def announce(self, version: int) -> None:
        """All that is answered from now on is of this version: have the pages of older ones reload themselves."""
        self._newest = version
        for exchange, of_page in list(self._waiting.values()):
            if self._is_older(of_page):
                self._answer(exchange, self._newer())

    def close(self) -> None:
        """Let all browsers go."""
        self._closed = True
        for exchange, _ in list(self._waiting.values()):
            self._answer(exchange, b"")

    # --------------------------------------------------------------------------------------------------------------

    def _wait(self, exchange: "Exchange", version: bytes) -> None:
        if self._closed:
            exchange.refuse(503, "The server is stopping", [])
            return
        self._waiting[exchange.number] = exchange, version
        exchange.assign(self, "no worker")
        exchange.respond(200, _EVENT_FIELDS, b": waiting\n\n", True)
        if self._is_older(version):
            self._answer(exchange, self._newer())

    def _answer(self, exchange: "Exchange", event: bytes) -> None:
        self._waiting.pop(exchange.number, None)
        if exchange.state is ExchangeState.RESPONDING:
            exchange.respond_body(event, False)
            exchange.done(None)

    def _newer(self) -> bytes:
        return f"event: newer\ndata: {self._server}.{self._newest}\n\n".encode()

    def _is_older(self, version: bytes) -> bool:
        server, _, number = version.rpartition(b".")
        if server != self._server.encode():
            return True
        return number.isdigit() and len(number) < 10 and int(number) < self._newest
