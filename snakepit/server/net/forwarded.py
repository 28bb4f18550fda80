"""The syntax of the header field Forwarded (RFC 7239)."""

import re

# Section 4: pairs of a token, and a token or quoted-string (RFC 9110 section 5.6).
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")')
_ESCAPED = re.compile(r"\\(.)")
_SPACE = re.compile(r"[ \t]*")
_HIDDEN = re.compile(r"(?:unknown|_[A-Za-z0-9._-]+)(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?", re.IGNORECASE)


def elements(value: str) -> list[dict[str, str]] | None:
    """Return the elements of a field, one from each proxy, as parameters and values; None if it is malformed.

    Names of parameters are in lower case. Space around ";" is accepted, as in other servers, and empty elements do not
    count (RFC 9110 section 5.6.1).
    """
    found: list[dict[str, str]] = []
    element: dict[str, str] = {}
    at = 0
    while True:
        if pair := _PAIR.match(value, at):
            name, token, quoted = pair[1].lower(), pair[2], pair[3]
            if name in element:
                return None
            element[name] = token if token is not None else _ESCAPED.sub(r"\1", quoted)
            at = pair.end()
        if space := _SPACE.match(value, at):
            at = space.end()
        if at < len(value) and value[at] not in ",;":
            return None
        if element and (at == len(value) or value[at] == ","):
            found.append(element)
            element = {}
        if at == len(value):
            return found
        at += 1


def is_hidden(node: str) -> bool:
    """Tell whether a proxy hides the address of a node (sections 6.2 and 6.3)."""
    return _HIDDEN.fullmatch(node) is not None
