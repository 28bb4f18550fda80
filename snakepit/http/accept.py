"""What a client accepts (RFC 9110 section 12.5.1)."""

from collections.abc import Iterable


def names(fields: Iterable[tuple[bytes, bytes]], kind: bytes) -> bool:
    """Tell whether the Accept fields among these name a media type, in lower case, and don't refuse it.

    Ranges such as `*/*` don't count: programs send them, too, which take whatever is the default.
    """
    for name, value in fields:
        if name == b"accept":
            for accepted in value.lower().split(b","):
                named, *parameters = (part.strip() for part in accepted.split(b";"))
                if named == kind and not any(_is_zero(parameter) for parameter in parameters):
                    return True
    return False


def _is_zero(parameter: bytes) -> bool:
    """Tell whether a parameter of a media range says that it is not accepted."""
    name, _, weight = parameter.partition(b"=")
    return name == b"q" and not weight.strip(b"0.")
