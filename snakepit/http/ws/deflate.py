"""Compression of WebSocket messages (RFC 7692), with bounds on the size of a decompressed message, and on memory."""

import re
import zlib

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

_PARAMETER = re.compile(
    r"(server|client)_(no_context_takeover|max_window_bits)(?:\s*=\s*(\"?)(?P<bits>[89]|1[0-5])\3)?", re.ASCII
)

WINDOW_BITS = 12
"""4 KiB of window for compressing, since most messages are small; zlib's 32 KiB take 256 KiB for each connection."""

_MEMORY_LEVEL = 5  # zlib's; with WINDOW_BITS a compressor takes 32 KiB
_WORTH_COMPRESSING = 64  # bytes


class Deflate(PerMessageDeflate):
    """permessage-deflate (RFC 7692) with bounds on the size of a decompressed message, and on memory.

    Args:
        max_size: bytes of a message.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__(client_max_window_bits=15, server_max_window_bits=WINDOW_BITS)
        self._max_size = max_size
        self._size = 0  # of the message that is being read

    def end(self) -> None:
        """Release zlib's memory; the connection is closed."""
        self._compressor = self._decompressor = None

    def accept(self, offer: str) -> bool | str | None:
        """Answer an offer: returns the agreed parameters; None if the offer is not acceptable."""
        name, *given = (part.strip() for part in offer.split(";"))
        parameters: dict[str, int | None] = {}
        for text in given:
            found = _PARAMETER.fullmatch(text)
            if found is None:
                return None
            key = f"{found[1]}_{found[2]}"
            bits = int(found["bits"]) if found["bits"] else None
            if key in parameters or (bits is not None and found[2] != "max_window_bits"):
                return None
            parameters[key] = bits
        server_bits = parameters.get("server_max_window_bits", 15)
        if name != self.name or server_bits is None or server_bits < 9:  # zlib can't do 8
            return None
        self.server_max_window_bits = min(server_bits, WINDOW_BITS)
        answer = [self.name, f"server_max_window_bits={self.server_max_window_bits}"]
        if "client_max_window_bits" in parameters:
            self.client_max_window_bits = max(9, min(parameters["client_max_window_bits"] or 15, WINDOW_BITS))
            if (parameters["client_max_window_bits"] or 15) >= 9:
                answer.append(f"client_max_window_bits={self.client_max_window_bits}")
        self.server_no_context_takeover = "server_no_context_takeover" in parameters
        self.client_no_context_takeover = "client_no_context_takeover" in parameters
        answer += [key for key in parameters if key.endswith("no_context_takeover")]
        self._enabled = True
        return "; ".join(answer)

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Begin a frame. A control frame is not part of a message, and may come between a message's frames."""
        if opcode.iscontrol():
            self._inbound_is_compressible = False
            return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else RsvBits(True, False, False)
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Decompress, up to the largest size of a message."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        return self._inflate(data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """End a frame, which may also end a message."""
        if not fin or not self._inbound_is_compressible:
            return None
        compressed, self._inbound_compressed = self._inbound_compressed, None
        if not compressed:
            return None
        inflated = self._inflate(b"\x00\x00\xff\xff")  # RFC 7692 section 7.2.2
        self._size = 0
        if self.client_no_context_takeover:
            self._decompressor = None
        return inflated

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        pieces = []
        while True:
            if self._decompressor is None:
                self._decompressor = zlib.decompressobj(-self.client_max_window_bits)
            try:
                piece = self._decompressor.decompress(data, self._max_size - self._size + 1)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._size += len(piece)
            if self._size > self._max_size:
                return CloseReason.MESSAGE_TOO_BIG
            pieces.append(piece)
            if not self._decompressor.eof:
                return b"".join(pieces)
            # a block was marked as the last (RFC 7692 section 7.2.3.5): zlib ends there, but more may follow
            data, self._decompressor = self._decompressor.unused_data, None
            if not data:
                return b"".join(pieces)

    def compress(self, data: bytes) -> bytes | None:
        """Compress a whole message; None if it is sent uncompressed."""
        if len(data) < _WORTH_COMPRESSING:
            return None
        if self._compressor is None:
            self._compressor = zlib.compressobj(
                zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -self.server_max_window_bits, _MEMORY_LEVEL
            )
        compressed = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if self.server_no_context_takeover:
            self._compressor = None
        return compressed[:-4]  # RFC 7692 section 7.2.1
