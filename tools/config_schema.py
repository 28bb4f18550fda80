"""Print the JSON Schema of snakepit.toml, or write it into the package.

python tools/config_schema.py            print it
python tools/config_schema.py --write    write snakepit/config/snakepit.schema.json
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from snakepit.config.apps import PER_APP
from snakepit.config.option import Option
from snakepit.config.options import OPTIONS
from snakepit.config.schema import PATH
from snakepit.config.static import KEYS, NAME
from snakepit.config.tables import GROUPS, keys_at_top, keys_of_group

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}
_TEXTS = {"type": "array", "items": {"type": "string"}}


def schema() -> str:
    """Return the schema, as text."""
    options = {option.name: _of_value(option) for option in OPTIONS}
    app = {
        "type": "string",
        "pattern": r"^[^\s:/]+:[^\s:/]+$",
        "description": 'The app, as module:attribute: "main:app".',
    }
    top = _spelled({"app": app} | {name: _reference(option) for name, option in keys_at_top(OPTIONS).items()})
    groups = {group: _table(group, OPTIONS) for group in GROUPS}
    own = [option for option in OPTIONS if option.name in PER_APP]
    of_app = _spelled({"app": app} | {name: _reference(option) for name, option in keys_at_top(own).items()})
    of_app |= {name: {"type": "string", "description": meaning} for name, meaning in _OF_ROUTE.items()}
    of_app |= {group: _table(group, own) for group in GROUPS if keys_of_group(group, own)}
    apps = {
        "type": "array",
        "description": "More apps, each with a route and with options of its own.",
        "items": {"type": "object", "properties": of_app, "required": ["app"], "additionalProperties": False},
    }
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Snakepit's options: snakepit.toml, or the table tool.snakepit of pyproject.toml",
        "type": "object",
        "properties": top | groups | {"apps": apps, NAME: _static()},
        "additionalProperties": False,
        "$defs": options,
    }
    return json.dumps(made, indent=1) + "\n"


_OF_ROUTE = {
    "host": "Host of the app's requests: example.com, *.example.com, {tenant}.example.com; every host without it.",
    "path": "Path below which the app gets all requests: /api, /{tenant}; every path without it.",
    "name": "Name of the app in logs and commands; without it, host and path.",
}


def _table(group: str, options: Sequence[Option]) -> dict[str, Any]:
    keys = keys_of_group(group, options)
    beginning = GROUPS[group]
    return {
        "type": "object",
        "description": f"Options whose names begin with {beginning}, which may be left out here.",
        "properties": _spelled({name: _reference(option) for name, option in keys.items()}),
        "additionalProperties": False,
    }


def _static() -> dict[str, Any]:
    table = {
        "type": "object",
        "properties": _spelled({option.name: _of_value(option) for option in KEYS}),
        "required": ["route", "dir"],
        "additionalProperties": False,
    }
    return {"type": "array", "description": "Routes with static files.", "items": table}


def _spelled(properties: dict[str, Any]) -> dict[str, Any]:
    """Add each key with hyphens in place of underscores."""
    return {
        spelling: value
        for name, value in properties.items()
        for spelling in dict.fromkeys((name.replace("_", "-"), name))
    }


def _reference(option: Option) -> dict[str, str]:
    return {"$ref": f"#/$defs/{option.name}"}


def _of_value(option: Option) -> dict[str, Any]:
    described: dict[str, Any] = {"description": option.help}
    if option.table:
        described["anyOf"] = [_TEXTS, {"type": "object", "additionalProperties": {"type": "string"}}]
    elif option.several:
        described |= _TEXTS
    elif option.choices:
        described["enum"] = list(option.choices)
    elif option.ceiling is not None:
        described["anyOf"] = [{"type": _TYPES[option.kind]}, {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}]
    elif option.commas:
        described["anyOf"] = [{"type": "string"}, _TEXTS]
    else:
        described["type"] = _TYPES[option.kind]
    for keyword, bound in (("minimum", option.least), ("maximum", option.most)):
        if bound is not None:
            described[keyword] = bound
    if option.default is not None and option.shown is None:
        described["default"] = list(option.default) if option.several else option.default
    return described


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the JSON Schema of snakepit.toml.")
    parser.add_argument("--write", action="store_true", help="write it into the package")
    if parser.parse_args().write:
        PATH.write_text(schema(), encoding="utf-8")
    else:
        print(schema(), end="")
