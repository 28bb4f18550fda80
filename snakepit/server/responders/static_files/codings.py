"""Content codings: which of the files that were compressed beforehand a client may get (RFC 9110 section 12.5.3)."""

from functools import lru_cache

ENDS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""What a compressed file's name adds to the original's, by coding; where the client has no preference, in this order:
brotli at its best level makes the smallest files."""

LONGEST = 256
"""Characters of an Accept-Encoding that is read; a browser's has 23."""


@lru_cache(256)
def accepted(value: bytes) -> tuple[str, ...]:
    """Return the codings that an Accept-Encoding accepts, the best first, and only those that are better than none.

    `value` must not be over LONGEST, since it is cached.
    """
    weights: dict[str, float] = {}
    for item in value.decode("latin-1").lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = _weight(parameters)
        if coding and weight is not None:
            weights["gzip" if coding == "x-gzip" else coding] = weight
    others = weights.get("*", 0.0)
    found = {coding: weights.get(coding, others) for coding in ENDS}
    least = weights.get("identity", 0.0)
    return tuple(
        sorted((coding for coding in found if found[coding] > 0 and found[coding] >= least), key=lambda c: -found[c])
    )


def _weight(parameters: list[str]) -> float | None:
    """Return the weight among the parameters of an item; None: it makes no sense."""
    for parameter in parameters:
        name, equals, text = parameter.partition("=")
        if name.strip() == "q" and equals:
            digits = text.strip()
            if not digits.replace(".", "", 1).isascii() or not digits.replace(".", "", 1).isdigit():
                return None
            weight = float(digits)
            return weight if weight <= 1 else None
    return 1.0
