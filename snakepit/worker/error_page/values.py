"""Values as an error page shows them: bounded in length and number, secrets masked, and no `repr` that does harm."""

import re
import reprlib
from collections.abc import Mapping

MASK = "********"
LONGEST = 1000
"""Characters of one value that are shown."""

MOST = 50
"""Local variables of one frame that are shown."""

_SECRET = re.compile(
    r"passw|passphrase|secret|token|api_?key|private_?key|access_?key|^key$|_key$|authorization|cookie|credential|session",
    re.IGNORECASE,
)


_WITHIN = re.compile(
    r"""((?:passw|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|cookie|credential)[\w-]{0,40}["']?\s*[:=]\s*)"""
    r"""("[^"]*"|'[^']*'|[^\s,;)}]+)""",
    re.IGNORECASE,
)
"""A name and its value in a repr, as `password='x'` of a dataclass, or `'PASSWORD': 'x'` of os.environ."""


class _Repr(reprlib.Repr):
    """Bounds containers while they are walked: a list of a million items costs as much as one of ten.

    The values of keys that look like secrets are masked within dicts, too.
    """

    def __init__(self) -> None:
        super().__init__(maxlevel=4, maxdict=20, maxlist=20, maxtuple=20, maxset=20, maxstring=400, maxother=400)

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        masked = {key: _Masked() if is_secret(key) else x[key] for key in list(x)[: self.maxdict + 1]}
        return super().repr_dict(masked, level)

    def repr_instance(self, x: object, level: int) -> str:
        text = _WITHIN.sub(lambda found: found[1] + MASK, repr(x)[: 100 * self.maxother])
        return text if len(text) <= self.maxother else text[: self.maxother] + "…"


class _Masked:
    def __repr__(self) -> str:
        return MASK


def is_secret(name: object) -> bool:
    """Tell whether a name, of a variable, key or header field, looks like that of a secret."""
    text = name.decode("latin-1") if type(name) is bytes else name
    return type(text) is str and _SECRET.search(text.replace("-", "_")) is not None


def shown(value: object) -> str:
    """Return a value's repr, of at most LONGEST characters; where that raises, which type it is and what was raised."""
    try:
        text = _Repr().repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}: its repr raises {type(error).__name__}>"
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def shown_locals(variables: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return names and values, as they are shown, of at most MOST variables."""
    names = list(variables)[:MOST]
    pairs = [(name, MASK if is_secret(name) else shown(variables[name])) for name in names]
    left_out = len(variables) - len(names)
    return [*pairs, ("…", f"{left_out} more")] if left_out else pairs
