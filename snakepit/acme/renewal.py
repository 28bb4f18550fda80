"""When to renew: as the CA suggests (RFC 9773), else when one third of the lifetime is left."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from snakepit.acme.chains import CertificateChain
from snakepit.acme.problems import CaUnreachable, problem_of, shown
from snakepit.acme.session import Session
from snakepit.acme.steps import Members, Request, Steps, answer_to

LEFT = 1 / 3
"""The part of the lifetime that is left when a certificate is renewed: what Let's Encrypt advises, and a part rather
than days, since there are certificates for 90 days and for 6."""

JITTER = 1 / 30
"""The part of the lifetime over which renewals are spread before that, so that a CA does not get all at once."""

LATEST = 1 / 20
"""The part of the lifetime that is left when a certificate is renewed whatever the CA suggests."""

LOOK_AGAIN = 6 * 3600.0
"""Seconds until a CA is asked again what it suggests, if it does not say how long (RFC 9773 section 4.3.1)."""

LOOKS = 60.0, 24 * 3600.0
"""The least and the most seconds until it is asked again, whatever it says (RFC 9773 section 4.3.2)."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a CA suggested for one certificate.

    Args:
        fingerprint: of the certificate.
        start: of the window in which it is to be renewed, in seconds since the epoch, as all times.
        end: of that window.
        chosen: a random time in the window.
        look_again: when to ask the next time.
        explanation: a URL for people, where the CA says why.
    """

    fingerprint: str
    start: float
    end: float
    chosen: float
    look_again: float
    explanation: str = ""


def due(chain: CertificateChain, suggestion: Suggestion | None) -> float:
    """Return when to renew a certificate."""
    if suggestion is None or suggestion.fingerprint != chain.fingerprint:
        spread = int(chain.fingerprint[:8], 16) / 0x1_0000_0000  # the same in each process, and after each restart
        return chain.not_after - chain.lifetime * (LEFT + JITTER * spread)
    return min(suggestion.chosen, chain.not_after - chain.lifetime * LATEST)


def ask_suggestion(
    session: Session,
    chain: CertificateChain,
    before: Suggestion | None,
    now: float,
    choose: Callable[[float, float], float],
) -> Steps[Suggestion | None]:
    """Ask the CA when to renew a certificate; None if it has no such information. Raises AcmeError.

    Args:
        before: what it suggested before; the chosen time stays as long as the window does.
        choose: returns a random number between two others.
    """
    urls = yield from session.directory()
    if urls.renewal_info is None or chain.identifier is None:
        return None
    response = yield from answer_to(Request("GET", f"{urls.renewal_info.rstrip('/')}/{chain.identifier}"))
    if response.status != 200:
        raise CaUnreachable(
            f"the CA does not say when to renew: {problem_of(response.body, response.status)}", response.retry_after
        )
    found = Members.of(response, "the renewal information")
    window = Members(found.get("suggestedWindow"), "the window of the renewal information")
    start, end = _moment(window, "start"), _moment(window, "end")
    if end <= start:  # RFC 9773 section 4.2: as if it had sent none
        raise CaUnreachable("the CA suggests to renew in a window that ends before it starts")
    least, most = LOOKS
    seconds = LOOK_AGAIN if response.retry_after is None else min(max(response.retry_after, least), most)
    kept = before is not None and (before.fingerprint, before.start, before.end) == (chain.fingerprint, start, end)
    chosen = before.chosen if before is not None and kept else choose(start, end)
    return Suggestion(chain.fingerprint, start, end, chosen, now + seconds, shown(found.get("explanationURL")))


def _moment(window: Members, name: str) -> float:
    text = window.text(name)
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise CaUnreachable(f"the CA suggests to renew at {shown(text)!r}, which is no time") from None
