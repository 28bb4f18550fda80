"""Orders: from the names to the chain of certificates (RFC 8555 sections 7.4 and 7.5)."""

from collections.abc import Iterable, Sequence
from typing import Any

from snakepit.acme.challenges import key_authorization
from snakepit.acme.jws import to_base64url
from snakepit.acme.names import address, canonical
from snakepit.acme.problems import AcmeError, CaRefused, CaUnreachable, ChallengeFailed, problem_from, shown
from snakepit.acme.session import Session
from snakepit.acme.steps import Challenge, ChallengeKind, Members, Response, Steps, checked_url, pause

FIRST_PAUSE = 0.25
"""Seconds before a CA is asked again whether it is done; then half as much again each time."""

LONGEST_PAUSE = 10.0
"""Seconds between two questions, whatever Retry-After says: an order does not live for long."""

PATIENCE = 180.0
"""Seconds of pauses, after which a CA is not asked again whether it is done."""

_CHAIN = "application/pem-certificate-chain"
_WITHOUT_REPLACES = {"alreadyReplaced", "malformed", "unauthorized", ""}
"""Kinds of errors after which an order is tried without the certificate that it replaces (RFC 9773 section 5)."""


def obtain(
    session: Session,
    names: Sequence[str],
    request: bytes,
    kinds: Sequence[ChallengeKind],
    thumbprint: str,
    replaces: str | None = None,
) -> Steps[bytes]:
    """Return the chain of certificates for these names, as PEM.

    Args:
        request: the signing request, as DER.
        kinds: the challenges that can be answered; the first that the CA offers is taken.
        thumbprint: of the account's key.
        replaces: the identifier of the certificate that it renews (RFC 9773 section 5).
    """
    where, order = yield from _place(session, names, replaces)
    finalize = order.url("finalize")
    if order.text("status") == "pending":
        for url in [checked_url(shown(one), "an authorization's URL") for one in order.list("authorizations")]:
            yield from _authorize(session, url, kinds, thumbprint)
        order = yield from _wait(session, where, "the order", ("ready", "valid", "processing"))
    if order.text("status") == "ready":
        yield from session.post(finalize, {"csr": to_base64url(request)})
    order = yield from _wait(session, where, "the order", ("valid",))
    chain = yield from session.fetch(order.url("certificate"), _CHAIN)
    return chain.body


def _place(session: Session, names: Sequence[str], replaces: str | None) -> Steps[tuple[str, Members]]:
    urls = yield from session.directory()
    payload: dict[str, Any] = {"identifiers": [identifier(name) for name in names]}
    try:
        more = {"replaces": replaces} if replaces and urls.renewal_info else {}
        response = yield from session.post(urls.new_order, payload | more)
    except CaRefused as error:
        if not more or error.problem.kind not in _WITHOUT_REPLACES:
            raise
        response = yield from session.post(urls.new_order, payload)
    return checked_url(response.headers.get("location", ""), "the order's URL"), Members.of(response, "the order")


def identifier(name: str) -> dict[str, str]:
    """Return a name as orders contain it (RFC 8555 section 9.7.7, RFC 8738 section 3)."""
    return {"type": "dns" if address(name) is None else "ip", "value": name}


def _authorize(session: Session, url: str, kinds: Sequence[ChallengeKind], thumbprint: str) -> Steps[None]:
    response = yield from session.fetch(url)
    found = Members.of(response, "the authorization")
    status = found.text("status")
    if status == "valid":  # from an earlier order
        return
    name = _name(found)
    if status != "pending":
        raise ChallengeFailed(f"the CA's authorization for {name} is {shown(status)}")
    challenges = [Members(one, "a challenge") for one in found.list("challenges")]
    kind, chosen = _choose(challenges, kinds, name)
    token = chosen.text("token")
    yield Challenge(kind, name, token, key_authorization(token, thumbprint))
    yield from session.post(chosen.url("url"), {})
    try:
        yield from _wait(session, url, f"the authorization for {name}", ("valid",))
    except _TurnedInvalid as error:
        reasons = [str(problem_from(one)) for one in _errors(error.found)]
        raise ChallengeFailed(
            f"the CA did not find this server at {name} ({kind}): {'; '.join(reasons) or 'it gives no reason'}"
        ) from None


def _name(authorization: Members) -> str:
    found = Members(authorization.get("identifier"), "the identifier of an authorization")
    try:
        return canonical(found.text("value"))
    except ValueError:
        raise CaUnreachable(f"the CA's authorization is for {shown(found.text('value'))!r}") from None


def _choose(challenges: list[Members], kinds: Sequence[ChallengeKind], name: str) -> tuple[ChallengeKind, Members]:
    for kind in kinds:
        for one in challenges:
            if one.get("type") == kind:
                return kind, one
    offered = ", ".join(sorted(shown(one.get("type")) for one in challenges)) or "nothing"
    raise ChallengeFailed(f"for {name} the CA offers {offered}, and not {' or '.join(kinds)}")


def _errors(authorization: Members) -> Iterable[Any]:
    for one in authorization.list("challenges"):
        if isinstance(one, dict) and one.get("error"):
            yield one["error"]


class _TurnedInvalid(AcmeError):
    """What was waited for can't be had any more."""

    def __init__(self, what: str, found: Members) -> None:
        error = found.get("error")
        super().__init__(f"the CA has given {what} up{f': {problem_from(error)}' if error else ''}")
        self.found = found


def _wait(session: Session, url: str, what: str, wanted: Iterable[str]) -> Steps[Members]:
    """Ask until a resource has one of the wanted states (RFC 8555 section 7.5.1)."""
    seconds, passed = FIRST_PAUSE, 0.0
    while True:
        response: Response = yield from session.fetch(url)
        found = Members.of(response, what)
        status = found.text("status")
        if status in wanted:
            return found
        if status not in ("pending", "processing", "ready"):
            raise _TurnedInvalid(what, found)
        if passed >= PATIENCE:
            raise CaUnreachable(f"the CA is not done with {what} after {passed:.0f} seconds")
        asked = seconds if response.retry_after is None else max(response.retry_after, FIRST_PAUSE)
        passed += min(asked, LONGEST_PAUSE)
        yield from pause(min(asked, LONGEST_PAUSE))
        seconds *= 1.5
