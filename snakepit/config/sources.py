"""Sources of options' values: what is given, environment variables, files with variables, configuration files."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakepit.config.option import ENV_PREFIX, Option
from snakepit.config.route import Route
from snakepit.errors import ConfigError
from snakepit.system import working_directory


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in a configuration file: a key as the file spells it, and its line."""

    value: Any
    key: str
    line: int


@dataclass(frozen=True, slots=True)
class AppTable:
    """What a table `[[apps]]` says.

    Args:
        line: of its header.
        settings: by the options' names. Relative paths are absolute already.
    """

    line: int
    settings: Mapping[str, Setting]
    app: Setting
    route: Route
    name: str | None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a configuration file says."""

    path: str
    settings: Mapping[str, Setting]
    """By the options' names. Relative paths are absolute already."""
    app: Setting | None = None
    apps: tuple[AppTable, ...] = ()

    @property
    def folder(self) -> str:
        """The folder that the file is in."""
        return os.path.dirname(self.path)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from: `kind` is "command line", "environment", "file" or "default"."""

    kind: str
    variable: str = ""
    env_file: str = ""
    """The file with variables that has set the variable; empty: the process had it."""
    path: str = ""
    """Of the configuration file."""
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "environment":
            return f"environment variable {self.variable}{self.env_file and f' of {shown_path(self.env_file)}'}"
        return f"{shown_path(self.path)}:{self.line}" if self.kind == "file" else self.kind


_TABLES = ("static", "tls")
"""What only a configuration file and code can set, not by one value: `config.static`, `config.tls`."""

GIVEN = Source("command line")
DEFAULT = Source("default")


@dataclass(frozen=True, slots=True)
class Found:
    """The values from all sources but the defaults, by the options' names, and where each comes from ("app": too)."""

    app: Any
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    apps: tuple[AppTable, ...] = ()
    path: str = ""
    """Of the configuration file, if there are apps in one."""

    @property
    def names_app(self) -> bool:
        """Whether any source names an app."""
        return self.app is not None or bool(self.apps or self.values.get("mount"))

    def outranks_files(self, name: str) -> bool:
        """Tell whether an option's value comes from the command line or from a variable of ours."""
        source = self.sources.get(name, DEFAULT)
        return source.kind == "command line" or (
            source.kind == "environment" and source.variable.startswith(ENV_PREFIX)
        )

    def same_kind(self, one: str, other: str) -> bool:
        """Tell whether the values of two options come from sources of one kind."""
        kinds = {self.sources[name].kind for name in (one, other) if name in self.sources}
        return len(kinds) == 1 and one in self.sources and other in self.sources

    def placed(self, error: ConfigError) -> ConfigError:
        """Return an error that says, too, where a configuration file sets the options that it is about."""
        sources = {name: self.sources.get(name, DEFAULT) for name in error.options}
        places = ", ".join(f"{name}: {source}" for name, source in sources.items() if source.kind == "file")
        return ConfigError(f"{error} ({places})" if places else str(error), error.options)


def gather(options: Sequence[Option], app: Any, given: Mapping[str, Any], file: ConfigFile | None) -> Found:
    """Collect values: those `given`, then the environment and the env file, then `file`, then other servers' variables.

    An app that `file` names is looked for in the file's folder, unless some source says otherwise. Sets the variables
    of the env file. Raises ConfigError, with all mistakes in the environment at once.
    """
    known = {each.name: each for each in options}
    given = _without_spans(options, _without_aliases(options, given))
    for name in given:
        if name not in known and name not in _TABLES:
            from snakepit.config import foreign_options

            answers = "\n".join(foreign_options.about_keyword(name))
            raise ConfigError(f"there is no option {name!r}{answers and f'; {answers}'}")
    settings = {} if file is None else file.settings
    env_file = _env_file(known["env_file"], given, settings)
    set_by_env_file = () if env_file is None else load_env_file(env_file)
    found = Found(app, dict(given), dict.fromkeys(given, GIVEN))
    mistakes: list[str] = []
    for name, each in known.items():
        variable = variable_of(each)
        setting = settings.get(name)
        if name in found.values:
            continue
        if file is not None and setting is not None and (variable is None or variable[0] == each.variable):
            found.values[name] = setting.value
            found.sources[name] = Source("file", path=file.path, line=setting.line)
        elif variable is not None:
            values: dict[str, Any] = dict(each.span(variable[1]))
            try:
                values = values or {name: each.parse(variable[1], variable[0])}
            except ConfigError as error:
                mistakes.append(str(error))
            of_file = env_file if env_file is not None and variable[0] in set_by_env_file else ""
            found.values.update(values)
            found.sources.update(dict.fromkeys(values, Source("environment", variable[0], of_file)))
    raise_all(mistakes)
    for name in _TABLES:
        tables = settings.get(name)
        if file is not None and tables is not None and name not in given:
            found.values[name] = tables.value
            found.sources[name] = Source("file", path=file.path, line=tables.line)
    return _with_apps(found, file)


