"""Headers of the PROXY protocol, against a second reader of complete ones; no beginning of one is read otherwise."""

import ipaddress
import struct

from fuzz.target import Fault, expect
from snakepit.errors import RemoteProtocolError
from snakepit.http.proxy_protocol import MOST_V1, MOST_V2, NOBODY, Reported, read_proxy_header

type Outcome = tuple[Reported, int] | str | None
"""What is reported, and the size; None: more has to come. A text: it is refused."""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def check(data: bytes) -> None:
    """Read each beginning of the bytes: once there is an outcome, it stays, and it is what the second reader says."""
    decided: Outcome = None
    ends = range(len(data) + 1) if len(data) < 300 else (*range(40), *range(100, 120), len(data) - 1, len(data))
    for end in ends:
        outcome = _read(data[:end])
        if decided is None:
            decided = outcome
        elif isinstance(decided, str):
            expect(isinstance(outcome, str), "refused, and read when more came", decided, outcome)
        else:
            expect(outcome == decided, "read otherwise when more came", decided, outcome)
        if isinstance(outcome, tuple):
            _check(outcome, end)
    second = _read_again(data)
    expect(isinstance(decided, str) or decided == second, "not as the second reader has it", decided, second)
    expect(not isinstance(decided, str) or second is None, "refused, and good for the second reader", decided, second)
    expect(decided is not None or _announced(data) <= MOST_V2, "waits for more than a header may have", data)


def _announced(data: bytes) -> int:
    """Return the size of a header that has begun, as far as it says that."""
    return 16 + int.from_bytes(data[14:16]) if data.startswith(SIGNATURE) and len(data) >= 16 else len(data)


def _read(data: bytes) -> Outcome:
    try:
        return read_proxy_header(data)
    except RemoteProtocolError as error:
        return error.reason


def _check(outcome: tuple[Reported, int], came: int) -> None:
    reported, size = outcome
    expect(0 < size <= came, "longer than what came", size, came)
    for address in (reported.client, reported.server):
        if address is not None:
            expect(str(ipaddress.ip_address(address[0])) == address[0], "an address", address)
            expect(0 <= address[1] <= 65_535, "a port", address)


def _read_again(data: bytes) -> tuple[Reported, int] | None:
    """Read a complete header; None for all else."""
    if data.startswith(SIGNATURE) and len(data) >= 16:
        return _read_binary(data)
    line, end, _ = data.partition(b"\r\n")
    if not end or len(line) + 2 > MOST_V1 or not line.isascii() or b"\n" in line:
        return None
    words = line.decode().split(" ")
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return (NOBODY, len(line) + 2) if all(32 <= byte < 127 for byte in line) else None
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        return None
    kind = ipaddress.IPv4Address if words[1] == "TCP4" else ipaddress.IPv6Address
    try:
        addresses = [str(kind(text)) for text in words[2:4]]
        ports = [int(text) for text in words[4:]]
    except ValueError:
        return None
    if any(str(port) != text or not 0 <= port < 65_536 for port, text in zip(ports, words[4:], strict=True)):
        return None
    if "%" in line.decode():
        return None
    return Reported((addresses[0], ports[0]), (addresses[1], ports[1])), len(line) + 2


def _read_binary(data: bytes) -> tuple[Reported, int] | None:
    command, family, length = struct.unpack(">BBH", data[12:16])
    body = data[16 : 16 + length]
    least = {0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216}
    if len(body) < length or 16 + length > MOST_V2 or command not in (0x20, 0x21):
        return None
    if command == 0x20:
        return NOBODY, 16 + length
    if family not in least or length < least[family]:
        return None
    if family == 0x11:
        source, target, *ports = struct.unpack(">4s4sHH", body[:12])
    elif family == 0x21:
        source, target, *ports = struct.unpack(">16s16sHH", body[:36])
    else:
        return NOBODY, 16 + length
    client, server = (str(ipaddress.ip_address(packed)) for packed in (source, target))
    return Reported((client, ports[0]), (server, ports[1])), 16 + length


SEEDS = [
    b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\nGET /",
    b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 080 443\r\n",
    b"PROXY UNKNOWN ffff::1 x 0 0\r\n",
    SIGNATURE + b"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xc8\x22\x01\xbbGET",
    SIGNATURE + b"\x21\x21\x00\x28" + bytes(range(40)) + b"\x03\x00\x01x",
    SIGNATURE + b"\x20\x00\x00\x00",
    SIGNATURE + b"\x21\x31\x00\xd8" + b"/tmp/s".ljust(216, b"\0"),
]
WORDS = [
    *(
        b"PROXY ",
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"\r\n",
        b" 0",
        b" 65536",
        b" 00",
        b"::",
        b"1.2.3.4",
        b"%eth0",
        SIGNATURE,
    ),
    *(
        b"\x21\x11",
        b"\x21\x21",
        b"\x20\x00",
        b"\x00\x0c",
        b"\x00\x24",
        b"\x1f\xf0",
        b"\x1f\xf1",
        b"::ffff:1.2.3.4",
        b"01",
    ),
]
FAULTS = [
    Fault("http/proxy_protocol.py", '_PORT = rb"(0|[1-9][0-9]{0,4})"', '_PORT = rb"([0-9]{1,5})"'),
    Fault("http/proxy_protocol.py", "    if size > MOST_V2:\n", "    if False:\n"),
    Fault(
        "http/proxy_protocol.py",
        "if command == _PROXY and size < _V2_FIXED + _ADDRESSES[kind]:",
        "if command == _PROXY and size < _V2_FIXED:",
    ),
]
LONGEST = 600
