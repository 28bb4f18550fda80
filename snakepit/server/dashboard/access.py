"""Decides who may see the live page and press its buttons. Pure: it knows fields and addresses, no sockets.

Without a token only this machine may. A proxy on this machine makes every client look as if it were on it, so a request
with any field that proxies add is from elsewhere, whatever the field says; so is one in HTTP/1.0, which browsers do not
speak, and which proxies speak that add no fields (nginx's defaults were so for long). Its host must be a name of this
machine: a site in the browser that has its own name resolve to 127.0.0.1 (DNS rebinding) still says its own name.

With a token everyone needs it, on this machine, too. It comes once, in a form or in the page's address. From then on a
cookie shows that it is known: an HMAC of it, so that it stays good when the server restarts.

What other pages in the same browser may not do, whoever it belongs to:

- show the page in a frame, or read it: it comes only for what browsers call a navigation to a document;
- read its data, or press buttons: that takes the page token, which only the page contains; a field of one's own, in
  which it is sent, can't be set across origins; and `Sec-Fetch-Site` and `Origin` must be those of the page.
"""

import hmac
import secrets
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from snakepit.system.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakepit.http.types import Address, Headers

PAGE_TOKEN = b"x-snakepit-page"
"""The field in which the page sends its token."""

_OF_PROXIES = frozenset(
    (
        b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-original-forwarded-for",
        b"x-original-host", b"x-envoy-external-address", b"x-proxyuser-ip", b"x-appengine-user-ip", b"x-azure-clientip",
        b"true-client-ip", b"cf-connecting-ip", b"cf-ray", b"cdn-loop", b"fastly-client-ip", b"fly-client-ip",
    )
)  # fmt: skip
_BEGINNINGS = (b"x-forwarded", b"tailscale-", b"x-amzn-", b"x-vercel-")
"""Fields that proxies and tunnels add, by name and by the beginning of their names."""

_PORTS = {"http": "80", "https": "443"}


