"""Names that a certificate may be for: domains and addresses, in the one form in which all code here has them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

MOST_CHARACTERS = 253
"""Characters of a domain (RFC 1035 section 2.3.4)."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 section 2.1
_DEVIATIONS = "ßς\u200c\u200d"
"""Characters that the two versions of IDNA turn into different domains (RFC 5891, UTS 46 section 7)."""


def canonical(name: str) -> str:
    """Return a domain in lower case and ASCII, or an address in its shortest form. Raises ValueError with the reason.

    A dot at the end is left out. Domains with other characters than ASCII become what DNS holds (xn--…).
    """
    wanted = name.strip().removesuffix(".")
    found = address(wanted.removeprefix("[").removesuffix("]"))
    if found is not None:
        return str(found)
    if wanted.startswith("*."):
        raise ValueError("certificates for all names below a domain need DNS challenges, which are not supported")
    if not wanted.isascii():
        wanted = _in_ascii(wanted)
    wanted = wanted.lower()
    labels = wanted.split(".")
    if len(wanted) > MOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("it is neither a domain nor an IP address")
    return wanted


def _in_ascii(name: str) -> str:
    if any(char in name for char in _DEVIATIONS):
        raise ValueError("write it as DNS holds it (xn--…), as there are two ways to do that")
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"it is no domain: {error}") from None


def address(name: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a name is; None: it is a domain."""
    try:
        found = ip_address(name)
    except ValueError:
        return None
    return None if isinstance(found, IPv6Address) and found.scope_id else found


def is_local(name: str) -> bool:
    """Tell whether no public CA certifies a name: `localhost` and names below it (RFC 6761), and addresses."""
    return name == "localhost" or name.endswith(".localhost") or address(name) is not None
