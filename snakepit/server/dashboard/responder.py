"""Answers the requests of the live page, in the main interpreter: so it is live even if all workers hang."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError
from snakepit.http.target import host_of, split_target
from snakepit.server.dashboard import pages
from snakepit.server.dashboard.access import Access, Asked, Kind, Refused, asked_for
from snakepit.server.dashboard.faults import Faults
from snakepit.server.dashboard.form import Form, values_in
from snakepit.server.dashboard.watchers import Watchers
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.responders.responder import LateResponder

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.http.fields import Fields
    from snakepit.server.dashboard.actions import Actions
    from snakepit.server.dashboard.watchers import Watched
    from snakepit.server.events.events import Events
    from snakepit.server.exchanges.exchange import Exchange

PREFIX = b"/_snakepit/"
"""The beginning of the paths that are the page's, and no app's any more."""

SHOWN = 100
"""The latest events that are shown."""

_BARE = PREFIX.rstrip(b"/")


class Dashboard(LateResponder):
    """The responder for the live page.

    Args:
        access: decides who may.
        watched: the server.
        actions: of the buttons.
        faults: the latest errors of apps.
        events: the latest events of the server.
    """

    def __init__(
        self,
        access: Access,
        watched: "Watched",
        actions: "Actions",
        faults: Faults,
        events: "Events",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self._access = access
        self._actions = actions
        self._faults = faults
        self._events = events
        self.watchers = Watchers(watched, self._listed, loop)
        self._tasks = BackgroundTasks()
        self._forms: dict[Exchange, Form] = {}

    def takes(self, head: "RequestHead") -> bool:
        path, _ = split_target(head.target)
        return path.startswith(PREFIX) or path == _BARE

    def submit(self, exchange: "Exchange") -> None:
        exchange.is_logged = self.is_logged
        path, query = split_target(exchange.head.target)
        if b"token=" in query:
            exchange.head.target = path  # which the access log is about to get
        if path == _BARE:
            _redirect(exchange, 308, b"_snakepit/" + (b"?" + query if query else b""))
            return
        name = path.removeprefix(PREFIX)
        kind = self._kind(exchange.head.method, name)
        if kind is None:
            exchange.refuse(404, "There is nothing at this address", [])
            return
        if kind is Kind.PAGE and query and self._access.needs_token:
            self._take_token_of_address(exchange, query)
            return
        refused = self._access.refusal(_asked(kind, exchange))
        if refused is None:
            self._answer(kind, exchange, name, query)
        elif refused.status == 401 and kind is Kind.PAGE:
            self._show_form(exchange)
        else:
            _refuse(exchange, kind, refused)

    def withdraw(self, exchange: "Exchange") -> None:
        super().withdraw(exchange)
        self._forms.pop(exchange, None)
        self.watchers.discard(exchange)

    def close(self) -> None:
        """End the streams of all who watch."""
        self.watchers.close()
        self._tasks.cancel()

    # --------------------------------------------------------------------------------------------------------------

    def _kind(self, method: str, name: bytes) -> Kind | None:
        if method == "POST":
            if name == b"login" and self._access.needs_token:
                return Kind.LOGIN
            return Kind.ACTION if name.decode("latin-1") in self._actions.known else None
        if method not in ("GET", "HEAD"):
            return None
        if not name:
            return Kind.PAGE
        if name in pages.FILES:
            return Kind.FILE
        return Kind.DATA if name in (b"events", b"error", b"stack") and method == "GET" else None

    def _answer(self, kind: Kind, exchange: "Exchange", name: bytes, query: bytes) -> None:
        match kind:
            case Kind.PAGE:
                _reply(exchange, 200, pages.HTML, pages.page(self._access.page_token))
            case Kind.FILE:
                _reply(exchange, 200, pages.fields(pages.FILES[name]), pages.file(name))
            case Kind.LOGIN:
                self._read_form(exchange)
            case Kind.DATA if name == b"events":
                self.watchers.add(exchange)
            case Kind.DATA if name == b"stack":
                self.keep(exchange)
                self._tasks.begin(self._show_stack(exchange, values_in(query)))
            case Kind.DATA:
                self._show_fault(exchange, values_in(query))
            case Kind.ACTION:
                self.keep(exchange)
                self._tasks.begin(self._act(exchange, name.decode("ascii"), values_in(query)))

    async def _act(self, exchange: "Exchange", name: str, arguments: dict[str, str]) -> None:
        try:
            told, status = await self._actions.act(name, arguments), 200
        except SnakepitError as error:
            told, status = str(error), 409
        if self.take(exchange):
            _reply_json(exchange, status, {"told": told})

    async def _show_stack(self, exchange: "Exchange", arguments: dict[str, str]) -> None:
        try:
            told, status = {"stack": await self._actions.wait_stack(arguments)}, 200
        except SnakepitError as error:
            told, status = {"told": str(error)}, 409
        if self.take(exchange):
            _reply_json(exchange, status, told)

    def _listed(self) -> tuple[int, dict[str, Any]]:
        """Return how many errors and events there were, and those that are kept, the latest first."""
        errors = [
            {name: value for name, value in asdict(fault).items() if name != "text"} for fault in self._faults.latest
        ]
        events = [
            {"key": event.key, "time": event.time, "level": event.kind.level, "text": event.text}
            for event in self._events.latest[:SHOWN]
        ]
        count = self._faults.count + self._events.count
        return count, {"errors": errors, "error_count": self._faults.count, "events": events}

    def _show_fault(self, exchange: "Exchange", arguments: dict[str, str]) -> None:
        number = arguments.get("number", "")
        fault = self._faults.numbered(int(number)) if number.isdigit() and len(number) < 19 else None
        if fault is None:
            _reply_json(exchange, 404, {"told": "This error is not kept any more"})
        else:
            _reply_json(exchange, 200, asdict(fault))

    # -- the token ---------------------------------------------------------------------------------------------------

    def _show_form(self, exchange: "Exchange", wrong: bool = False) -> None:
        _reply(exchange, 401 if not wrong else 403, pages.HTML, pages.login(wrong))

    def _take_token_of_address(self, exchange: "Exchange", query: bytes) -> None:
        """Take the token that the page's address contains."""
        given = values_in(query).get("token", "")
        if self._access.is_token(given):
            _reply(exchange, 200, self._with_cookie(exchange, pages.HTML), pages.LEADS_ON)
        else:
            self._show_form(exchange, wrong=bool(given))

    def _read_form(self, exchange: "Exchange") -> None:
        form = self._forms[exchange] = Form(exchange, self._take_form)
        form.read()

    def _take_form(self, exchange: "Exchange", values: dict[str, str]) -> None:
        if self._forms.pop(exchange, None) is None:
            return
        if self._access.is_token(values.get("token", "").strip()):
            to_page = pages.fields(b"text/plain", (b"location", b"./"))
            _reply(exchange, 303, self._with_cookie(exchange, to_page), b"")
        else:
            self._show_form(exchange, wrong=True)

    def _with_cookie(self, exchange: "Exchange", fields: "Fields") -> "Fields":
        """Add the cookie. It is sent back below the folder of the request only, whatever a proxy has put before it."""
        name, value = self._access.cookie
        secure = "; Secure" if exchange.endpoints[2] == "https" else ""
        lines, flags, length = fields
        line = f"set-cookie: {name}={value}; HttpOnly; SameSite=Strict{secure}\r\n"
        return lines + line.encode("ascii"), flags, length


def _asked(kind: Kind, exchange: "Exchange") -> Asked:
    head = exchange.head
    client, server, scheme, _, _ = exchange.endpoints
    host = host_of(head.target, head.headers)
    return asked_for(kind, head.http_version, head.headers, host, client, server, scheme)


def _reply(exchange: "Exchange", status: int, fields: "Fields", body: bytes) -> None:
    lines, flags, _ = fields
    if exchange.head.method == "HEAD":
        exchange.reply(status, (lines, flags, len(body)), b"")
    else:
        exchange.reply(status, (lines, flags, len(body)), body)


def _reply_json(exchange: "Exchange", status: int, value: object) -> None:
    _reply(exchange, status, pages.JSON, json.dumps(value).encode())


def _refuse(exchange: "Exchange", kind: Kind, refused: Refused) -> None:
    if kind in (Kind.DATA, Kind.ACTION):
        _reply_json(exchange, refused.status, {"told": refused.why})
    else:
        _reply(exchange, refused.status, pages.TEXT, f"{refused.why}\n".encode())


def _redirect(exchange: "Exchange", status: int, to: bytes) -> None:
    _reply(exchange, status, pages.fields(b"text/plain", (b"location", to)), b"")
