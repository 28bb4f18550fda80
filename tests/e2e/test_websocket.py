"""WebSockets, over real sockets: messages, handshakes, closing and flow control between apps and clients."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest
from support import (
    PATIENCE,
    RUNTIME,
    Answer,
    Client,
    read_all,
    running,
    send_until_stopped,
    settle,
    wait_until,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

MIB = 2**20
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SEVERAL = pytest.mark.skipif(RUNTIME == "thread", reason="needs several workers")
PARTS = {"installed": (), "plain": ("--http", "h11", "--loop", "asyncio")}
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module", params=PARTS)
def server(request):
    with running("websocket_behaviors:app", *PARTS[request.param]) as server:
        yield server
        assert "Task exception" not in server.err


def dial(server, path, **options):
    """A client's connection. It answers pings, but sends none itself."""
    options = {"ping_interval": None, "open_timeout": PATIENCE, "close_timeout": PATIENCE, "proxy": None} | options
    return connect(f"ws://127.0.0.1:{server.port}{path}", **options)


@contextmanager
def raw(server, path, size=None):
    """A bare socket, after the handshake; `size`: of the kernel's buffers."""
    sock = socket.socket()
    try:
        if size is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(HANDSHAKE.format(path=path).encode())
        received = b""
        while not received.endswith(b"\r\n\r\n"):  # the server says nothing before it is spoken to, on these paths
            received += sock.recv(1)
        assert received.startswith(b"HTTP/1.1 101 "), received
        yield sock
    finally:
        sock.close()


def frame(opcode, data=b"", fin=True):
    return Frame(opcode, data, fin).serialize(mask=True)


