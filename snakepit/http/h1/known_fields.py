"""What is remembered of earlier requests' header fields: whole blocks, and single lines.

A client with keep-alive tends to send the same block with each request. Browsers send blocks that differ in a line or
two, such as the cookie; then the other lines are known. Lines that are not known are read here, as strictly as by h11:
a test compares both. What is not ordinary is left to h11, which also says what is wrong.
"""

import re
from typing import TYPE_CHECKING

from snakepit.http.fields import TOKEN
from snakepit.http.strict import LENGTH_DIGITS, keeps_alive
from snakepit.http.target import is_host

if TYPE_CHECKING:
    from snakepit.http.events import Limits
    from snakepit.http.types import Headers

NOT_ORDINARY = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""Fields whose requests only `H11Parser` reads."""

_LINE = rb"%b:[\t -~\x80-\xff]*" % TOKEN.pattern
_ARE_LINES = re.compile(rb"%b(?:\r\n%b)*" % (_LINE, _LINE)).fullmatch
"""Match lines of header fields, without the last line end (RFC 9112 section 5, without folded lines)."""

_FOR_ALL = NOT_ORDINARY | {b"host", b"connection", b"content-length"}
"""Fields that are not read line by line only: what they mean depends on others, or concerns the whole request."""


class NotOrdinary(Exception):
    """A request that `H11Parser` must read."""


class KnownFields:
    """The header blocks that all connections know, and a reader of those that are not known.

    The blocks are those after request lines of HTTP/1.1. Each is kept with its header fields, whether the connection
    stays open, and the length of the body. A block is kept when all its lines are known and it has come before: those
    that never come again, since their cookie is new, would only evict others.
    """

    KEPT = 512
    LARGEST = 4096  # bytes; a longer block is not kept, so that all of them take 2 MiB at the most
    SEEN = 4096  # blocks that have come once; only their hashes are kept

    def __init__(self) -> None:
        self._blocks: dict[bytes, tuple[Headers, bool, int]] = {}
        self._seen: set[int] = set()
        self._lines = HeaderLines()
        self.get = self._blocks.get

    def read(self, block: bytes, limits: "Limits") -> "tuple[Headers, bool, int]":
        """Read a block that is not known, and keep it if it comes again. `block` ends with the empty line.

        The list of fields is a new one, until the block is kept. Raises NotOrdinary.
        """
        read = self._lines.read(block, limits)
        if not self._lines.new and len(block) <= self.LARGEST:
            digest = hash(block)
            if digest in self._seen:
                if len(self._blocks) >= self.KEPT:
                    del self._blocks[next(iter(self._blocks))]  # the oldest
                self._blocks[block] = read
            else:
                if len(self._seen) >= self.SEEN:
                    self._seen.clear()
                self._seen.add(digest)
        return read


class HeaderLines(dict[bytes, tuple[bytes, bytes]]):
    """The valid header lines that are known, each with its field, and a reader of blocks with any lines.

    There are no lines that concern a whole request, except Host at the beginning of a block, which is kept apart. When
    there are too many lines, all are forgotten. To read one again takes half a microsecond, so a client whose lines are
    always new can't do much to the others.
    """

    KEPT = 2048
    HOSTS_KEPT = 256
    LARGEST = 512  # bytes; a longer line is not kept, so that all of them and their values take 2 MiB at the most

    def __init__(self) -> None:
        super().__init__()
        self.new: dict[bytes, tuple[bytes, bytes]] = {}
        """Lines of the last block that were not known, and are now."""
        self._apart: list[tuple[bytes, tuple[bytes, bytes]]] = []  # lines of that block which are not kept
        self._hosts: dict[bytes, tuple[bytes, bytes]] = {}

    def read(self, block: bytes, limits: "Limits") -> "tuple[Headers, bool, int]":
        """Read a block. See `KnownFields.read`."""
        lines = block[:-4].split(b"\r\n")
        if len(lines) > limits.fields:
            raise NotOrdinary
        new = self.new = {}
        apart = self._apart = []
        first = lines[0]
        known_host = host = self._hosts.get(first)
        if host is None:
            headers = list(map(self.__getitem__, lines))
        else:
            del lines[0]
            headers = [host, *map(self.__getitem__, lines)]
        if new and not _ARE_LINES(b"\r\n".join(new)):
            raise NotOrdinary
        keep_alive, length = True, 0
        if apart:
            host, keep_alive, length = self._read_apart(apart, host)
            if known_host is None and host is headers[0]:
                self._keep_host(first, host)
        if host is None or (limits.body is not None and length > limits.body):
            raise NotOrdinary
        if new:
            if len(self) + len(new) > self.KEPT:
                self.clear()
            self.update(new)
        return headers, keep_alive, length

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        """Read a line that is not known. Whether it is valid is checked later, for all such lines of a block."""
        name, _, value = line.partition(b":")
        name = name.lower()
        field = name, value.strip()  # of spaces and tabs, as a valid line has no other white space
        if name in _FOR_ALL or len(line) > self.LARGEST:
            self._apart.append((line, field))
        else:
            self.new[line] = field
        return field

    def _read_apart(
        self, apart: list[tuple[bytes, tuple[bytes, bytes]]], host: tuple[bytes, bytes] | None
    ) -> tuple[tuple[bytes, bytes] | None, bool, int]:
        """Check lines that are not kept, behind a known Host if there is one.

        Returns the Host, whether the connection stays open, and the length of the body. Raises NotOrdinary.
        """
        keep_alive = True
        length: int | None = None
        for line, field in apart:
            if not _ARE_LINES(line):
                raise NotOrdinary
            name, value = field
            if name not in _FOR_ALL:
                continue
            if name == b"connection":
                if not keeps_alive("1.1", [field]):
                    keep_alive = False
                elif len(line) <= self.LARGEST:
                    self.new[line] = field  # as it says nothing that counts
            elif name == b"host" and host is None and is_host(value):
                host = field
            elif name == b"content-length" and length is None and value.isdigit() and len(value) <= LENGTH_DIGITS:
                length = int(value)
            else:
                raise NotOrdinary
        return host, keep_alive, length or 0

    def _keep_host(self, line: bytes, host: tuple[bytes, bytes]) -> None:
        if len(line) <= self.LARGEST:
            if len(self._hosts) >= self.HOSTS_KEPT:
                self._hosts.clear()
            self._hosts[line] = host
