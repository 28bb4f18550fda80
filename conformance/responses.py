"""Cases about what an app may not put into a response: RFC 9110 section 5.5, RFC 9112 section 11.1."""

from conformance.app import BROKEN
from conformance.case import Case, Group, get
from conformance.verdicts import Clean

_REFUSED, _CLEAN = Clean(), Clean("", only_refused=False)


def _broken(name: str) -> Case:
    kind = name.partition("-")[0]
    demand = {
        "value": "control characters of an app do not leave in a field",
        "name": "what is no token does not leave as a field's name",
        "two": "an app's two lengths do not leave",
        "length": "an app's bad length does not leave",
        "status": "a status has three digits, and is final",
        "reason": "control characters of an app do not leave in a status line",
    }[kind]
    ways = (_REFUSED,) if kind in ("status", "two", "length") else (_REFUSED, _CLEAN)
    return Case(
        f"response {name.replace('-', ' ')}",
        "RFC 9112 §4" if kind in ("status", "reason") else "RFC 9110 §5.5",
        demand,
        get(b"/broken/" + name.encode()),
        ways,
        interface="wsgi" if kind == "reason" else "",
    )


RESPONSES = Group("Responses of apps", tuple(map(_broken, BROKEN)))
