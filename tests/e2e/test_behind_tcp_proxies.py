"""The PROXY protocol over the real server: what apps, WebSockets and logs are told, with TLS behind it and without."""

import ipaddress
import json
import socket
import ssl
import struct
import subprocess

import pytest
from support import ONE_RUNTIME, PATIENCE, Answer, read_all, running
from websockets.sync.client import connect

pytestmark = ONE_RUNTIME

LOOPS = {"uvloop": (), "asyncio": ("--loop", "asyncio", "--http", "h11")}
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
TEXT = b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def binary(client, server):
    ips = b"".join(ipaddress.ip_address(ip).packed for ip, _ in (client, server))
    data = ips + struct.pack("!HH", client[1], server[1]) + b"\x04\x00\x01\x00"
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(data)) + data


BINARY = binary(("192.0.2.1", 5000), ("198.51.100.2", 443))
HEADERS = {
    "v1": (TEXT, ["2001:db8::1", 5000], ["2001:db8::2", 443]),
    "v2": (BINARY, ["192.0.2.1", 5000], ["198.51.100.2", 443]),
    "unknown": (UNKNOWN, None, None),
    "local": (LOCAL, None, None),
}
each_header = pytest.mark.parametrize(("header", "client", "server_end"), HEADERS.values(), ids=list(HEADERS))


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def app(request):
    return request.param


