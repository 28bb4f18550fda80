"""The tables of a configuration file: which option a key means, and what to say of those that mean none."""

import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from snakepit.config import app_reference, static, tls
from snakepit.config.apps import PER_APP
from snakepit.config.choices import check_name
from snakepit.config.option import Option
from snakepit.config.route import Route, checked, read_host, read_path
from snakepit.config.sources import AppTable, Setting
from snakepit.config.toml_lines import KeyPath
from snakepit.errors import ConfigError

GROUPS = {"logging": "log_", "websocket": "ws_", "timeouts": "timeout_", "limits": "limit_"}
"""Tables for options whose names begin alike: their keys may lack that beginning."""

_MORE_OF_LOGGING = (
    "access_log", "access_log_format", "access_log_file", "access_log_fields", "access_log_sample", "access_log_health",
    "use_colors",
)  # fmt: skip

APP = "app"
"""The key for the app's reference, which is no option."""

APPS = "apps"
"""The key for tables of further apps."""

_ARRAYS: dict[str, tuple[Callable[[static.ArrayReader, Any], Any], str]] = {
    static.NAME: (static.read_tables, static.EXAMPLE),
    tls.NAME: (tls.read_tables, tls.EXAMPLE),
}
"""What reads the tables that may be there several times, by their name, and what such a table needs."""

_OF_ROUTE = ("host", "path", "name")


def keys_of_group(group: str, options: Sequence[Option]) -> dict[str, Option]:
    """Return the keys that a table may have, with underscores, and the options that they mean."""
    prefix = GROUPS[group]
    found: dict[str, Option] = {}
    for option in options:
        if option.name.startswith(prefix):
            found[option.name.removeprefix(prefix)] = option
            found[option.name] = option
        elif group == "logging" and option.name in _MORE_OF_LOGGING:
            found[option.name] = option
    return found


def keys_at_top(options: Sequence[Option]) -> dict[str, Option]:
    """Return the keys of options that need no table, with underscores: their names, and those of other servers."""
    named = {option.name: option for option in options}
    return named | {option.alias: option for option in options if option.alias is not None}


