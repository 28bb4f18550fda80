"""How a command ends that can't do what it is told."""

import sys
from typing import NoReturn

from snakepit.errors import SnakepitError


def end_with(error: SnakepitError) -> NoReturn:
    """Print an error, and end with its exit status."""
    print(f"Error: {error}", file=sys.stderr)
    raise SystemExit(error.exit_status)
