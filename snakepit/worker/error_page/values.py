"""Values as an error page shows them: bounded in length, number and time, and with secrets masked.

No `repr` of the app's does harm: what it raises is told in its place, and one that hangs can be ended like any code of
the app's (`snakepit.worker.hangs`); then no more values are asked for.
"""

import re
import reprlib
import time
from collections.abc import Mapping
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType

from snakepit.errors import Interrupted

MASK = "********"
LONGEST = 1000
"""Characters of one value that are shown."""

MOST = 50
"""Local variables of one frame that are shown."""

SECONDS = 1.0
"""The time that the values of a page may take; those that come later are left out."""

CHARACTERS = 200_000
"""The length of all values of a page; those that come later are left out."""

_SECRET = re.compile(
    r"passw|passphrase|secret|token|api_?key|private_?key|access_?key|^key$|_key$|authorization|cookie|credential|session",
    re.IGNORECASE,
)

_NAME = (
    r"(?:passw|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|cookie|credential|session)[\w-]{0,40}"
)
_WITHIN = re.compile(
    rf"""({_NAME}["']?\s*[:=]\s*|{_NAME}["']\s*,\s*)(b?"[^"]*"?|b?'[^']*'?|[^\s,;)}}&]+)""",
    re.IGNORECASE,
)
"""A name and its value in a repr, as `password='x'` of a dataclass, `'PASSWORD': 'x'` of os.environ, or `b'cookie',
b'x'` of a header field."""

_IN_URL = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+@")
"""The password in a URL, as databases have it."""


class Allowance:
    """What may be spent on the values of a page: the time until `until` (`time.monotonic`), and `left` characters."""

    def __init__(self, seconds: float = SECONDS, characters: int = CHARACTERS) -> None:
        self.until = time.monotonic() + seconds
        self.left = characters

    @property
    def is_spent(self) -> bool:
        """Whether no more values may be shown."""
        return self.left <= 0 or time.monotonic() >= self.until


class _Repr(reprlib.Repr):
    """Bounds containers while they are walked: a list of a million items costs as much as one of ten.

    The values of keys that look like secrets are masked within dicts, and in pairs such as header fields.
    """

    def __init__(self) -> None:
        super().__init__(maxlevel=4, maxdict=20, maxlist=20, maxtuple=20, maxset=20, maxstring=400, maxother=400)

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        masked = {key: _Masked() if is_secret(key) else x[key] for key in islice(x, self.maxdict + 1)}
        return super().repr_dict(masked, level)

    def repr_tuple(self, x: tuple[object, ...], level: int) -> str:
        if len(x) == 2 and is_secret(x[0]):
            x = x[0], _Masked()
        return super().repr_tuple(x, level)

    def repr_list(self, x: list[object], level: int) -> str:
        if len(x) == 2 and is_secret(x[0]):
            x = [x[0], _Masked()]
        return super().repr_list(x, level)

    def repr_str(self, x: str, level: int) -> str:
        return self._cut(repr(x[: 4 * self.maxstring]), len(x) > 4 * self.maxstring)

    def repr_instance(self, x: object, level: int) -> str:
        if isinstance(x, str | bytes | bytearray):
            return self._cut(repr(x[: 4 * self.maxstring]), len(x) > 4 * self.maxstring)
        try:
            text = repr(x)
        except BaseException as error:
            if issubclass(type(error), Interrupted):
                raise
            text = _failed(x, error)
        return self._cut(text[: 100 * self.maxother])

    repr_bytes = repr_bytearray = repr_instance

    def _cut(self, text: str, goes_on: bool = False) -> str:
        text = _without_secrets(text)
        return text if len(text) <= self.maxother and not goes_on else text[: self.maxother] + "…"


CALLERS = (_Repr.repr_instance.__code__,)
"""Code of ours that calls the app's."""


class _Masked:
    def __repr__(self) -> str:
        return MASK


def _failed(value: object, error: BaseException) -> str:
    return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def _without_secrets(text: str) -> str:
    return _IN_URL.sub(lambda found: f"{found[1]}{MASK}@", _WITHIN.sub(lambda found: found[1] + MASK, text))


def is_secret(name: object) -> bool:
    """Tell whether a name, of a variable, key or header field, looks like that of a secret."""
    text = name.decode("latin-1") if type(name) is bytes else name
    return type(text) is str and _SECRET.search(text.replace("-", "_")) is not None


def masked_query(target: str) -> str:
    """Return a request's target, with the values masked in its query whose names look like those of secrets."""
    path, mark, query = target.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&"))
    return (
        path
        + mark
        + "&".join(name + sign + (MASK if sign and is_secret(name) else value) for name, sign, value in pairs)
    )


def shown(value: object, allowance: Allowance | None = None) -> str:
    """Return a value's repr, of at most LONGEST characters; where that raises, which type it is and what was raised."""
    try:
        text = _Repr().repr(value)
    except BaseException as error:  # SystemExit, too: it is no more than what the app's repr did
        if allowance is not None and issubclass(type(error), Interrupted):
            allowance.left = 0
        text = _failed(value, error)
    text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    if allowance is not None:
        allowance.left -= len(text)
    return text


def shown_locals(
    variables: Mapping[str, object], allowance: Allowance | None = None, of_module: bool = False
) -> list[tuple[str, str]]:
    """Return names and values, as they are shown, of at most MOST variables, and no more than is allowed.

    `of_module`: they are a module's, of which what it has defined and imported is left out.
    """
    wanted = [name for name in variables if not of_module or _is_variable(name, variables[name])]
    pairs: list[tuple[str, str]] = []
    for name in wanted[:MOST]:
        if allowance is not None and allowance.is_spent:
            break
        pairs.append((name, MASK if is_secret(name) else shown(variables[name], allowance)))
    left_out = len(wanted) - len(pairs)
    return [*pairs, ("…", f"{left_out} more")] if left_out else pairs


def _is_variable(name: str, value: object) -> bool:
    kind = type(value)  # isinstance() would ask the app's own class, which may raise
    return not name.startswith("__") and not issubclass(kind, (ModuleType, FunctionType, BuiltinFunctionType, type))
