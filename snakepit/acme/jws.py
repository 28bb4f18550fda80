"""Signed requests: JSON Web Signatures as ACME uses them (RFC 8555 sections 6.2 and 7.3.4)."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

REQUIRED = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""The members of a key of each type that make its thumbprint, in lexicographic order (RFC 7638 section 3.2)."""


_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class Signer(Protocol):
    """A key that signs."""

    algorithm: str

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`, in the form that JWS wants."""
        ...

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as JWK."""
        ...


def to_base64url(data: bytes) -> str:
    """Encode in base64url without padding (RFC 8555 section 6.1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Decode base64url, with or without padding. Raises ValueError."""
    bare = text.rstrip("=")
    if not _BASE64URL.fullmatch(bare):
        raise ValueError("it is not base64url")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def thumbprint(key: Mapping[str, str]) -> str:
    """Return the thumbprint of a public key (RFC 7638), in base64url."""
    members = {name: key[name] for name in REQUIRED[key["kty"]]}
    return to_base64url(hashlib.sha256(_json(members)).digest())


def signed(
    signer: Signer,
    url: str,
    nonce: str,
    payload: Mapping[str, Any] | None,
    account: str | None,
) -> bytes:
    """Return the body of a POST request.

    Args:
        payload: None for POST-as-GET (RFC 8555 section 6.3).
        account: the URL of the account; None: it is not known yet, and the key is sent instead (section 6.2).
    """
    protected: dict[str, Any] = {"alg": signer.algorithm, "nonce": nonce, "url": url}
    protected |= {"jwk": dict(signer.public)} if account is None else {"kid": account}
    return _json(_parts(protected, b"" if payload is None else _json(payload), signer.sign))


def external_binding(signer: Signer, url: str, identifier: str, mac_key: bytes) -> dict[str, str]:
    """Return the object that binds a new account to one elsewhere (RFC 8555 section 7.3.4).

    Args:
        url: of newAccount.
        identifier: of the account elsewhere, as the CA gave it.
        mac_key: the secret that the CA gave with it.
    """

    def sign(data: bytes) -> bytes:
        return hmac.digest(mac_key, data, "sha256")

    return _parts({"alg": "HS256", "kid": identifier, "url": url}, _json(dict(signer.public)), sign)


def _parts(protected: Mapping[str, Any], payload: bytes, sign: Any) -> dict[str, str]:
    head, body = to_base64url(_json(protected)), to_base64url(payload)
    return {"protected": head, "payload": body, "signature": to_base64url(sign(f"{head}.{body}".encode()))}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
