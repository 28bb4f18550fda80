"""Encodes envelopes: all envelopes of one turn of an event loop become one item."""

from collections.abc import Callable
from marshal import dumps, loads

from snakepit.wire.envelopes import KIND, KINDS, LARGE, Envelope, position

type Item = bytes | tuple[bytes, ...]
"""The encoded envelopes of one turn of an event loop."""

_BODY_AT = {kind.number: position(kind.number, kind.body) for kind in KINDS if kind.body}


encode: Callable[[list[Envelope]], bytes] = dumps
"""Encode envelopes, whatever their bodies, as one piece."""


def encode_apart(envelopes: list[Envelope]) -> tuple[bytes, ...]:
    """Encode envelopes without their LARGE bodies as one piece, followed by those bodies, which are copied only once.

    The envelopes are not changed. Encoded as one piece, the bodies would be copied three times.
    """
    bodies: list[bytes] = []
    rest: list[Envelope] = []
    for envelope in envelopes:
        at = _BODY_AT.get(envelope[KIND])
        if at is not None and type(envelope[at]) is bytes and len(envelope[at]) > LARGE:
            bodies.append(envelope[at])
            envelope = (*envelope[:at], None, *envelope[at + 1 :])
        rest.append(envelope)
    return dumps(rest), *bodies


def decode(item: Item) -> list[Envelope]:
    """Decode what `encode` or `encode_apart` has made."""
    envelopes: list[Envelope]
    if isinstance(item, bytes):
        envelopes = loads(item)
        return envelopes
    rest, *bodies = item
    envelopes = loads(rest)
    apart = iter(bodies)
    for index, envelope in enumerate(envelopes):
        at = _BODY_AT.get(envelope[KIND])
        if at is not None and envelope[at] is None:
            envelopes[index] = (*envelope[:at], next(apart), *envelope[at + 1 :])
    return envelopes
