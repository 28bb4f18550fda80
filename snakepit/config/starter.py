"""The text of a configuration file to begin with, for `snakepit init`."""

from collections.abc import Sequence

from snakepit.config.app_search import FoundApp
from snakepit.config.tables import text as toml

MOST_OTHERS = 5
"""Further apps that are named in a comment."""

_HEAD = """\
# Options of Snakepit. Every option of `snakepit run` is a key here, without the two hyphens; all of them, with their
# defaults: snakepit run --help. The command line and environment variables take precedence over this file. Relative
# paths start from the folder that this file is in.
#
# snakepit config            shows the options as they are, and where each comes from
# snakepit config --check    says what is wrong
# snakepit config --schema   prints a JSON Schema. Editors that know it complete and check keys: write it to a file,
#                            and name that in a line here, such as  #:schema ./snakepit.schema.json

"""

_REST = """
# Where it listens. For all interfaces: host = "0.0.0.0"
host = "127.0.0.1"
port = 8000

# Copies of the app, each in an interpreter with a GIL of its own. Without it: one for each usable CPU.
# interpreters = 2

# WSGI only: requests that one copy serves at once.
# threads = 8

# Environment variables from a file with KEY=value lines.
# env-file = ".env"

# For development: replace the copies whenever a file of the app changes.
# reload = true

# Files that are sent without a worker.
# static-path = ["public"]
# static-route = ["/static"]

# Header fields for each response.
# header = ["X-Frame-Options: DENY"]

# Options whose names begin alike may stand in a table, without that beginning. The tables are: timeouts, limits,
# websocket and logging.
# [timeouts]
# request = 30          # seconds until the app begins its response: timeout-request
# graceful-shutdown = 10

# [limits]
# request-body = 10_000_000   # bytes: limit-request-body

# [logging]
# level = "debug"
# access-log = false
"""


def text(apps: Sequence[FoundApp]) -> str:
    """Return the file's text, with the first of the apps in it."""
    return _HEAD + _about_apps(apps) + _REST


def _about_apps(apps: Sequence[FoundApp]) -> str:
    if not apps:
        return '# The app, as module:attribute. None was found; take the hash away here:\n# app = "main:app"\n'
    first, *others = apps
    lines = ["# The app, as module:attribute.", f"app = {toml(first.reference)}"]
    if first.app_dir:
        lines += ["", "# The folder to import it from.", f"app-dir = {toml(first.app_dir)}"]
    if first.factory:
        lines += ["", "# That is a function which makes the app.", "factory = true"]
    if others:
        lines.insert(1, f"# Also found: {', '.join(other.reference for other in others[:MOST_OTHERS])}")
    return "\n".join(lines) + "\n"
