"""The JSON Schema of configuration files, for editors: made from the options by tools/config_schema.py."""

from pathlib import Path

PATH = Path(__file__).with_name("snakepit.schema.json")


def text() -> str:
    """Return the schema as it stands in the package."""
    return PATH.read_text(encoding="utf-8")
