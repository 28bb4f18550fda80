"""The answers to challenges, while a CA may ask for them: in this process, or in another that shares the store.

Two servers on one port share their connections, and so do the old and the new process while one takes over: each may
get the request that is meant for the other.
"""

from pathlib import Path

from snakepit.acme.challenges import alpn_certificate, is_token
from snakepit.acme.problems import AcmeError
from snakepit.acme.steps import Challenge
from snakepit.acme.store import CertificateStore

_ALPN = "alpn."
"""What stands before a name. No token has a dot, so that no request for one gets a key."""


class Answers:
    """The answers to the challenges that are under way. All methods may be called by any thread."""

    def __init__(self, store: CertificateStore) -> None:
        self._store = store
        self._own: dict[str, str] = {}

    def add(self, challenge: Challenge) -> None:
        """Answer a challenge from now on. Raises AcmeError."""
        label = _label(challenge)
        if challenge.kind == "http-01":
            answer = self._own[label] = challenge.key_authorization
        else:
            answer = alpn_certificate(challenge.name, challenge.key_authorization).decode()
        try:
            self._store.put_answer(label, answer)
        except OSError as error:
            raise AcmeError(f"the answer to a challenge can't be stored: {error}") from None

    def remove(self, challenge: Challenge) -> None:
        """Answer a challenge no more."""
        self._own.pop(_label(challenge), None)
        self._store.remove_answer(_label(challenge))

    def http(self, token: str) -> str | None:
        """Return the answer to the HTTP-01 challenge with this token; None: there is no such challenge."""
        return self._own.get(token) or self._store.answer(token) if is_token(token) else None

    def alpn(self, name: str) -> Path | None:
        """Return the file (PEM) with certificate and key for a handshake with `acme-tls/1`; None: it is not expected.

        `name` must be one for which certificates are obtained.
        """
        path = self._store.answer_path(_ALPN + name)
        return path if path.exists() else None


def _label(challenge: Challenge) -> str:
    return challenge.token if challenge.kind == "http-01" else _ALPN + challenge.name
