"""The environment variables of an app."""

import os

from snakepit.config import variables
from snakepit.config.options import Config
from snakepit.config.sources import SET_BY_ENV_FILES, read_env_file


def environ_of_app(config: Config) -> dict[str, str]:
    """Return the environment of an app: that of this process as it is now, and what the app's options add.

    What comes later in this list counts: the process's environment, `venv` as if it were activated, `env_file`, `env`.
    The file leaves variables alone that this process was started with, but not those that another env file has set. A
    file that this process has loaded is not read again. Raises ConfigError.
    """
    environ = dict(os.environ)
    if config.venv:
        from snakepit.config.virtual_environment import find  # most apps have none

        venv = find(config.venv)
        environ["VIRTUAL_ENV"] = venv["folder"]
        environ["PATH"] = os.pathsep.join(filter(None, (venv["scripts"], environ.get("PATH", os.defpath))))
    if config.env_file is not None and config.env_file not in SET_BY_ENV_FILES:
        ours = {pair for values in SET_BY_ENV_FILES.values() for pair in values.items()}
        for name, value in read_env_file(config.env_file).items():
            if name not in os.environ or (name, os.environ[name]) in ours:
                environ[name] = value
    environ.update(variables.mapping(config.env))
    return environ