def closed_with(socket):
    """The code and reason of the server's close frame."""
    while True:
        try:
            socket.recv(PATIENCE)
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else None


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1_000_000])
def test_text_and_bytes_are_echoed(server, size, compression):
    data = os.urandom(size // 2 + 1).hex()[:size]
    with dial(server, "/echo", compression=compression, max_size=None) as client:
        for message in (data, data.encode(), "☃" * (size // 3)):
            client.send(message)
            assert client.recv(PATIENCE) == message


def test_a_fragmented_message_is_put_together(server):
    with dial(server, "/echo") as client:
        client.send(["some ", "", "words ", "☃"])
        assert client.recv(PATIENCE) == "some words ☃"
        client.send([b"a" * 70_000, b"b" * 70_000])
        assert client.recv(PATIENCE) == b"a" * 70_000 + b"b" * 70_000


@pytest.mark.parametrize("compression", ["deflate", None])
def test_the_largest_message_and_one_that_is_larger(server, compression):
    with dial(server, "/echo", compression=compression, max_size=None) as client:
        client.send(b"x" * 16 * MIB)
        assert client.recv(PATIENCE * 3) == b"x" * 16 * MIB
        client.send(b"x" * (16 * MIB + 1))
        assert closed_with(client)[0] == 1009


def test_many_messages_in_a_row_keep_their_order(server):
    with dial(server, "/echo") as client:
        sender = threading.Thread(target=lambda: [client.send(str(index)) for index in range(5000)])
        sender.start()
        assert [client.recv(PATIENCE) for _ in range(5000)] == [str(index) for index in range(5000)]
        sender.join()


def test_what_comes_right_behind_the_handshake_is_read(server):
    with server.connect() as sock:
        frames = frame(Opcode.TEXT, b"early") + frame(Opcode.CLOSE, b"\x03\xe8")
        sock.sendall(HANDSHAKE.format(path="/echo").encode() + frames)
        _, _, rest = read_all(sock).partition(b"\r\n\r\n")
        assert rest in (b"\x81\x05early\x88\x02\x03\xe8", b"\x88\x02\x03\xe8")


def test_what_was_said_before_a_breach_is_answered(server):
    with raw(server, "/echo") as sock:
        sock.sendall(frame(Opcode.TEXT, b"one") + frame(Opcode.TEXT, b"two") + b"\xff" * 20)
        assert read_all(sock).startswith(b"\x81\x03one\x81\x03two\x88")


def test_a_client_that_breaks_the_protocol_is_closed_though_the_app_receives_nothing(server):
    with raw(server, "/deaf?60") as sock:
        sock.sendall(b"\xff" * 20)
        assert b"\x88" in read_all(sock)


# -- the handshake ---------------------------------------------------------------------------------------------------


def test_the_scope(server):
    with dial(server, "/scope?a=b", subprotocols=["one", "two"], additional_headers={"X-Mine": "yes"}) as client:
        scope = json.loads(client.recv(PATIENCE))
    assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/scope", "/scope", "a=b")
    assert scope["subprotocols"] == ["one", "two"]
    assert ["x-mine", "yes"] in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ["127.0.0.1", server.port]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert "method" not in scope


def test_a_subprotocol(server):
    with dial(server, "/last-subprotocol", subprotocols=["one", "two"]) as client:
        assert client.subprotocol == "two"


def test_header_fields_of_the_answer(server):
    with dial(server, "/headers") as client:
        assert client.response.headers["X-One"] == "1"
        assert client.response.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
        assert "Date" in client.response.headers
        assert "Content-Length" not in client.response.headers
        assert "Transfer-Encoding" not in client.response.headers


def test_a_handshake_is_denied_with_403(server):
    with pytest.raises(InvalidStatus) as caught:
        dial(server, "/deny")
    assert caught.value.response.status_code == 403


def test_a_denial_of_the_apps_own(server):
    with Client(server) as client:
        client.send(HANDSHAKE.format(path="/denial").encode())
        answer = client.read()
        assert (answer.status, answer.headers["x-why"], answer.text) == (401, "because", "who are you?")
        assert client.request("/").text == "hello", "the connection can be used again"


@pytest.mark.parametrize("path", ["/raise-before", "/return-before"])
def test_an_app_that_fails_before_it_accepts(server, path):
    with pytest.raises(InvalidStatus) as caught:
        dial(server, path)
    assert caught.value.response.status_code == 500


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        (("Version: 13", "Version: 8"), 426, "version 13"),
        (("Sec-WebSocket-Version: 13\r\n", ""), 400, "version 13"),
        (("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Sec-WebSocket-Key"),
        (("Key: dGhl", "Key: short"), 400, "Sec-WebSocket-Key"),
        (("Connection: Upgrade", "Connection: keep-alive"), 400, "Connection: Upgrade"),
        (("GET", "POST"), 400, "GET"),
        (("Host: t", "Host: t\r\nContent-Length: 5"), 400, "body"),
    ],
)
def test_a_bad_handshake_is_told_why(server, change, status, word):
    answer = Answer(server.exchange(HANDSHAKE.format(path="/echo").replace(*change).encode()))
    assert answer.status == status
    assert word in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    if status == 426:
        assert (answer.headers["sec-websocket-version"], answer.headers["upgrade"]) == ("13", "websocket")


def test_http_1_0_can_not_upgrade(server):
    answer = Answer(server.exchange(HANDSHAKE.format(path="/echo").replace("HTTP/1.1", "HTTP/1.0").encode()))
    assert (answer.status, answer.text) == (200, "hello")


def test_without_websockets_an_upgrade_is_ignored():
    with running("websocket_behaviors:app", "--ws", "none", workers=1) as server, Client(server) as client:
        client.send(HANDSHAKE.format(path="/echo").encode())
        assert client.read().text == "hello"


def test_a_wsgi_app_ignores_an_upgrade(wsgi):
    with Client(wsgi) as client:
        client.send(HANDSHAKE.format(path="/").encode())
        assert client.read().status == 200


# -- the end of a session --------------------------------------------------------------------------------------------


def test_an_app_that_raises_closes_with_1011(server):
    times = server.err.count("raised within the session")
    with dial(server, "/raise-after") as client:
        assert closed_with(client) == (1011, "")
    server.wait_logged("ValueError: raised within the session", times // 2 + 1)


def test_an_app_that_returns_closes_with_1000(server):
    with dial(server, "/return-after") as client:
        assert closed_with(client) == (1000, "")


def test_an_app_closes_with_a_code_and_a_reason(server):
    with dial(server, "/close") as client:
        assert client.recv(PATIENCE) == "last words"
        assert closed_with(client) == (4321, "had enough ☃")
    with dial(server, "/close-plainly") as client:
        assert closed_with(client) == (1000, "")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3456, "because ☃")])
def test_a_client_closes_with_a_code_and_a_reason(server, code, reason):
    heard = f"heard {code} {reason!r}"
    times = server.err.count(heard)
    with dial(server, "/echo") as client:
        client.close(code, reason)
        assert client.protocol.close_rcvd.code == code
    server.wait_logged(heard, times + 1)


