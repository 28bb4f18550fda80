"""Sources of options' values: environment variables, and a file with variables."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from snakepit.config.option import ENV_PREFIX, Option
from snakepit.errors import ConfigError


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


def load_env_file(path: str) -> None:
    """Set the variables of a file of KEY=value lines, except those that are set already. Raises ConfigError."""
    from dotenv import dotenv_values

    try:
        with Path(path).open(encoding="utf-8") as lines:
            values = dotenv_values(stream=lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"env file {path!r} can't be read: {_reason(error)}") from None
    for key, value in values.items():
        if value is None:
            raise ConfigError(f"env file {path!r}: {key!r} has no value; write {key}=...")
        os.environ.setdefault(key, value)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