class TableReader:
    """Reads a table with an app and its options, and collects mistakes.

    Args:
        folder: the file's, where its relative paths start.
        outer: the keys that lead to the table.
        lines: the line of each key.
    """

    def __init__(self, options: Sequence[Option], folder: str, outer: KeyPath, lines: Mapping[KeyPath, int]) -> None:
        self.settings: dict[str, Setting] = {}
        self.app: Setting | None = None
        self.mistakes: list[tuple[int, str]] = []
        """Lines, and what is wrong there."""
        self._options = options
        self._folder = folder
        self._outer = outer
        self._lines = lines
        self._top = keys_at_top(options)
        self._set: dict[str, Setting] = {}  # by name, whatever the value: to find what is set twice

    def read(self, values: Mapping[str, Any]) -> None:
        """Read the table."""
        for key, value in values.items():
            self._key(_normal(key), Setting(value, key, self._lines[*self._outer, key]))

    def _key(self, name: str, setting: Setting) -> None:
        if name in GROUPS:
            self._group(setting.key, setting.value, setting.line)
        elif name == APP:
            self._read_app(setting)
        elif name in self._top:
            self._option(self._top[name], setting)
        else:
            self._unknown(setting.key, setting.value, setting.line)

    @property
    def _keys(self) -> list[str]:
        """All keys that the table may have."""
        return [APP, *self._top, *GROUPS]

    def _group(self, group: str, values: Any, line: int) -> None:
        keys = keys_of_group(group, self._options)
        if not isinstance(values, dict):
            example = f"{min(keys)} = ..."
            self.mistake(line, f"{group} must be a table, not {shown(values)}: write [{group}], and below it {example}")
            return
        for key, value in values.items():
            name = _normal(key)
            here = self._lines[*self._outer, group, key]
            full = f"{group}.{key}"
            if name in keys:
                self._option(keys[name], Setting(value, full, here))
            elif name in self._top or name == APP:
                self.mistake(here, f"{full}: {key} does not belong into [{group}]: put it above the first table")
            else:
                self.mistake(here, f"{full}: there is no such key in [{group}]{_meant(key, keys)}")

    def _read_app(self, setting: Setting) -> None:
        if self._is_new(APP, setting):
            if setting.value and _are_tables(setting.value):
                self._unknown(setting.key, setting.value, setting.line)
                return
            if not isinstance(setting.value, str):
                self.mistake(setting.line, f'{setting.key} must be text, as in "main:app", not {shown(setting.value)}')
                return
            try:
                app_reference.check(setting.value)
            except ConfigError as error:
                self.mistake(setting.line, f"{setting.key}: {error}")
            self.app = setting

    def _option(self, option: Option, setting: Setting) -> None:
        if spanned := option.span(setting.value):
            for name, bound in spanned.items():
                self._option(self._top[name], Setting(bound, setting.key, setting.line))
            return
        if not self._is_new(option.name, setting):
            return
        value = setting.value
        if option.table and isinstance(value, dict):
            value = self._joined(option, setting)
        if option.commas and isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = ",".join(value)
        try:
            option.check(value, setting.key, shown)
        except ConfigError as error:
            self.mistake(setting.line, _named(setting.key, str(error)) + _remedy(option, setting.key, value))
            return
        if option.several:
            value = tuple(map(self._path, value) if option.path else value)
        elif option.path:
            value = self._path(value)
        self.settings[option.name] = Setting(value, setting.key, setting.line)

    def _joined(self, option: Option, setting: Setting) -> list[str]:
        """Return a table of texts as NAME=VALUE, one for each key."""
        joined = []
        for name, value in setting.value.items():
            if "=" in name:
                line = self._lines.get((*self._outer, setting.key, name), setting.line)
                self.mistake(line, f"{setting.key}.{shown(name)}: the name of a variable can't have a =")
            elif isinstance(value, str):
                joined.append(f"{name}={value}")
            else:
                line = self._lines.get((*self._outer, setting.key, name), setting.line)
                meant = f"; write {name} = {text(text(value))}" if isinstance(value, bool | int | float) else ""
                self.mistake(line, f"{setting.key}.{name} must be text, not {shown(value)}{meant}")
        return joined

    def _path(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._folder, path)) if path else path

    def _is_new(self, name: str, setting: Setting) -> bool:
        """Note that an option is set, and tell whether it is for the first time."""
        earlier = self._set.setdefault(name, setting)
        if earlier is setting:
            return True
        first, second = sorted((earlier, setting), key=lambda each: each.line)
        self.mistake(
            second.line, f"{second.key} sets what {first.key} in line {first.line} sets: leave one of them out"
        )
        return False

    def _unknown(self, key: str, value: Any, line: int) -> None:
        name = _normal(key)
        positive = self._top.get(name.removeprefix("no_"))
        if positive is not None and positive.kind is bool:
            wanted = "true" if value is False else "false"
            self.mistake(line, f"{key}: there is no such option; write {_like(key, positive.name)} = {wanted}")
            return
        tables = (option.name for option in self._options if option.table)
        table = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
        if table:
            self.mistake(line, f"[{key}]: there is no such table{_meant(key, [*self._tables, *tables])}")
            return
        from snakepit.config import foreign_options

        answers = foreign_options.about_keyword(name)
        if answers:
            self.mistake(line, f"{key}: there is no such option; {' '.join(answers)}")
            return
        self.mistake(line, f"{key}: there is no such option{_meant(key, self._keys)}")

    @property
    def _tables(self) -> list[str]:
        return [*GROUPS]

    def mistake(self, line: int, text: str) -> None:
        """Note what is wrong in a line."""
        self.mistakes.append((line, text))


class AppReader(TableReader):
    """Reads a table of `[[apps]]`: an app, its route, and the options that are its own.

    Args:
        options: all options.
    """

    def __init__(self, options: Sequence[Option], folder: str, outer: KeyPath, lines: Mapping[KeyPath, int]) -> None:
        super().__init__([option for option in options if option.name in PER_APP], folder, outer, lines)
        self._of_server = keys_at_top([option for option in options if option.name not in PER_APP])
        self._line = lines[outer]
        self._host = self._path_of_route = ""
        self._name: str | None = None

    def table(self) -> AppTable | None:
        """Return what was read; None if the app or a valid route is missing."""
        if self.app is None:
            if APP not in self._set:
                self.mistake(self._line, '[[apps]] has no app: write app = "main:app"')
            return None
        try:
            route = checked(Route(self._host, self._path_of_route))
        except ConfigError as error:
            self.mistake(self._line, str(error))
            return None
        return AppTable(self._line, self.settings, self.app, route, self._name)

    @property
    def _keys(self) -> list[str]:
        return [*super()._keys, *_OF_ROUTE]

    def _key(self, name: str, setting: Setting) -> None:
        if name in _OF_ROUTE:
            if not isinstance(setting.value, str):
                self.mistake(setting.line, f"{setting.key} must be text, not {shown(setting.value)}")
            elif self._is_new(name, setting):
                try:
                    self._route(name, setting.value)
                except ConfigError as error:
                    self.mistake(setting.line, str(error))
        elif name in self._of_server:
            self.mistake(
                setting.line, f"{setting.key} is the same for all apps of a server: put it above the first table"
            )
        else:
            super()._key(name, setting)

    def _route(self, name: str, text: str) -> None:
        match name:
            case "host":
                self._host = read_host(text)
            case "path":
                self._path_of_route = read_path(text)
            case _:
                check_name(text)
                self._name = text


