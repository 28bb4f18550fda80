"""Fake clients, with a transport to a connection or in its place; and the bytes of requests and answers."""

import asyncio
import socket

from fakes import fake_of

from snakepit.errors import LocalProtocolError
from snakepit.http.fields import NONE, render
from snakepit.server.exchanges.exchange import HttpClient
from snakepit.server.exchanges.websocket import HandshakeClient, WebSocketClient
from snakepit.wire.envelopes import CHUNK

ILLEGAL = (b"x-illegal: yes\r\n", 0, None)
"""Fields that FakeClient refuses."""


class FakeSocket:
    """Keeps its options."""

    number = 5

    def __init__(self, family):
        self.family = family
        self.options = []

    def fileno(self):
        return self.number

    def setsockopt(self, *option):
        self.options.append(option)


@fake_of(asyncio.Transport)
class FakeTransport(asyncio.Transport):
    """A selector transport and the client at the other end of it.

    Data from the client wait in the kernel while reading is paused. Data from the server reach the client at once,
    unless the client `reads` nothing: then they accumulate here, and the protocol is told to pause.
    """

    def __init__(self, loop, protocol, family=socket.AF_INET, has_eof=True, peername=("10.0.0.1", 5000)):
        self.socket = FakeSocket(family)
        super().__init__({"socket": self.socket, "peername": peername, "sockname": ("127.0.0.1", 8000)})
        self.loop = loop
        self.protocol = protocol
        self.has_eof = has_eof
        self.kernel = []  # sent by the client, not read; b"" stands for its end
        self.received = b""  # by the client
        self.buffer = b""  # written, and not taken by the client
        self.client_reads = True
        self.reading = True
        self.closing = False
        self.eof_written = False
        self.aborted = False
        self.lost = False
        self.most = CHUNK  # bytes that may wait here before the protocol is told to pause
        protocol.connection_made(self)

    # -- the client

    def send(self, data):
        self.kernel.append(data)
        self._deliver()

    def client_closes(self):
        self.send(b"")

    def client_resets(self):
        self._lose(ConnectionResetError())

    def client_stops_reading(self):
        self.client_reads = False

    def client_reads_again(self):
        self.client_reads = True
        self.received += self.buffer
        full, self.buffer = len(self.buffer) > self.most, b""
        if self.lost:
            return
        if self.closing:
            self._lose(None)
        elif full:
            self.protocol.resume_writing()

    def _deliver(self):
        while self.kernel and self.reading and not self.closing:
            data = self.kernel.pop(0)
            if data:
                self.protocol.data_received(data)
            elif not self.protocol.eof_received():
                self.close()

    def _lose(self, error):
        self.closing = True
        if not self.lost:
            self.lost = True
            self.loop.call_soon(self.protocol.connection_lost, error)

    @property
    def ended(self):
        """Whether the client has read the end of the stream."""
        return (self.eof_written or self.closing) and not self.buffer and not self.aborted

    # -- asyncio.Transport

    def set_protocol(self, protocol):
        self.protocol = protocol

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True
        if not self.buffer:
            self._lose(None)

    def abort(self):
        self.aborted = True
        self.buffer = b""
        self._lose(None)

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        if not self.reading:
            self.reading = True
            self.loop.call_soon(self._deliver)

    def is_reading(self):
        return self.reading and not self.closing

    def write(self, data):
        assert type(data) is bytes
        if self.eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.closing:
            return
        if self.client_reads:
            self.received += data
            return
        was_full = len(self.buffer) > self.most
        self.buffer += data
        if not was_full and len(self.buffer) > self.most:
            self.protocol.pause_writing()

    def set_write_buffer_limits(self, high=None, low=None):
        self.most = high

    def get_write_buffer_size(self):
        return len(self.buffer)

    def can_write_eof(self):
        return self.has_eof

    def write_eof(self):
        self.eof_written = True


