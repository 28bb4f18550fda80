"""A session with a CA: its directory, nonces, signed requests, and the account (RFC 8555 sections 6, 7.1 to 7.3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snakepit.acme.jws import Signer, external_binding, signed
from snakepit.acme.problems import AcmeError, CaRefused, CaUnreachable, problem_of, shown
from snakepit.acme.steps import Members, Request, Response, Steps, answer_to, checked_url

NONCE_ATTEMPTS = 10
"""Attempts of a request whose nonce the CA does not know. Each refusal brings a fresh one (RFC 8555 section 6.5), so
only a CA that is out of order refuses so many."""

MOST_NONCES = 10
"""Unused nonces that are kept; requests follow each other, so that one is enough."""

_NONCE = re.compile(r"[A-Za-z0-9_-]+={0,2}")  # RFC 8555 section 6.5.1; some CAs pad it


@dataclass(frozen=True, slots=True)
class Directory:
    """The URLs of a CA (RFC 8555 section 7.1.1), and of its renewal information (RFC 9773 section 3)."""

    new_nonce: str
    new_account: str
    new_order: str
    renewal_info: str | None
    terms: str
    needs_external_account: bool

    @classmethod
    def parse(cls, response: Response, url: str) -> "Directory":
        """Return the directory that came from `url`. Raises AcmeError."""
        if response.status != 200:
            where = response.headers.get("location")
            more = f" and points to {shown(where)}" if where else ""
            raise CaUnreachable(f"{url} answers with status {response.status}{more}", response.retry_after)
        found = Members.of(response, f"the directory {url}")
        meta = found.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        return cls(
            found.url("newNonce"),
            found.url("newAccount"),
            found.url("newOrder"),
            found.optional_url("renewalInfo"),
            shown(meta.get("termsOfService")),
            meta.get("externalAccountRequired") is True,
        )


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What a CA gives to its customers, so that they can bind ACME accounts to theirs (RFC 8555 section 7.3.4)."""

    identifier: str
    mac_key: bytes


class Session:
    """The state of a client of one CA.

    Args:
        url: of the directory.
        account: the URL of the account, if it is known.
    """

    def __init__(self, url: str, key: Signer, account: str | None = None) -> None:
        self.url = checked_url(url, "the directory")
        self.account = account
        self._key = key
        self._directory: Directory | None = None
        self._nonces: list[str] = []

    def directory(self) -> Steps[Directory]:
        """Return the directory, which is asked for once."""
        if self._directory is None:
            response = yield from answer_to(Request("GET", self.url))
            self._directory = Directory.parse(response, self.url)
        return self._directory

    def register(self, contact: str | None, external: ExternalAccount | None = None) -> Steps[str]:
        """Return the URL of a new account, or of the one that has this key (RFC 8555 sections 7.3 and 7.3.1).

        The CA's terms of service are agreed to. `contact` is an e-mail address.
        """
        urls = yield from self.directory()
        payload: dict[str, Any] = {"termsOfServiceAgreed": True} | contacts(contact)
        if external is not None:
            payload["externalAccountBinding"] = external_binding(
                self._key, urls.new_account, external.identifier, external.mac_key
            )
        elif urls.needs_external_account:
            raise AcmeError(f"the CA at {self.url} accepts only customers: it needs an external account")
        self.account = None
        response = yield from self.post(urls.new_account, payload)
        self.account = checked_url(response.headers.get("location", ""), "the URL of the account")
        return self.account

    def change_contact(self, contact: str | None) -> Steps[None]:
        """Tell the CA another e-mail address (RFC 8555 section 7.3.2)."""
        assert self.account is not None
        yield from self.post(self.account, contacts(contact) or {"contact": []})

    def post(self, url: str, payload: Mapping[str, Any] | None, accept: str = "application/json") -> Steps[Response]:
        """Send a signed request, again with another nonce where the CA does not know this one. Raises CaRefused."""
        for attempt in range(1, NONCE_ATTEMPTS + 1):
            nonce = yield from self._nonce()
            body = signed(self._key, url, nonce, payload, self.account)
            response = yield from answer_to(Request("POST", url, body, accept))
            self._keep_nonce(response)
            if 200 <= response.status < 300:
                return response
            problem = problem_of(response.body, response.status)
            if problem.kind != "badNonce" or attempt == NONCE_ATTEMPTS:
                raise CaRefused(problem, response.retry_after)
        raise AssertionError

    def fetch(self, url: str, accept: str = "application/json") -> Steps[Response]:
        """Get a resource by POST-as-GET (RFC 8555 section 6.3)."""
        return (yield from self.post(url, None, accept))

    def _nonce(self) -> Steps[str]:
        """Return a nonce that was not used yet (RFC 8555 section 7.2)."""
        if not self._nonces:
            urls = yield from self.directory()
            response = yield from answer_to(Request("HEAD", urls.new_nonce))
            self._keep_nonce(response)
            if not self._nonces:
                raise CaUnreachable(f"the CA gives no nonce: status {response.status}", response.retry_after)
        return self._nonces.pop()

    def _keep_nonce(self, response: Response) -> None:
        nonce = response.headers.get("replay-nonce", "")
        if _NONCE.fullmatch(nonce):
            self._nonces = [*self._nonces, nonce][-MOST_NONCES:]


def contacts(mail: str | None) -> dict[str, list[str]]:
    """Return the member that tells a CA an e-mail address; nothing if there is none."""
    return {"contact": [f"mailto:{mail}"]} if mail else {}
