"""Parses heads by httptools (llhttp), in a fraction of h11's time, where these are not read by known fields."""

from typing import TYPE_CHECKING

import httptools

from snakepit.http.events import RequestHead
from snakepit.http.h1.fast_path import CleanHeadParser, is_clean
from snakepit.http.h1.known_fields import NOT_ORDINARY, NotOrdinary
from snakepit.http.strict import LENGTH_DIGITS, keeps_alive
from snakepit.http.target import is_host

if TYPE_CHECKING:
    from snakepit.http.types import Headers


class HttptoolsParser(CleanHeadParser):
    """A parser that reads ordinary requests, by httptools if by a library, and leaves all others to h11."""

    def _parse(self, head: bytes) -> tuple[RequestHead, int]:
        limits = self._limits
        if not is_clean(head):
            raise NotOrdinary
        collected = _Collector()
        parser = httptools.HttpRequestParser(collected)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise NotOrdinary from None
        version = parser.get_http_version()
        headers, length = collected.headers, collected.length
        if (
            collected.hosts > 1
            or (collected.hosts == 0 and version == "1.1")
            or len(headers) > limits.fields
            or (limits.body is not None and length > limits.body)
        ):
            raise NotOrdinary
        keep_alive = version == "1.1" if not collected.connection else keeps_alive(version, headers)
        method = parser.get_method().decode("ascii")
        return RequestHead(method, collected.target, version, headers, False, keep_alive), length


class _Collector:
    """The callbacks of httptools: keeps what it reports while it parses a head."""

    __slots__ = ("connection", "headers", "hosts", "length", "lengths", "target")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.target = b""
        self.hosts = 0
        self.lengths = 0
        self.length = 0
        self.connection = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value.rstrip(b" \t")))
        if name == b"host":
            self.hosts += 1
            if not is_host(value.strip(b" \t")):
                raise NotOrdinary
        elif name == b"connection":
            self.connection = True
        elif name == b"content-length":
            self.lengths += 1
            if self.lengths > 1 or not value.isdigit() or len(value) > LENGTH_DIGITS:
                raise NotOrdinary
            self.length = int(value)
        elif name in NOT_ORDINARY:
            raise NotOrdinary
