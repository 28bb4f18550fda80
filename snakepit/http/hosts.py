"""Finds what routes may call the host of a request."""

from functools import lru_cache

KEPT_HOSTS = 1024
"""The most values of the Host field that are remembered; a client could send any number of them."""


@lru_cache(KEPT_HOSTS)
def names_of_host(host: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the first label of a host in lower case, and what routes may call the host, the most specific first.

    With its port, without, with `*` in the place of its first label, with the port and without, and nothing.
    """
    lower = host.lower()
    name, colon, port = lower.rpartition(b":") if b":" in lower and not lower.endswith(b"]") else (lower, b"", b"")
    name = name.removesuffix(b".")
    label, dot, rest = name.partition(b".")
    wildcard = b"*." + rest if dot else b""
    return label, tuple(dict.fromkeys((name + colon + port, name, wildcard and wildcard + colon + port, wildcard, b"")))
