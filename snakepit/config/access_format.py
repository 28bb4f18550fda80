"""The format of the access log (`--access-log-format`): text with atoms such as `%(h)s`, as gunicorn has them."""

import re
from collections.abc import Iterator

from snakepit.errors import ConfigError

ATOMS: dict[str, str | int | float] = {
    **dict.fromkeys(("h", "l", "u", "t", "r", "R", "m", "U", "Uq", "q", "H", "S", "s", "st", "b", "f", "a"), ""),
    **dict.fromkeys(("B", "T", "M", "D"), 0),
    **dict.fromkeys(("L", "p"), ""),
    **dict.fromkeys(("addr", "time", "method", "scheme", "path", "query_string", "protocol"), ""),
    **dict.fromkeys(("request_id", "trace_id", "worker", "app"), ""),
    "status": 0,
    **dict.fromkeys(("dt_ms", "queue_ms", "app_ms"), 0.0),
}
"""The names of atoms, each with a value of its type."""

_SPECIFIER = re.compile(r"%(?:%|\((?P<name>[^()]*)\)(?P<how>[-+ #0]*[0-9]*(?:\.[0-9]+)?[sradiouxXeEfFgG]))")
_FIELD = re.compile(r"\{([!#$%&'*+.^_`|~0-9A-Za-z-]+)\}([io])")


def check_format(text: str) -> None:
    """Raise ConfigError unless the text is a format whose atoms all exist."""
    template, names = parse_format(text)
    values = tuple("" if name.startswith("{") else ATOMS[name] for name in names)
    try:
        template % values
    except (TypeError, ValueError) as error:
        raise ConfigError(f"access_log_format {text!r} can't be used: {error}") from None


def parse_format(text: str) -> tuple[str, list[str]]:
    """Return the format for a tuple of values, and the names of their atoms. Raises ConfigError."""
    if "%" in _SPECIFIER.sub("", text):
        raise ConfigError(f"access_log_format must have atoms such as %(h)s, and %% for a percent sign, not {text!r}")
    names = list(_names(text))
    return _SPECIFIER.sub(lambda found: f"%{found['how']}" if found["how"] else "%%", text), names


def field_of(name: str) -> tuple[bytes, str] | None:
    """Return the header field that an atom such as `{user-agent}i` means, in lower case, and "i" or "o"; None: none."""
    found = _FIELD.fullmatch(name)
    return (found[1].lower().encode(), found[2]) if found is not None else None


def _names(text: str) -> Iterator[str]:
    for found in _SPECIFIER.finditer(text):
        name = found["name"]
        if name is None:
            continue
        if name not in ATOMS and field_of(name) is None:
            raise ConfigError(f"access_log_format: there is no %({name})s; docs/how-to/logging.md has those there are")
        yield name


def check_file(path: str) -> None:
    """Raise ConfigError for a path that means stdout to other servers."""
    if path == "-":
        raise ConfigError("access_log_file can't be -: leave it out, requests are logged on stdout")