@pytest.fixture(scope="module", params=LOOPS)
def server(request, app):
    with running(f"proxied:{app}", "--proxy-protocol", *LOOPS[request.param], workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def options_of(certificate):
    return "--ssl-certfile", str(certificate / "certificate.pem"), "--ssl-keyfile", str(certificate / "key.pem")


def request(*lines, path="/a"):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: t", "Connection: close", *lines, "", ""]).encode()


def asked(server, *pieces):
    """What the app was told of a request, and the socket's own address."""
    with server.connect() as sock:
        for piece in pieces:
            sock.sendall(piece)
        own = list(sock.getsockname())
        return json.loads(Answer(read_all(sock)).body), own


@each_header
def test_the_app_is_told_what_the_proxy_says(server, header, client, server_end):
    told, own = asked(server, header + request())
    assert told["client"] == (client or own)
    assert told["server"] == (server_end or ["127.0.0.1", server.port])
    assert told["scheme"] == "http"


@each_header
def test_in_pieces(server, header, client, server_end):
    data = header + request()
    told, own = asked(server, *(data[at : at + 1] for at in range(len(header) + 5)), data[len(header) + 5 :])
    assert told["client"] == (client or own)


def test_a_connection_is_somebodys_for_all_its_requests(server):
    one = request(path="/one").replace(b"Connection: close\r\n", b"")
    told = server.exchange(BINARY + one + one + request(path="/two"))
    assert told.count(b'"192.0.2.1"') == 3
    server.wait_logged('192.0.2.1:5000 - "GET /two HTTP/1.1" 200')


def test_what_a_client_writes_into_its_request_is_not_believed(server):
    """The proxy is trusted, but passes on what its client has made up."""
    lines = "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "Forwarded: for=6.6.6.6;host=evil"
    for header, client, _ in HEADERS.values():
        told, own = asked(server, header + request(*lines))
        assert (told["client"], told["scheme"]) == (client or own, "http")


def test_what_a_trusted_proxy_behind_the_proxy_writes_is_believed(server):
    header = b"PROXY TCP4 127.0.0.1 198.51.100.2 5000 443\r\n"
    told, _ = asked(server, header + request("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"))
    assert (told["client"], told["scheme"]) == (["203.0.113.9", 0], "https")


@pytest.mark.parametrize("sent", [request(), b"\x16\x03\x01\x00\x05", b"PROXY TCP4 1.1.1.1\r\n", b"PROXY\n", b"\r\nG"])
def test_a_trusted_peer_that_says_nothing_is_refused(server, sent):
    before = server.err.count("is refused: ")
    with server.connect() as sock:
        sock.sendall(sent)
        assert closed(sock)
        name = "{}:{}".format(*sock.getsockname())
    server.wait_logged("is refused: ", times=before + 1)
    server.wait_logged(f"The peer {name} is refused: ")


def closed(sock):
    """Wait until the server closes; returns whether it has sent nothing."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_others_are_refused():
    options = "--proxy-protocol", "--forwarded-allow-ips", "10.0.0.0/8"
    with running("proxied:asgi", *options, workers=1) as server:
        with server.connect() as sock:
            try:
                sock.sendall(BINARY + request())
            except OSError:
                pass  # it is closed already
            assert closed(sock)
        server.wait_logged("is not among forwarded_allow_ips, and so may not use the PROXY protocol")


def test_a_silent_peer_is_cut_off():
    with running("proxied:asgi", "--proxy-protocol", "--timeout-request-head", "0.2", workers=1) as server:
        for sent in (b"", BINARY[:20]):
            with server.connect() as sock:
                sock.sendall(sent)
                assert closed(sock)
        server.wait_logged("did not say in time whose connection it is", times=2)
        assert asked(server, BINARY + request())[0]["client"] == ["192.0.2.1", 5000]


def test_without_the_option_it_is_a_bad_request():
    with running("proxied:asgi", workers=1) as server:
        assert Answer(server.exchange(TEXT + request())).status == 400
        assert Answer(server.exchange(BINARY + request())).status == 400


def test_a_stop_does_not_wait_for_silent_peers(app):
    with running(f"proxied:{app}", "--proxy-protocol", workers=1) as server, server.connect() as sock:
        assert asked(server, TEXT + request())[0]["client"] == ["2001:db8::1", 5000]  # the other was accepted before
        assert server.stop() == 0
        assert closed(sock)


def test_websockets():
    with running("proxied:asgi", "--proxy-protocol", workers=1) as server, server.connect() as sock:
        sock.sendall(TEXT)
        with connect(f"ws://127.0.0.1:{server.port}/a", sock=sock, proxy=None) as client:
            told = json.loads(client.recv(PATIENCE))
        assert (told["client"], told["scheme"]) == (["2001:db8::1", 5000], "ws")
        server.wait_logged('2001:db8::1:5000 - "GET /a HTTP/1.1" 101')


def trusting(certificate):
    return ssl.create_default_context(cafile=certificate / "certificate.pem")


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_behind_it(app, certificate, loop):
    options = "--proxy-protocol", *options_of(certificate), *LOOPS[loop]
    with running(f"proxied:{app}", *options, workers=1) as server:
        for header, client, server_end in HEADERS.values():
            sock = server.connect()
            own = list(sock.getsockname())
            sock.sendall(header)
            with trusting(certificate).wrap_socket(sock, server_hostname="localhost") as secure:
                secure.sendall(request("X-Forwarded-For: 6.6.6.6"))
                told = json.loads(Answer(read_all(secure)).body)
            assert (told["client"], told["scheme"]) == (client or own, "https")
            assert told["server"] == (server_end or ["127.0.0.1", server.port])
        with server.connect() as sock:  # TLS at once
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert closed(sock)
        server.wait_logged("there is no header of the PROXY protocol")


def test_header_and_hello_in_one_piece(certificate):
    with running("proxied:asgi", "--proxy-protocol", *options_of(certificate), workers=1) as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = trusting(certificate).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        with server.connect() as sock:
            sock.sendall(BINARY + outgoing.read())
            while True:
                incoming.write(sock.recv(65536))
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pass
            session.write(request())
            sock.sendall(outgoing.read())
            received = b""
            while piece := sock.recv(65536):
                incoming.write(piece)
                while incoming.pending:
                    try:
                        received += session.read()
                    except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                        break
        assert json.loads(Answer(received).body)["client"] == ["192.0.2.1", 5000]


def test_secure_websockets(certificate):
    with running("proxied:asgi", "--proxy-protocol", *options_of(certificate), workers=1) as server:
        sock = server.connect()
        sock.sendall(BINARY)
        url = f"wss://localhost:{server.port}/a"
        with connect(url, sock=sock, ssl=trusting(certificate), proxy=None) as client:
            told = json.loads(client.recv(PATIENCE))
        assert (told["client"], told["scheme"]) == (["192.0.2.1", 5000], "wss")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_proxy_on_a_unix_socket(app, tmp_path):
    path = tmp_path / "s.sock"
    options = "--uds", str(path), "--proxy-protocol"
    with running(f"proxied:{app}", *options, workers=1), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(BINARY + request())
        assert json.loads(Answer(read_all(sock)).body)["client"] == ["192.0.2.1", 5000]