class Kind(Enum):
    """What is asked for."""

    PAGE = auto()
    """The page itself, which contains the page token."""
    FILE = auto()
    """The page's style and script, which contain nothing of the server."""
    LOGIN = auto()
    """The form with the token."""
    DATA = auto()
    """The state of the server."""
    ACTION = auto()
    """Something that changes it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as it counts. `own` is the server's host as a trusted proxy reports it, empty if none does."""

    kind: Kind
    version: str
    host: str
    own: str
    scheme: str
    client: str | None
    fields: "Mapping[bytes, str]"


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer in place of what was asked for: a status, and why. 401: the token has to be given first."""

    status: int
    why: str


_ELSEWHERE = Refused(
    403, "This page is for clients on the server's machine. With --dashboard-token it can be seen from elsewhere."
)
_BY_PROXY = Refused(
    403,
    "This request has come through a proxy, so its client may be anywhere. Ask the server directly, by its own port on "
    "this machine, or start it with --dashboard-token.",
)
_NO_NAME = Refused(
    403, "This page is served for the names of this machine only, such as localhost, or with --dashboard-token."
)
_NO_TOKEN = Refused(401, "The token is needed.")
_OTHER_PAGE = Refused(403, "Another page has asked for this.")
_STALE = Refused(409, "The page is of an earlier server process, or asks without its token: load it again.")


class Access:
    """Decides about requests.

    `page_token` is for the page: it shows that a request comes from there. `cookie` is the name and the value of the
    cookie of clients that know the token.

    Args:
        token: that clients must know; empty: only those on this machine may, and need none.
    """

    def __init__(self, token: str = "") -> None:
        self._token = token.encode()
        self.page_token = secrets.token_urlsafe(24)
        self.cookie = f"snakepit-{_keyed(self._token, b'name')[:8]}", _keyed(self._token, b"value")

    @property
    def needs_token(self) -> bool:
        """Whether clients must know a token."""
        return bool(self._token)

    def is_token(self, given: str) -> bool:
        """Tell whether this is the token, in a time that says nothing of it."""
        return bool(self._token) and _same(given.encode("utf-8", "replace"), self._token)

    def refusal(self, asked: Asked) -> Refused | None:
        """Return why a request is refused; None: it is not."""
        if not self._token:
            refused = _not_local(asked)
        elif asked.kind in (Kind.FILE, Kind.LOGIN):
            refused = None  # the form needs its style
        else:
            refused = None if self._has_cookie(asked) else _NO_TOKEN
        return refused or _of_another_page(asked) or self._without_page_token(asked)

    def _has_cookie(self, asked: Asked) -> bool:
        name, value = self.cookie
        given = [each.strip().partition("=") for each in asked.fields.get(b"cookie", "").split(";")]
        return any(each == name and _same(its.encode("latin-1", "replace"), value.encode()) for each, _, its in given)

    def _without_page_token(self, asked: Asked) -> Refused | None:
        if asked.kind not in (Kind.DATA, Kind.ACTION):
            return None
        given = asked.fields.get(PAGE_TOKEN, "")
        return None if _same(given.encode("latin-1", "replace"), self.page_token.encode()) else _STALE


def asked_for(
    kind: Kind, version: str, headers: "Headers", host: bytes, client: "Address", reported: "Address", scheme: str
) -> Asked:
    """Put together what counts of a request. A field that comes twice counts with all its values.

    Args:
        host: that the request names.
        client: where it comes from, as far as that can be known.
        reported: the server's own host and port, as a trusted proxy reports it in a field; or as the socket has it.
    """
    fields: dict[bytes, str] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        between = "; " if name == b"cookie" else ", "
        fields[name] = f"{fields[name]}{between}{text}" if name in fields else text
    own = ""
    if reported is not None and (b"x-forwarded-host" in fields or b"forwarded" in fields):
        own = f"[{reported[0]}]:{reported[1]}" if ":" in reported[0] else f"{reported[0]}:{reported[1]}"
    return Asked(kind, version, host.decode("latin-1"), own, scheme, client[0] if client else None, fields)


def _keyed(token: bytes, what: bytes) -> str:
    return hmac.digest(token or b"none", b"snakepit dashboard cookie, its " + what, "sha256").hex()


def _same(one: bytes, other: bytes) -> bool:
    """Compare in a time that does not depend on where they differ, nor on how long the one is that is known."""
    key = b"compare"
    return hmac.compare_digest(hmac.digest(key, one, "sha256"), hmac.digest(key, other, "sha256"))


# -- clients on this machine -------------------------------------------------------------------------------------------


def _not_local(asked: Asked) -> Refused | None:
    if any(name in _OF_PROXIES or name.startswith(_BEGINNINGS) for name in asked.fields) or asked.version == "1.0":
        return _BY_PROXY
    if asked.client is None or not is_loopback(asked.client):
        return _ELSEWHERE
    return None if _names_this_machine(asked.host) else _NO_NAME


def _names_this_machine(host: str) -> bool:
    name = _split(f"//{host}")[0]
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


# -- other pages in the same browser -----------------------------------------------------------------------------------


def _of_another_page(asked: Asked) -> Refused | None:
    fields, kind = asked.fields, asked.kind
    site = fields.get(b"sec-fetch-site")  # https://www.w3.org/TR/fetch-metadata/; only to origins that count as safe
    if kind is Kind.PAGE:
        mode, destination = fields.get(b"sec-fetch-mode", "navigate"), fields.get(b"sec-fetch-dest", "document")
        return None if (mode, destination) == ("navigate", "document") else _OTHER_PAGE
    if site is not None and site not in ("same-origin", "none"):
        return _OTHER_PAGE
    if site == "none" and kind in (Kind.LOGIN, Kind.ACTION):
        return _OTHER_PAGE
    origin = fields.get(b"origin")
    if origin is None:
        return None if kind in (Kind.FILE, Kind.DATA) else Refused(403, "The request has no Origin.")
    return None if _is_own(origin, asked) else Refused(403, f"The origin {origin[:200]!r} is not this server's.")


def _is_own(origin: str, asked: Asked) -> bool:
    """Tell whether an Origin (RFC 6454 section 7) has the host of the request, or the one that a trusted proxy reports.

    A proxy may speak TLS in place of the server, so the scheme only says which port is meant where none is named.
    """
    scheme, separator, _ = origin.partition("://")
    if not separator or scheme not in _PORTS:
        return False
    name, port = _split(origin)
    named = (_split(f"//{host}") for host in (asked.host, asked.own))
    return bool(name) and (name, port or _PORTS[scheme]) in [(its, at or _PORTS[scheme]) for its, at in named]


def _split(url: str) -> tuple[str, str]:
    """Return the host and the port of a URL; both empty if it has none that can be read."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").removesuffix("."), "" if parts.port is None else str(parts.port)
    except ValueError:
        return "", ""