class Reader(TableReader):
    """Reads the tables of one file: the server's options, its app, and its apps.

    Args:
        outer: the keys of the table that is Snakepit's.
    """

    def __init__(self, options: Sequence[Option], folder: str, outer: KeyPath, lines: Mapping[KeyPath, int]) -> None:
        super().__init__(options, folder, outer, lines)
        self.apps: list[AppTable] = []

    @property
    def _keys(self) -> list[str]:
        return [*super()._keys, APPS, *_ARRAYS]

    @property
    def _tables(self) -> list[str]:
        return [*super()._tables, APPS, *_ARRAYS]

    def _key(self, name: str, setting: Setting) -> None:
        if name == APPS:
            self._read_apps(setting)
        elif name in _ARRAYS:
            read, needed = _ARRAYS[name]
            if _are_tables(setting.value):
                self.settings[name] = Setting(read(self, setting.value), setting.key, setting.line)
            else:
                self.mistake(setting.line, f"{name} must be tables: write [[{name}]], and below it {needed}")
        else:
            super()._key(name, setting)

    def line_of(self, *path: str | int) -> int:
        """Return the line of a key, or of a table's header."""
        return self._lines[*self._outer, *path]

    def values_of(
        self, array: str, number: int, table: Mapping[str, Any], options: Sequence[Option]
    ) -> tuple[dict[str, Any], bool]:
        """Return the valid values of one table of an array of tables, whose keys are these options.

        Also returns whether all is valid.
        """
        keys = {option.name: option for option in options}
        reader = TableReader(options, self._folder, (*self._outer, array, number), self._lines)
        for key, value in table.items():
            name, line = _normal(key), self.line_of(array, number, key)
            if name in keys:
                reader._option(keys[name], Setting(value, f"{array}.{key}", line))
            else:
                reader.mistake(line, f"{array}.{key}: there is no such key in [[{array}]]{_meant(key, keys)}")
        self.mistakes += reader.mistakes
        return {name: setting.value for name, setting in reader.settings.items()}, not reader.mistakes

    def _read_apps(self, setting: Setting) -> None:
        tables = setting.value
        if not _are_tables(tables):
            self.mistake(
                setting.line,
                f'{setting.key} must be tables, not {shown(tables)}: write [[apps]], and below it app = "main:app"',
            )
            return
        for at, table in enumerate(tables):
            reader = AppReader(self._options, self._folder, (*self._outer, setting.key, at), self._lines)
            reader.read(table)
            read = reader.table()
            self.mistakes += reader.mistakes
            if read is not None:
                self.apps.append(read)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _normal(key: str) -> str:
    return key.replace("-", "_")


def _like(key: str, name: str) -> str:
    """Return a name in the spelling of a key."""
    return name if "_" in key else name.replace("_", "-")


def _named(key: str, text: str) -> str:
    return text if text.startswith(key) else f"{key}: {text}"


def _meant(key: str, names: Any) -> str:
    found = get_close_matches(_normal(key).lower(), list(names), 1)
    return f"; did you mean {_like(key, found[0])}?" if found else ""


def _remedy(option: Option, key: str, value: Any) -> str:
    """Return what to write instead, if that can be told."""
    meant = _with_type(option, value)
    if meant is not None:
        meant = '"..."' if option.secret else meant
        return f"; write {key.rpartition('.')[2]} = {meant}"
    if option.choices and isinstance(value, str):
        from snakepit.config import foreign_options

        answer = foreign_options.load().values.get(option.flag, {}).get(value)
        if answer:
            return f"; {answer}"
        close = get_close_matches(value.lower(), option.choices, 1)
        return f'; did you mean "{close[0]}"?' if close else ""
    return ""


def _with_type(option: Option, value: Any) -> str | None:
    """Return a value as TOML that has the option's type; None if it has it, or if none is near."""
    if option.has_type(value):
        return None
    if option.several:
        return f"[{text(value)}]" if isinstance(value, str) else None
    if isinstance(value, str):
        try:
            return text(option.parse(value.strip()))
        except ConfigError:
            return None
    if option.kind is bool and value in (0, 1):
        return text(bool(value))
    if option.kind is int and isinstance(value, float) and value.is_integer():
        return text(int(value))
    if option.kind is str and isinstance(value, bool | int | float):
        return text(text(value))
    return None


def text(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(text, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    escaped = "".join(_ESCAPES.get(letter) or _printable(letter) for letter in str(value))
    return f'"{escaped}"'


def shown(value: Any) -> str:
    """Return a value of a file as a message has it: as TOML, if it is not a table."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return text(value) if isinstance(value, str | bool | int | float) else str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _printable(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 32 or ord(letter) == 127 else letter
