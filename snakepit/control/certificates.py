"""`snakepit certificates`: what the server of this folder has, or else what is stored."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from snakepit.control.commands import connected
from snakepit.control.search import find
from snakepit.control.text import duration
from snakepit.errors import ConfigError
from snakepit.system.table import aligned

_HEADINGS = ("NAME", "STATE", "ISSUER", "ENDS", "NEXT LOOK")

type Certificates = Sequence[Mapping[str, Any]]


def show(name: str | None, pid: int | None, as_json: bool, stored: Callable[[], Certificates]) -> None:
    """Print the certificates of the server; where none runs, or it obtains none, those that are `stored`."""
    found: Certificates = ()
    if name is not None or pid is not None or _runs():
        with connected(name, pid) as server:
            found = server.ask("certificates")["certificates"]
    found = found or stored()
    print(json.dumps(list(found), indent=2) if as_json else render(found, time.time()))


def renew(wanted: str | None, name: str | None, pid: int | None) -> None:
    """Have the server renew one certificate, or all, and say what came of it."""
    with connected(name, pid) as server:
        found: Certificates = server.ask("renew-certificates", name=wanted)["renewed"]
    for one in found:
        if one["fault"] is None:
            print(f"{one['name']}: renewed, until {one['not_after']}")
        else:
            print(f"{one['name']}: not renewed: {one['fault']}", file=sys.stderr)
    if any(one["fault"] is not None for one in found):
        raise SystemExit(1)


def _runs() -> bool:
    try:
        find(None, None).close()
    except ConfigError:
        return False
    return True


def render(certificates: Certificates, now: float) -> str:
    """Render a line for each certificate, and below those that failed, why."""
    if not certificates:
        return "There are no certificates"
    rows = [
        (one["name"], one["state"], one["issuer"] or "", _until(one["not_after"], now), _until(one["next"], now))
        for one in certificates
    ]
    faults = [f"{one['name']}: {one['fault']}" for one in certificates if one["fault"]]
    return "\n".join([*aligned([_HEADINGS, *rows]), *([""] if faults else []), *faults])


def _until(moment: str | None, now: float) -> str:
    if moment is None:
        return ""
    left = datetime.fromisoformat(moment).timestamp() - now
    return f"in {duration(left)}" if left >= 0 else f"{duration(-left)} ago"
