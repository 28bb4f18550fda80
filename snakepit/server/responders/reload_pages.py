"""Makes pages in browsers reload themselves when there is a newer version of the app: `--reload-browser`.

The main interpreter answers the requests of the script: so a waiting browser does not keep a worker from retiring, and
occupies no thread of a WSGI app.

A page's script sends the page's version, and gets no event until there is a newer one. It connects again whenever it
has lost its connection, so it also notices what it missed, including a restart of the server.
"""

from typing import TYPE_CHECKING

from snakepit.http.fields import render
from snakepit.server.responders.responder import Responder
from snakepit.wire.page_script import EVENTS, SCRIPT

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

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
        (b"x-accel-buffering", b"no"),  # nginx would buffer the event until more data come
    ]
)

# A hidden page does not wait: over HTTP/1.1 a browser has six connections to a server, for all of its pages. The stored
# version keeps a page from a cache from reloading itself endlessly.
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


class ReloadPages(Responder):
    """The responder for the requests of the pages' script.

    Args:
        server: identifies this server's pages, so that those of an earlier one differ.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._newest = 0
        self._waiting: dict[Exchange, bytes] = {}  # with the version of its page
        self._closed = False

    def takes(self, head: "RequestHead") -> bool:
        path = _path(head)  # a proxy may have put a path before it
        if path.endswith(_EVENTS_PATH):
            return head.method == "GET" and not head.upgrade
        return path.endswith(_SCRIPT_PATH)

    def submit(self, exchange: "Exchange") -> None:
        if _path(exchange.head).endswith(_SCRIPT_PATH):
            exchange.reply(200, _SCRIPT_FIELDS, _SCRIPT)
        else:
            self._keep(exchange)

    def withdraw(self, exchange: "Exchange") -> None:
        self._waiting.pop(exchange, None)

    # -- from the server -------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """The number of pages that wait for a newer version."""
        return len(self._waiting)

    def announce(self, version: int) -> None:
        """Make pages of older versions reload themselves: all answers from now on are of this version."""
        self._newest = version
        for exchange, of_page in list(self._waiting.items()):
            if self._is_older(of_page):
                self._end(exchange, self._newer())

    def close(self) -> None:
        """End the responses to all waiting browsers."""
        self._closed = True
        for exchange in list(self._waiting):
            self._end(exchange, b"")

    # --------------------------------------------------------------------------------------------------------------

    def _keep(self, exchange: "Exchange") -> None:
        if self._closed:
            exchange.refuse(503, "The server is stopping", [])
            return
        _, _, version = exchange.head.target.partition(b"?")
        self._waiting[exchange] = version
        exchange.begin_reply(200, _EVENT_FIELDS, b": waiting\n\n")
        if self._is_older(version):
            self._end(exchange, self._newer())

    def _end(self, exchange: "Exchange", event: bytes) -> None:
        self._waiting.pop(exchange, None)
        exchange.add_to_reply(event, more=False)

    def _newer(self) -> bytes:
        return f"event: newer\ndata: {self._server}.{self._newest}\n\n".encode()

    def _is_older(self, version: bytes) -> bool:
        server, _, number = version.rpartition(b".")
        if server != self._server.encode():
            return True
        return number.isdigit() and len(number) < 10 and int(number) < self._newest


def _path(head: "RequestHead") -> bytes:
    return head.target.partition(b"?")[0]
