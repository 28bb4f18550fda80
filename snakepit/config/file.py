"""Configuration files: snakepit.toml, or the table `tool.snakepit` of pyproject.toml.

What parses them is imported once there is one: most servers have none.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

from snakepit.config import place
from snakepit.config.options import OPTIONS
from snakepit.config.sources import ConfigFile, raise_all, shown_path
from snakepit.errors import ConfigError
from snakepit.system import working_directory

_TABLE = ("tool", "snakepit")
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def wanted(named: str | None = None, none: bool = False) -> ConfigFile | None:
    """Read the file that is `named`, or else by the environment, or else found from the working directory upwards.

    None: there is no such file, or `none` is wanted. Raises ConfigError, with all mistakes at once.
    """
    if none and named is not None:
        raise ConfigError("--config and --no-config can't be used together")
    if none:
        return None
    named = named if named is not None else os.environ.get(place.VARIABLE) or None
    return _find() if named is None else read(named)


def read(path: str) -> ConfigFile:
    """Read the file with this path. Raises ConfigError, with all mistakes at once."""
    if not path:
        raise ConfigError("config must be the path of a file, not empty")
    try:
        path = working_directory.absolute(os.fspath(path))
        data = _bytes(path)
    except FileNotFoundError:
        raise ConfigError(f"the configuration file {path} does not exist; snakepit init writes one") from None
    if path.endswith(".py"):
        raise ConfigError(
            f"{shown_path(path)} is a Python file; options stand in TOML, and snakepit init writes a file"
        )
    table = _TABLE if os.path.basename(path) == place.SHARED else ()
    found = _read(path, data, table)
    if found is None:
        raise ConfigError(f"{shown_path(path)} has no table [tool.snakepit]")
    return found


def _find() -> ConfigFile | None:
    start = working_directory.name()
    for path in place.candidates(start):
        own = os.path.basename(path) == place.OWN
        try:
            data = _bytes(path)
        except ConfigError:
            if own:
                raise
            continue  # another tool's, as far as anybody can tell
        except FileNotFoundError:
            continue
        if own or place.may_have_table(data):
            found = _read(path, data, () if own else _TABLE)
            if found is not None:
                _refuse_strangers(path, start)
                return found
    return None


def _refuse_strangers(path: str, start: str) -> None:
    """Raise ConfigError for a file above the working directory that another user could have put there.

    A file names code to import, and folders above may be open to all, such as /tmp.
    """
    if os.name == "nt" or os.path.dirname(path) == start:
        return
    owner = os.stat(path).st_uid
    if owner not in (0, os.geteuid(), os.stat(start).st_uid):
        raise ConfigError(
            f"{path} belongs to another user (uid {owner}); to use it: --config {path}, to leave it out: --no-config"
        )


def _bytes(path: str) -> bytes:
    """Read a file. Raises ConfigError, or FileNotFoundError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"the configuration file {path} can't be read: {error.strerror or error}") from None


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n")


def _read(path: str, data: bytes, table: Sequence[str]) -> ConfigFile | None:
    """Read the table of a file; None if the file does not have it."""
    import tomllib

    from snakepit.config.tables import Reader, shown
    from snakepit.config.toml_lines import key_lines

    where = shown_path(path)
    try:
        text = _normal(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{where}:{line}: the byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        ) from None
    try:
        values: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_about_syntax(where, text, str(error))) from None
    for name in table:
        if not isinstance(values, dict) or name not in values:
            return None
        values = values[name]
    lines = key_lines(text)
    if not isinstance(values, dict):
        raise ConfigError(f"{where}:{lines[tuple(table)]}: {'.'.join(table)} must be a table, not {shown(values)}")
    reader = Reader(OPTIONS, os.path.dirname(path), tuple(table), lines)
    reader.read(values)
    raise_all([f"{where}:{line}: {text}" for line, text in sorted(reader.mistakes)])
    return ConfigFile(path, reader.settings, reader.app, tuple(reader.apps))


_UNQUOTED = re.compile(r"[ \t]*([A-Za-z0-9_.-]+)[ \t]*[=:][ \t]*([^\s\"'#\[{][^\"'#]*?)[ \t]*(?:#.*)?")


def _about_syntax(shown: str, text: str, said: str) -> str:
    """Say where a text is not TOML, and what may have been meant."""
    lines = text.split("\n")
    found = _POSITION.search(said)
    number = int(found[1]) if found is not None and found[1] else _line_of_the_unclosed(lines)
    column = f", column {found[2]}" if found is not None and found[2] else ""
    line = lines[number - 1] if number <= len(lines) else ""
    reason = f"{shown}:{number}: not valid TOML: {_POSITION.sub('', said)}{column}"
    if said.startswith(('Expected "\'"', "Unterminated string", "Illegal character '\\n'")):
        return f"{reason}; a text ends with a quotation mark in the line that it begins in"
    pair = _UNQUOTED.fullmatch(line)
    if pair is None:
        return reason
    key, value = pair.groups()
    if "overwrite" in said.lower():
        return f"{reason}; {key} is there already"
    if "password" in key:  # nobody may read it in a log
        return f'{reason}; write {key} = "..."'
    literal = _LITERALS.get(value.lower()) or (value if _NUMBER.fullmatch(value) else f'"{value}"')
    return reason if "=" in line and literal == value else f"{reason}; write {key} = {literal}"


def _line_of_the_unclosed(lines: Sequence[str]) -> int:
    """Return the line where something begins that does not end: what is above can be parsed."""
    import tomllib

    for number in range(len(lines) - 1, 0, -1):
        try:
            tomllib.loads("\n".join(lines[:number]))
            return number + 1
        except tomllib.TOMLDecodeError:
            pass
    return 1


_LITERALS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*(\.[0-9]+)?")
