"""Options: their names, their values, and how a field of `Config` declares one."""

import os
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

from snakepit.errors import ConfigError

ENV_PREFIX = "SNAKEPIT_"


def option[T](
    default: T,
    help: str,
    *,
    short: str | None = None,
    alias: str | None = None,
    alias_short: str | None = None,
    variable: str | None = None,
    separator: str = os.pathsep,
    metavar: str | None = None,
    least: float | None = None,
    most: float | None = None,
    shown: str | None = None,
    path: bool = False,
    commas: bool = False,
    table: bool = False,
    secret: bool = False,
    ceiling: str | None = None,
    form: Callable[[Any], object] | None = None,
) -> T:
    """Declare an option: its default, its meaning and its names."""
    metadata = {
        "help": help,
        "short": short,
        "alias": alias,
        "alias_short": alias_short,
        "variable": variable,
        "separator": separator,
        "metavar": metavar,
        "least": least,
        "most": most,
        "shown": shown,
        "path": path,
        "commas": commas,
        "table": table,
        "secret": secret,
        "ceiling": ceiling,
        "form": form,
    }
    made: T = field(default=default, metadata=metadata, repr=not secret)
    return made


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as everything derived from `Config` sees it."""

    name: str
    kind: type
    optional: bool
    several: bool
    choices: tuple[str, ...]
    default: Any
    help: str
    short: str | None
    alias: str | None
    """Another name for it, from another server."""
    alias_short: str | None
    variable: str | None
    """An environment variable of other servers that sets it if nothing else does."""
    separator: str
    """The text between several values in an environment variable."""
    metavar: str | None
    least: float | None
    most: float | None
    shown: str | None
    """Its default in words, where the value itself says too little."""
    path: bool
    """Whether it names files or folders; relative ones in a configuration file start from the file's folder."""
    commas: bool
    """Whether its text is a list with commas, which a configuration file may have as a list."""
    table: bool
    """Whether its texts are NAME=VALUE, which a configuration file may have as a table."""
    secret: bool
    """Whether nobody may read its value, in what is shown of a configuration."""
    ceiling: str | None
    """The name of the option that bounds it: as text, LEAST-MOST sets both."""
    form: Callable[[Any], object] | None
    """Raises ConfigError for a value of the right type that is wrong all the same."""

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All its names on the command line, except the one that turns it off."""
        alias = None if self.alias is None else "--" + self.alias.replace("_", "-")
        return tuple(flag for flag in (self.flag, self.short, alias, self.alias_short) if flag is not None)

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """All environment variables that set it; the first one that is set counts."""
        alias = None if self.alias is None else ENV_PREFIX + self.alias.upper()
        return tuple(variable for variable in (self.env, alias, self.variable) if variable is not None)

    @property
    def default_text(self) -> str | None:
        """Its default as text for people; None if there is nothing to say."""
        if self.shown is not None:
            return self.shown
        if self.kind is bool:
            return "on" if self.default else "off"
        if self.several:
            return " ".join(self.default) or None
        return None if self.default in (None, "") else f"{self.default:g}" if self.kind is float else str(self.default)

    def parse(self, text: str, variable: str | None = None) -> Any:
        """Parse a value from an environment variable; `name` if that is not `env`. Raises ConfigError."""
        try:
            if self.several:
                return tuple(part for part in text.split(self.separator) if part)
            return _PARSERS[self.kind](text)
        except ValueError:
            raise ConfigError(f"{variable or self.env} must be {_KIND_NAMES[self.kind]}, not {text!r}") from None

    def span(self, value: Any) -> dict[str, int]:
        """Return the values that a text LEAST-MOST stands for, by the options' names; nothing for other values."""
        if self.ceiling is None or not isinstance(value, str) or (bounds := _SPAN.fullmatch(value)) is None:
            return {}
        return {self.name: int(bounds[1]), self.ceiling: int(bounds[2])}

    @property
    def expected(self) -> str:
        """The type of its values, in words."""
        if self.choices and not self.several:
            return f"one of {', '.join(self.choices)}"
        return "a list of texts" if self.several else _KIND_NAMES[self.kind]

    def shown_value(self, value: Any) -> Any:
        """Return a value as people may see it."""
        return "***" if self.secret and value else value

    def _hidden(self, value: Any) -> str:
        return "***"

    def has_type(self, value: Any) -> bool:
        """Tell whether a value has the option's type."""
        if value is None:
            return self.optional
        if self.several:
            return isinstance(value, tuple | list) and all(isinstance(item, str) for item in value)
        right = isinstance(value, self.kind) or (self.kind is float and isinstance(value, int))
        return right and (self.kind is bool or not isinstance(value, bool))

    def check(self, value: Any, name: str | None = None, shown: Callable[[Any], str] = repr) -> None:
        """Raise ConfigError unless the option may have the value.

        Args:
            name: what the message calls the option.
            shown: makes the text of a value for the message.
        """
        name = name or self.name
        if self.secret:
            shown = self._hidden
        if not self.has_type(value):
            raise ConfigError(f"{name} must be {self.expected}, not {shown(value)}")
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise ConfigError(f"{name} must be one of {', '.join(self.choices)}, not {shown(value)}")
        if self.least is not None and not value >= self.least:
            raise ConfigError(f"{name} must be at least {self.least:g}, not {shown(value)}")
        if self.most is not None and not value <= self.most:
            raise ConfigError(f"{name} must be at most {self.most:g}, not {shown(value)}")
        if self.form is not None:
            self.form(value)


def describe(declared: type[Any]) -> tuple[Option, ...]:
    """Return the options that the fields of a dataclass declare, in their order: those of its base classes first."""
    hints = get_type_hints(declared)
    described = []
    for item in fields(declared):
        if item.default is MISSING or not item.metadata:
            continue  # the app and the apps, and what is found out
        hint = hints[item.name]
        if isinstance(hint, TypeAliasType):
            hint = hint.__value__
        members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kind = next(member for member in members if member is not NoneType)
        several = get_origin(kind) is tuple
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        described.append(
            Option(
                name=item.name,
                kind=str if choices or several else kind,
                optional=NoneType in members,
                several=several,
                choices=choices,
                default=item.default,
                **item.metadata,
            )
        )
    return tuple(described)


_SPAN = re.compile(r"\s*([0-9]+)\s*-\s*([0-9]+)\s*", re.ASCII)


def _parse_bool(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


_PARSERS: dict[type, Callable[[str], Any]] = {int: int, float: float, bool: _parse_bool, str: str}
_KIND_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
