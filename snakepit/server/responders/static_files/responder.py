"""The responder that sends files: what it answers, and what it hands on.

A file is looked for in a thread. Small files, and that there is none, are remembered: for a second they are answered
for in the loop at once, then one look at the disk says whether they have changed. Requests that come meanwhile wait for
that look, so a file in demand is looked for once a second, however many ask for it.

While its file is looked for, an exchange stays NEW: nobody answers it yet. If there is no file, it goes to whoever
would have got it without this route.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snakepit.http.fields import ANNOUNCED, Fields, render
from snakepit.http.hosts import names_of_host
from snakepit.http.target import host_of, origin_form
from snakepit.http.ws.handshake import wants_websocket
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.responder import Responder
from snakepit.server.responders.static_files.conditions import failed_condition, range_counts
from snakepit.server.responders.static_files.disk_threads import DiskThreads
from snakepit.server.responders.static_files.found import Found, FoundFile, Missing, Moved, Refused
from snakepit.server.responders.static_files.lookup import Lookup
from snakepit.server.responders.static_files.memory import Memory
from snakepit.server.responders.static_files.names import Names, read_path
from snakepit.server.responders.static_files.ranges import Range, content_range, multipart, read_ranges
from snakepit.server.responders.static_files.request_fields import Asked, read_fields
from snakepit.server.responders.static_files.transfer import Transfer

if TYPE_CHECKING:
    from snakepit.config.static import StaticFiles
    from snakepit.http.events import RequestHead
    from snakepit.http.types import Headers
    from snakepit.server.exchanges.exchange import Destination, Exchange

FRESH = 1.0
"""Seconds for which what was found counts without another look at the disk."""

FILES_BYTES = 16 * 2**20
"""Bytes of small files that a route keeps in memory."""

MISSING_BYTES = 2 * 2**20
"""Bytes for what a route remembers not to exist."""

_WINDOWS = os.name == "nt"
_READS = ("GET", "HEAD")
_ALLOW = [(b"allow", b"GET, HEAD")]
_BARE = Names((), False)
"""The route itself, without a slash at its end."""

type _Key = tuple[bytes, tuple[str, ...]]
"""A path as it was sent, and the codings that are accepted."""


class Onward(Protocol):
    """Says who gets what a responder does not answer."""

    def find_after(self, responder: Responder, head: "RequestHead") -> "Destination":
        """Return the destination that comes after a responder."""


@dataclass(slots=True)
class _Kept:
    found: FoundFile
    until: float
    """In loop time: how long it counts without another look."""


class StaticResponder(Responder):
    """The responder for one route."""

    def __init__(self, site: "StaticFiles", loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._onward: Onward | None = None
        self._bare = site.route.rstrip("/").encode()
        self._prefix = self._bare + b"/"
        self._host = site.host.encode()
        self._lookup = Lookup(site)
        self._threads = DiskThreads(loop, "snakepit-files")
        self._fallback = read_path(site.fallback.encode()) if site.fallback else None
        self._files: Memory[_Key, _Kept] = Memory(FILES_BYTES)
        self._missing: Memory[tuple[str, ...] | bytes, float] = Memory(MISSING_BYTES)  # names or paths; until when
        self._waiting: dict[_Key, list[tuple[Exchange, Asked]]] = {}  # for a look at the disk
        self._transfers: dict[Exchange, Transfer] = {}
        self._retired = False
        self._read_of: Headers | None = None  # the fields that were read last
        self._read = Asked()

    def hand_on_to(self, onward: Onward) -> None:
        """Give what this does not answer to whom `onward` says."""
        self._onward = onward

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def retire(self) -> None:
        """End the threads once all that has been asked for is answered: no more will be."""
        self._retired = True
        self._close_if_done()

    @property
    def open_files(self) -> int:
        """The number of answers that are being read from a file."""
        return len(self._transfers)

    # -- Responder -------------------------------------------------------------------------------------------------

    def takes(self, head: "RequestHead") -> bool:
        target = head.target
        if not target.startswith(b"/"):
            target = origin_form(target)
        if not target.startswith(self._prefix) and target.partition(b"?")[0] != self._bare:
            return False
        if self._host and self._host not in names_of_host(host_of(head.target, head.headers))[1]:
            return False
        return not (head.upgrade and wants_websocket(head))

    def submit(self, exchange: "Exchange") -> None:
        head = exchange.head
        if head.headers is not self._read_of:  # a header block that was seen before is the same list
            self._read, self._read_of = read_fields(head.headers), head.headers
        asked = self._read
        target = head.target
        if not target.startswith(b"/"):
            target = origin_form(target)
        path = target.partition(b"?")[0]
        key = path, asked.codings if self._site.precompressed else ()
        kept, now = self._files.get(key), self._loop.time()
        if kept is None:
            if (self._missing.get(path) or 0.0) > now:
                self._nothing(exchange, asked)
                return
        elif kept.until > now:
            found = kept.found
            if asked.plain and head.method == "GET":
                exchange.reply(200, found.whole, found.content or b"")
            else:
                self._answer_with(exchange, asked, found)
            return
        self._look(exchange, asked, key, kept)

    def withdraw(self, exchange: "Exchange") -> None:
        transfer = self._transfers.get(exchange)
        if transfer is not None:
            transfer.cancel()

    # -- looking ---------------------------------------------------------------------------------------------------

    def _look(self, exchange: "Exchange", asked: Asked, key: _Key, kept: _Kept | None) -> None:
        """Look for a file, or wait for who looks for the same one."""
        path = key[0]
        names = read_path(path[len(self._prefix) :], _WINDOWS) if path != self._bare else _BARE
        if names is None or self._is_missing(names):
            self._nothing(exchange, asked)
        else:
            self._look_for(names, exchange, asked, key, kept)

    def _look_for(self, names: Names, exchange: "Exchange", asked: Asked, key: _Key, kept: _Kept | None) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append((exchange, asked))
            return
        self._waiting[key] = [(exchange, asked)]
        known = None if kept is None else kept.found
        codings = key[1]
        self._threads.run(lambda: self._lookup.find(names, codings, known), lambda found: self._came(key, found))

    def _came(self, key: _Key, found: Found | Exception) -> None:
        """Answer those who waited for a look at the disk."""
        if isinstance(found, Exception):
            found = Refused(500, "The file can't be read")
        self._keep(key, found)
        waiting = self._waiting.pop(key)
        for exchange, asked in waiting:
            if exchange.state is ExchangeState.NEW:  # or the client has gone meanwhile
                self._answer(exchange, asked, found)
        file = found.file if isinstance(found, FoundFile) else None
        if file is not None:
            self._threads.release(file)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._waiting and not self._transfers:
            self._loop.call_soon(self._threads.close)  # the last file is to be closed in a thread

    def _keep(self, key: _Key, found: Found) -> None:
        until = self._loop.time() + FRESH
        if isinstance(found, FoundFile) and found.content is not None:
            self._files.put(key, _Kept(found, until), len(key[0]) + len(found.content))
            return
        self._files.drop(key)
        if isinstance(found, Missing):
            path = key[0]
            self._missing.put(path, until, len(path))
            if found.prefix:
                self._missing.put(found.prefix, until, len(path))

    def _is_missing(self, names: Names) -> bool:
        """Tell whether a recent look has found that there is no such file, or no folder on the way to it."""
        now, all_names = self._loop.time(), names.names
        return any((self._missing.get(all_names[:count]) or 0.0) > now for count in range(1, len(all_names) + 1))

    # -- answering -------------------------------------------------------------------------------------------------

    def _answer(self, exchange: "Exchange", asked: Asked, found: Found) -> None:
        reads = exchange.head.method in _READS
        match found:
            case FoundFile():
                self._answer_with(exchange, asked, found)
            case Moved() if reads:
                exchange.reply(308, render([(b"location", _with_slash(exchange.head.target))]), b"")
            case Refused(status, reason):
                exchange.refuse(status, reason, [])
            case _:
                self._nothing(exchange, asked)

    def _nothing(self, exchange: "Exchange", asked: Asked) -> None:
        """Answer with the fallback, if there is one for this request, or hand it on."""
        fallback, head = self._fallback, exchange.head
        if fallback is None or head.method not in _READS or not asked.page:
            assert self._onward is not None, "hand_on_to comes first"
            exchange.redirect(self._onward.find_after(self, head))
            return
        key = b"", asked.codings if self._site.precompressed else ()
        kept = self._files.get(key)
        if kept is not None and kept.until > self._loop.time():
            self._answer_with(exchange, asked, kept.found)
        else:
            self._look_for(fallback, exchange, asked._replace(page=False), key, kept)  # if it is missing, too: onward

    def _answer_with(self, exchange: "Exchange", asked: Asked, found: FoundFile) -> None:
        """Answer with a file, or with what its conditions say."""
        method = exchange.head.method
        if method not in _READS:
            exchange.refuse(405, "Method Not Allowed", _ALLOW)
            return
        if asked.plain or not found.tag:
            self._send(exchange, 200, found.whole, found, [(0, found.size)])
            return
        status = failed_condition(asked, found.tag, found.modified)
        if status == 304:
            exchange.reply(304, found.unchanged, b"")
        elif status:
            exchange.refuse(status, "Precondition Failed", [])
        elif method == "GET" and range_counts(asked, found.tag, found.modified, time.time()):
            self._send_ranges(exchange, asked.range or b"", found)
        else:
            self._send(exchange, 200, found.whole, found, [(0, found.size)])

    def _send_ranges(self, exchange: "Exchange", value: bytes, found: FoundFile) -> None:
        ranges = read_ranges(value, found.size)
        if ranges is None:
            self._send(exchange, 200, found.whole, found, [(0, found.size)])
        elif not ranges:
            exchange.refuse(416, "Range Not Satisfiable", [(b"content-range", b"bytes */%d" % found.size)])
        elif len(ranges) == 1:
            [(start, end)] = ranges
            lines = b"content-type: %b\r\ncontent-range: %b\r\n" % (
                found.content_type,
                content_range(ranges[0], found.size),
            )
            self._send(exchange, 206, (found.shared + lines, ANNOUNCED, end - start), found, [(start, end)])
        else:
            parts = multipart(ranges, found.size, found.content_type)
            lines = b"content-type: %b\r\n" % parts.content_type
            self._send(exchange, 206, (found.shared + lines, ANNOUNCED, parts.length), found, parts.pieces)

    def _send(
        self, exchange: "Exchange", status: int, fields: Fields, found: FoundFile, pieces: "list[bytes | Range]"
    ) -> None:
        content, file = found.content, found.file
        if exchange.head.method == "HEAD":
            exchange.reply(status, fields, b"")
        elif content is not None or file is None:
            of_it = content or b""
            body = [piece if isinstance(piece, bytes) else of_it[piece[0] : piece[1]] for piece in pieces]
            exchange.reply(status, fields, body[0] if len(body) == 1 else b"".join(body))
        else:
            file.share()
            transfer = Transfer(exchange, status, fields, file, pieces, self._threads, self._sent)
            self._transfers[exchange] = transfer
            transfer.begin()

    def _sent(self, exchange: "Exchange") -> None:
        del self._transfers[exchange]
        self._close_if_done()


def _with_slash(target: bytes) -> bytes:
    """Return where a folder is, relative to where it was asked for: that can lead to no other host, and is right where
    a proxy publishes the app under another path, too."""
    path, question, query = target.partition(b"?")
    return b"./" + path.rpartition(b"/")[2] + b"/" + question + query