@fake_of(HttpClient)
class FakeClient:
    """A fake connection: takes one response, in order; refuses fields that are marked as illegal; can leave."""

    def __init__(self):
        self.writable = True
        self.status = None  # of the one response
        self.fields = NONE
        self.body = b""
        self.sent = []  # all of it: (status, body, more), (body, more), statuses of errors, faults
        self._head = ()  # of a response whose body begins
        self.complete = False
        self.broken = False
        self.faults = []
        self.wanted = 0
        self.held_little = False
        self.continues = 0
        self.is_trusted = False

    def endpoints(self, head):
        return ("10.0.0.1", 5000), ("127.0.0.1", 8000), "http", None, None

    @property
    def begun(self):
        return self.status is not None

    @property
    def over(self):
        return self.complete or self.broken

    def send_continue(self):
        assert not self.begun, "100 (Continue) within a response"
        self.continues += 1

    def send_response(self, status, fields, body, more):
        assert not self.begun, "two responses"
        assert not self.broken
        if fields == ILLEGAL:
            raise LocalProtocolError("illegal header")
        self.status, self.fields = status, fields
        self._head = (status,)
        self.send_body(body, more)

    def send_body(self, data, more):
        assert self.begun
        assert not self.complete, "more after the end"
        assert not self.broken
        if data == b"illegal":
            raise LocalProtocolError("illegal body")
        self.sent.append((*self._head, data, more))
        self._head = ()
        self.body += data
        self.complete = not more

    def send_error(self, status, reason, headers):
        assert not self.complete, "an error after the response"
        self.sent.append(status)
        if self.begun:
            self.broken = True
        else:
            self.status, self.fields = status, render(headers)
            self.body, self.complete = reason.encode(), True

    def hold_little(self):
        self.held_little = not self.begun

    def send_file(self, exchange, status, fields, path):
        self.sent.append((status, path))
        return lambda exchange: self.sent.append(exchange.state)

    def body_wanted(self):
        self.wanted += 1

    def report_fault(self, exchange, fault, cut_off=False):
        self.faults.append(fault)
        self.sent.append(fault)


def request(target="/", method="GET", body=None, headers=()):
    lines = [f"{method} {target} HTTP/1.1", "Host: t", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def chunked(target, *pieces):
    head = f"POST {target} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def answers(data, heads=()):
    """Take a stream of responses apart: a list of (status, header fields, body). `heads`: which answer HEAD."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, f"half a response: {head!r}"
        first, *lines = head.split(b"\r\n")
        version, status, *_ = first.split(b" ")
        assert version == b"HTTP/1.1"
        fields = {}
        for line in lines:
            name, _, value = line.partition(b": ")
            assert name.lower() not in fields, "a field twice"
            fields[name.lower().decode()] = value.decode()
        body = b""
        if len(found) in heads or status in (b"100", b"204", b"304"):
            pass
        elif fields.get("transfer-encoding") == "chunked":
            while True:
                size, _, data = data.partition(b"\r\n")
                piece, data = data[: int(size, 16)], data[int(size, 16) + 2 :]
                if not piece:
                    break
                body += piece
        elif "content-length" not in fields:  # an answer to HEAD over HTTP/1.0, of no known length
            assert (fields["connection"], data) == ("close", b"")
        else:
            size = int(fields["content-length"])
            assert len(data) >= size, "half a body"
            body, data = data[:size], data[size:]
        found.append((int(status), fields, body))
    return found


def bodies(client):
    return [body for _, _, body in answers(client.received)]


def statuses(client):
    return [status for status, _, _ in answers(client.received)]


@fake_of(WebSocketClient, HandshakeClient)
class FakeSession(FakeClient):
    """Plays the HTTP connection and then the WebSocket: it keeps what is sent, until it is closed."""

    def __init__(self):
        super().__init__()
        self.opened = None
        self.said = []
        self.closed = None

    def open_websocket(self, session, subprotocol, fields):
        assert not self.begun
        assert self.opened is None
        self.opened = subprotocol, fields
        return self

    def send_message(self, data):
        assert self.opened is not None
        assert self.closed is None
        self.said.append(data)

    def close(self, code, reason):
        assert self.closed is None, "closed twice"
        self.closed = code, reason