def _env_file(option: Option, given: Mapping[str, Any], settings: Mapping[str, Setting]) -> str | None:
    """Return the path of the file with variables. It can't come from that file."""
    setting = settings.get(option.name)
    value = None if setting is None else setting.value
    value = given.get(option.name, (variable_of(option) or ("", value))[1])
    option.check(value)
    return None if value is None else str(value)


def _with_apps(found: Found, file: ConfigFile | None) -> Found:
    if found.app is not None:
        found.sources["app"] = GIVEN
    if file is None or found.app is not None or (file.app is None and not file.apps):
        return found
    first = file.app or file.apps[0].app
    source = Source("file", path=file.path, line=first.line)
    if "app_dir" not in found.values:
        found.values["app_dir"], found.sources["app_dir"] = file.folder, source
    if file.app is not None:
        found.sources["app"] = source
    app = None if file.app is None else file.app.value
    return Found(app, found.values, found.sources, file.apps, file.path)


def raise_all(mistakes: Sequence[str]) -> None:
    """Raise ConfigError for all mistakes together, if there are any."""
    if len(mistakes) == 1:
        raise ConfigError(mistakes[0])
    if mistakes:
        raise ConfigError("\n  ".join([f"{len(mistakes)} mistakes:", *mistakes]))


def shown_path(path: str) -> str:
    """Return a path as people read it: without the working directory's, if it is below."""
    below = working_directory.by_name(path)
    here = working_directory.name()
    inside = here and below.startswith(os.path.join(here, ""))
    return os.path.relpath(below, here) if inside else path


def _without_aliases(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under the options' own names. Raises ConfigError if one is given by both of its names."""
    names = {each.alias: each.name for each in options if each.alias is not None}
    for alias, own in names.items():
        if alias in given and own in given:
            raise ConfigError(f"{alias} is another name for {own}: give one of them")
    return {names.get(each, each): value for each, value in given.items()}


def _without_spans(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with each LEAST-MOST divided among two options. Raises ConfigError if both were given."""
    values = dict(given)
    for each in options:
        spanned = each.span(given.get(each.name))
        if spanned and each.ceiling in given:
            raise ConfigError(f"{each.name} {given[each.name]} sets {each.ceiling}, too: give one of them")
        values |= spanned
    return values


def variable_of(option: Option) -> tuple[str, str] | None:
    """Return the environment variable that sets an option, and its value; None if there is none."""
    for variable in option.variables:
        text = os.environ.get(variable)
        if text is not None and not why_ignored(option, variable, text):
            return variable, text
    return None


def why_ignored(option: Option, variable: str, text: str) -> str:
    """Say why the value of an environment variable is ignored; empty if it is not.

    An empty text may be meant in a variable of other servers: then FORWARDED_ALLOW_IPS trusts no proxy.
    """
    ours = variable.startswith(ENV_PREFIX)
    if not text and (ours or option.kind is not str):
        return "it is empty"
    if ours and _OF_KUBERNETES.match(text):
        return (
            f"{text!r} is what Kubernetes sets for a service named snakepit; enableServiceLinks: false in the pod's "
            "specification turns that off"
        )
    return ""


_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://")  # SNAKEPIT_PORT=tcp://10.0.0.1:8000, as Docker's links had it


def ignored_variables(options: Iterable[Option], environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that has an option's name, and is ignored."""
    names = ((option, name) for option in options for name in option.variables if name in environ)
    found = [(name, why_ignored(option, name, environ[name])) for option, name in names]
    return [f"The environment variable {name} is ignored: {reason}" for name, reason in found if reason]


SET_BY_ENV_FILES: dict[str, dict[str, str]] = {}
"""The variables that env files have set in this process, by the path of the file."""


def load_env_file(path: str) -> set[str]:
    """Set the variables of a file of KEY=value lines, except those that are set already; returns which it has set.

    Raises ConfigError.
    """
    new = {name: value for name, value in read_env_file(path).items() if name not in os.environ}
    os.environ.update(new)
    SET_BY_ENV_FILES[path] = new
    return set(new)


def read_env_file(path: str) -> dict[str, str]:
    """Return the variables of a file of KEY=value lines. Raises ConfigError."""
    from dotenv import dotenv_values

    try:
        with Path(path).open(encoding="utf-8") as lines:
            values = dotenv_values(stream=lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"env file {path!r} can't be read: {_reason(error)}") from None
    read: dict[str, str] = {}
    for key, value in values.items():
        if value is None:
            raise ConfigError(f"env file {path!r}: {key!r} has no value; write {key}=...")
        read[key] = value
    return read


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