def test_a_client_closes_without_a_code(server):
    times = server.err.count("heard 1005 ''")
    with raw(server, "/echo") as sock:
        sock.sendall(frame(Opcode.CLOSE))
        assert read_all(sock) == b"\x88\x00"
    server.wait_logged("heard 1005 ''", times + 1)


@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_vanishes(server, reset):
    times = server.err.count("heard 1006 ''")
    with raw(server, "/echo") as sock:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.wait_logged("heard 1006 ''", times + 1)


def test_sending_to_a_client_that_has_gone_raises(server):
    times = server.err.count("send raised ClientDisconnected")
    with dial(server, "/send-after-close") as client:
        client.close()
    server.wait_logged("send raised ClientDisconnected", times + 1)
    server.wait_logged("tidied up", times + 1)


# -- flow control ----------------------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("size", [1000, 100_000])
def test_a_client_that_stops_reading_makes_send_wait(size):
    with running("websocket_behaviors:app", "--ws-ping-interval", "0", workers=1) as server:
        with raw(server, f"/flood?{size}", 65536) as sock:
            assert settle(server, lambda: int(server.get("/sent").body), 32 * MIB) > 0
            before = server.rss()
            for _ in range(40):  # a client that reads now and then gets more, and no more than that piles up
                received = 0
                while received < 4 * size:
                    received += len(sock.recv(65536))
            assert server.rss() - before < 16 * MIB
        server.wait_logged("sent all of")


@LINUX
@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_an_app_that_stops_receiving_stops_the_client(size):
    options = ("--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5")
    with running("websocket_behaviors:app", *options, workers=1) as server:
        before = server.rss()
        with raw(server, "/deaf", 65536) as sock:
            piece = frame(Opcode.BINARY, b"x" * size)
            piece *= max(1, 65536 // len(piece))
            sent, rest = send_until_stopped(server, sock, piece, 16 * MIB)
            for _ in range(3):  # ping time-outs, as another client sees them that does not answer
                with raw(server, "/echo") as silent:
                    assert read_all(silent).endswith(b"keepalive ping timeout")
            assert server.rss() - before < 64 * MIB
            assert server.get("/listen").status == 200
            question = frame(Opcode.TEXT, b"how many?")
            threading.Thread(target=sock.sendall, args=(rest + question,)).start()
            wanted = (sent + len(rest)) // len(frame(Opcode.BINARY, b"x" * size))
            received = b""
            while str(wanted).encode() not in received:  # pings may have come with it: this client answers none
                received += sock.recv(65536)
                assert b"\x88" not in received.partition(str(wanted).encode())[0], "closed"


# -- pings -----------------------------------------------------------------------------------------------------------


def test_pings_are_answered_while_the_app_computes(tmp_path):
    """The other clients of that worker wait, and none of them is dropped."""
    options = ("--ws-ping-interval", "0.3", "--ws-ping-timeout", "2")
    with (
        running("websocket_behaviors:app", *options, workers=1) as server,
        dial(server, "/burn") as busy,
        dial(server, "/echo") as other,
        raw(server, "/echo") as third,
    ):
        busy.send(str(tmp_path / "enough"))
        assert busy.recv(PATIENCE) == "busy"
        server.wait_logged("burning")
        other.send("waits")
        received = b""
        while received.count(b"\x89\x00") < 20:  # pings; after 8 without an answer the client would be dropped
            received += (piece := third.recv(1000))
            assert piece, "dropped"
            third.sendall(frame(Opcode.PONG) * piece.count(b"\x89"))
            for client in (busy, other):
                assert client.ping().wait(PATIENCE)
        (tmp_path / "enough").touch()
        assert busy.recv(PATIENCE).startswith("burnt in ")
        assert other.recv(PATIENCE) == "waits"


def test_a_client_that_does_not_answer_pings_is_closed():
    options = ("--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.3")
    with running("websocket_behaviors:app", *options, workers=1) as server:
        with raw(server, "/echo") as sock:
            said = read_all(sock)
            assert said.startswith(b"\x89\x00")
            assert said.endswith(b"\x88\x18\x03\xf3keepalive ping timeout")
        server.wait_logged("heard 1006 'keepalive ping timeout'")


def test_a_client_that_says_something_else_lives():
    options = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "2")
    with running("websocket_behaviors:app", *options, workers=1) as server, raw(server, "/echo") as sock:
        received = b""
        while received.count(b"\x89\x00") < 20:  # after 11 of which nothing was heard it would be closed
            received += (piece := sock.recv(1000))
            assert piece, f"closed: {received}"
            sock.sendall(frame(Opcode.TEXT, b"a") * piece.count(b"\x89"))
        assert b"\x88" not in received


