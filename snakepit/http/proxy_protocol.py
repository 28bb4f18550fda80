"""Reads the header of the PROXY protocol, by which a proxy says who is at the other end, before anything else.

The specification is HAProxy's, "The PROXY protocol, versions 1 & 2", of which section 2.1 has the text form and section
2.2 the binary one. What it calls the source is the client here, and the destination the server.
"""

import ipaddress
import re
from dataclasses import dataclass

from snakepit.errors import RemoteProtocolError
from snakepit.http.types import Address

MOST_V1 = 107
"""Bytes of the longest line of version 1, with its end."""

MOST_V2 = 16 + 8192
"""Bytes of the longest header of version 2 that is read: two addresses, and what else a proxy tells. A client's
certificate among it takes a few thousand."""

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16  # bytes before the addresses

_PORT = rb"(0|[1-9][0-9]{0,4})"
_TCP4 = re.compile(rb"PROXY TCP4 ([0-9.]{7,15}) ([0-9.]{7,15}) %b %b" % (_PORT, _PORT))
_TCP6 = re.compile(rb"PROXY TCP6 ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) %b %b" % (_PORT, _PORT))
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?")

_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper half, the command in the lower
_TCP_OVER_4, _TCP_OVER_6, _UNIX_STREAM, _UNSPECIFIED = 0x11, 0x21, 0x31, 0x00
_ADDRESSES = {_TCP_OVER_4: 12, _TCP_OVER_6: 36, _UNIX_STREAM: 216, _UNSPECIFIED: 0}
"""Bytes that a pair of addresses takes, by its family and its kind of socket."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The ends of a connection, as a proxy reports them; None: it reports none, or none that are IP addresses.

    It is so where a proxy speaks for itself, such as to see whether the server lives.
    """

    client: Address
    server: Address


NOBODY = Reported(None, None)


def read_proxy_header(received: bytes) -> tuple[Reported, int] | None:
    """Read the header at the beginning of what has been received of a connection.

    Returns what it reports, and its size in bytes; None if it is not complete yet. Nothing behind it is looked at.
    Raises RemoteProtocolError for anything else, as soon as it can be known.
    """
    if received[:1] == _V1[:1]:
        return _read_text(received)
    if received and not received.startswith(_V2[: len(received)]):
        raise RemoteProtocolError("there is no header of the PROXY protocol")
    if len(received) < _V2_FIXED:
        return None
    return _read_binary(received)


def _read_text(received: bytes) -> tuple[Reported, int] | None:
    start = received[:MOST_V1]
    if not start.startswith(_V1[: len(start)]):
        raise RemoteProtocolError("there is no header of the PROXY protocol")
    end = start.find(b"\n")
    if end < 0:
        if len(start) == MOST_V1:
            raise RemoteProtocolError("the header of the PROXY protocol is too long")
        return None
    if start[end - 1 : end] != b"\r":
        raise _malformed(start)
    line = start[: end - 1]
    if _UNKNOWN.fullmatch(line):
        return NOBODY, end + 1
    found = _TCP4.fullmatch(line) or _TCP6.fullmatch(line)
    if found is None:
        raise _malformed(line)
    kind = ipaddress.IPv4Address if line.startswith(b"PROXY TCP4") else ipaddress.IPv6Address
    try:
        client, server = (str(kind(text.decode("ascii"))) for text in found.groups()[:2])
    except ValueError:
        raise _malformed(line) from None
    ports = [int(text) for text in found.groups()[2:]]
    if max(ports) > 65_535:
        raise _malformed(line)
    return Reported((client, ports[0]), (server, ports[1])), end + 1


def _read_binary(received: bytes) -> tuple[Reported, int] | None:
    command, kind = received[12], received[13]
    size = _V2_FIXED + int.from_bytes(received[14:16])
    if command not in (_LOCAL, _PROXY):
        raise RemoteProtocolError(f"the header of the PROXY protocol has version and command {command:#04x}")
    if command == _PROXY and kind not in _ADDRESSES:
        raise RemoteProtocolError(f"the header of the PROXY protocol is for no TCP connection: {kind:#04x}")
    if size > MOST_V2:
        raise RemoteProtocolError("the header of the PROXY protocol is too long")
    if command == _PROXY and size < _V2_FIXED + _ADDRESSES[kind]:
        raise RemoteProtocolError("the header of the PROXY protocol is too short for its addresses")
    if len(received) < size:
        return None
    if command == _PROXY and kind in (_TCP_OVER_4, _TCP_OVER_6):
        return _read_addresses(received[_V2_FIXED : _V2_FIXED + _ADDRESSES[kind]]), size
    return NOBODY, size


def _read_addresses(data: bytes) -> Reported:
    width = (len(data) - 4) // 2  # two addresses, then two ports
    client, server = (str(ipaddress.ip_address(data[at : at + width])) for at in (0, width))
    ports = data[2 * width :]
    return Reported((client, int.from_bytes(ports[:2])), (server, int.from_bytes(ports[2:])))


def _malformed(line: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"malformed header of the PROXY protocol: {line!r}")
