"""Variables as texts: NAME=VALUE."""

from collections.abc import Sequence

from snakepit.errors import ConfigError


def check(lines: Sequence[str]) -> None:
    """Raise ConfigError unless each line is a variable."""
    for line in lines:
        name, separator, _ = line.partition("=")
        if not name or not separator or "\0" in line:
            raise ConfigError(f"env must be NAME=VALUE, not {line!r}", ("env",))


def mapping(lines: Sequence[str]) -> dict[str, str]:
    """Return the variables by their names; of one that is named twice, the last value counts."""
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, _, value in pairs}
