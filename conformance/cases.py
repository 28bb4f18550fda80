"""All cases."""

from conformance.case import Case, Group
from conformance.framing import CHUNKS, LENGTHS
from conformance.heads import CONNECTIONS, FIELDS, HOSTS, REQUEST_LINE, TARGETS
from conformance.responses import RESPONSES

GROUPS: tuple[Group, ...] = (LENGTHS, CHUNKS, REQUEST_LINE, TARGETS, HOSTS, FIELDS, CONNECTIONS, RESPONSES)
CASES: dict[str, Case] = {case.name: case for group in GROUPS for case in group.cases}


def cases_for(interface: str) -> list[Case]:
    """Return the cases for apps of an interface."""
    return [case for case in CASES.values() if case.interface in ("", interface)]