# -- the server's end, and a worker's --------------------------------------------------------------------------------


@POSIX
def test_shutting_down_closes_with_1012_and_tells_the_app():
    with running("websocket_behaviors:app") as server, ExitStack() as stack:
        clients = [stack.enter_context(dial(server, "/echo")) for _ in range(10)]
        for client in clients:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
        server.process.send_signal(signal.SIGTERM)
        assert {closed_with(client) for client in clients} == {(1012, "")}
        assert server.wait_ended() == 0
        assert server.err.count("heard 1012 ''") == 10
        assert "Traceback" not in server.err


@POSIX
def test_an_app_that_ignores_the_end_is_cut():
    with running("websocket_behaviors:app", "--timeout-graceful-shutdown", "0.5") as server:
        with dial(server, "/stubborn") as client:
            server.process.send_signal(signal.SIGTERM)
            assert closed_with(client) == (1012, "")
            assert server.wait_ended() == 0
        assert "Traceback" not in server.err


@POSIX
def test_a_client_that_ignores_the_end_does_not_hold_it_up():
    with running("websocket_behaviors:app", "--timeout-graceful-shutdown", "1") as server:
        with raw(server, "/echo"):
            assert server.stop(signal.SIGTERM) == 0
        assert "Cut 1 request still in flight after 1 s" in server.err
        assert "Traceback" not in server.err


@SEVERAL
def test_a_worker_that_dies_closes_its_sockets_and_no_others():
    with running("websocket_behaviors:app", workers=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(dial(server, "/stop-loop")) for _ in range(6)]
        workers = [client.recv(PATIENCE) for client in clients]
        assert len(set(workers)) == 2
        clients[0].send("stop")
        for client, worker in zip(clients, workers, strict=True):
            if worker == workers[0]:
                assert closed_with(client) == (1011, "")
        for client, worker in zip(clients, workers, strict=True):
            if worker != workers[0]:
                assert client.ping().wait(PATIENCE)
                client.send("still there")
                client.close()
        with dial(server, "/echo") as client:
            client.send("on")
            assert client.recv(PATIENCE) == "on"


def test_many_sockets(server):
    async def talk(number):
        from websockets.asyncio.client import connect

        uri = f"ws://127.0.0.1:{server.port}/echo"
        async with connect(uri, ping_interval=None, open_timeout=PATIENCE * 3, proxy=None) as client:
            opened.append(client)
            if len(opened) == 300:
                all_open.set()
            await asyncio.wait_for(all_open.wait(), PATIENCE * 3)
            for turn in range(5):
                await client.send(f"{number} {turn}")
                assert await client.recv() == f"{number} {turn}"

    async def run():
        await asyncio.gather(*map(talk, range(300)))

    opened, all_open = [], asyncio.Event()
    asyncio.run(run())
    assert len(opened) == 300


# -- rubbish ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_and_frames_never_hang_the_server(server, seed):
    chance = random.Random(seed)
    logged = len(server.err)
    for _ in range(60):
        kinds = chance.choices([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.CONT], k=4)
        good = b"".join(
            frame(kind, chance.randbytes(chance.choice([0, 5, 120])), kind is Opcode.PING or chance.random() < 0.7)
            for kind in kinds
        )
        data = bytearray(chance.choice([good, good, chance.randbytes(chance.randrange(200))]))
        for _ in range(chance.randrange(4) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with raw(server, "/echo") as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                read_all(sock)
            except ConnectionResetError:
                pass
    with dial(server, "/echo") as client:
        client.send("alive")
        assert client.recv(PATIENCE) == "alive"
    assert "Traceback" not in server.err[logged:]


def test_a_client_that_only_says_rubbish_is_closed_by_the_server(server):
    with raw(server, "/echo") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(sock)[:1] == b"\x88"


def test_the_log_has_a_line_for_the_handshake(server):
    with dial(server, "/echo?logged"):
        pass
    wait_until(lambda: '"GET /echo?logged HTTP/1.1" 101' in server.out + server.err, "the handshake is logged")
