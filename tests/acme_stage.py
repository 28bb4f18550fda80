"""What the tests with Pebble play: servers that answer challenges, a CA's stand-in that knows renewal information."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from snakepit.acme.answers import Answers
from snakepit.acme.challenges import ALPN_PROTOCOL, PATH
from snakepit.acme.client import AcmeClient
from snakepit.acme.https import Https, trusting
from snakepit.acme.issuers import AcmeIssuer, LocalIssuer
from snakepit.acme.jws import from_base64url
from snakepit.acme.keeper import Keeper
from snakepit.acme.local_ca import LocalCa
from snakepit.acme.names import is_local
from snakepit.acme.stopping import Stop
from snakepit.acme.store import CertificateStore


class Stage:
    """All parts of a client of CAs, put together as in the server."""

    def __init__(self, folder, trust, authorities, *, contact="", kinds=("http-01",), now=time.time, choose=None):
        self.stop = Stop()
        self.store = CertificateStore(folder)
        self.answers = Answers(self.store)
        self.web = Https(trusting(None if trust is None else str(trust)), self.stop)
        client = AcmeClient(self.web, self.answers, self.stop)
        more = {} if choose is None else {"choose": choose}
        self.acme = AcmeIssuer(authorities, contact, kinds, self.store, client, self.stop, now=now, **more)
        self.local = LocalIssuer(self.store, LocalCa(self.store.local_ca), self.stop, now=now)
        self.keeper = Keeper(self.store, self.issuer_of, self.stop, now=now)

    def issuer_of(self, name):
        return self.local if is_local(name) else self.acme


@contextlib.contextmanager
def serving(server):
    """Let a server of http.server serve in a thread within this block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format, *args):
        pass

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def answering_http(port, answers):
    """Answer HTTP-01 within this block."""

    class Handler(QuietHandler):
        def do_GET(self):
            found = answers.http(self.path.removeprefix(PATH)) if self.path.startswith(PATH) else None
            self.reply(404) if found is None else self.reply(200, found.encode())

    with serving(ThreadingHTTPServer(("127.0.0.1", port), Handler)):
        yield


@contextlib.contextmanager
def answering_alpn(port, answers):
    """Answer TLS-ALPN-01 within this block."""

    def choose(connection, name, context):
        found = answers.alpn(name or "")
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        chosen = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chosen.load_cert_chain(found)
        chosen.set_alpn_protocols([ALPN_PROTOCOL])
        connection.context = chosen
        return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([ALPN_PROTOCOL])
    context.sni_callback = choose
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve():
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), accepted, context.wrap_socket(accepted, server_side=True):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


class StandIn:
    """A server in front of Pebble, which adds renewal information, and notes what orders replace."""

    def __init__(self, pebble):
        self.pebble = pebble
        self.window = None  # (start, end) as RFC 3339; None: the CA does not know the certificate
        self.retry_after = "3600"
        self.refuses = ()  # answers with these problem types to orders that replace something
        self.asked = []  # identifiers of certificates
        self.replaced = []  # what each order replaces; None: nothing
        self.directory = ""

    @contextlib.contextmanager
    def running(self, key):
        upstream = urlsplit(self.pebble.directory)
        stand_in = self

        class Handler(QuietHandler):
            def handle_any(self):
                if self.path.startswith("/renewal-info/"):
                    return self.renewal_info()
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                order = self.order_in(body) if self.command == "POST" and "order" in self.path.lower() else None
                if order and "replaces" in order and stand_in.refuses:
                    stand_in.replaced.append(order["replaces"])
                    kind = f"urn:ietf:params:acme:error:{stand_in.refuses[0]}"
                    return self.reply(409, json.dumps({"type": kind, "detail": "no"}).encode())
                status = self.forward(body)
                if order and status == 201:
                    stand_in.replaced.append(order.get("replaces"))
                return None

            def order_in(self, body):
                payload = from_base64url(json.loads(body)["payload"])
                found = json.loads(payload) if payload else {}
                return found if "identifiers" in found else None

            do_GET = do_POST = do_HEAD = handle_any

            def renewal_info(self):
                stand_in.asked.append(self.path.removeprefix("/renewal-info/"))
                if stand_in.window is None:
                    return self.reply(404, b"{}")
                start, end = stand_in.window
                found = {"suggestedWindow": {"start": start, "end": end}, "explanationURL": "https://ca.example/why"}
                return self.reply(200, json.dumps(found).encode(), [("Retry-After", stand_in.retry_after)])

            def forward(self, body):
                connection = http.client.HTTPSConnection(
                    upstream.hostname, upstream.port, context=stand_in.pebble.context()
                )
                with contextlib.closing(connection):
                    headers = dict(self.headers.items())  # with this server's Host, which URLs are made of
                    connection.request(self.command, self.path, body or None, headers)
                    answer = connection.getresponse()
                    data = answer.read()
                    if self.path == "/dir":
                        data = json.dumps(
                            {**json.loads(data), "renewalInfo": stand_in.directory.replace("/dir", "/renewal-info")}
                        ).encode()
                    kept = [
                        (name, value)
                        for name, value in answer.getheaders()
                        if name.lower() not in ("content-length", "transfer-encoding", "connection")
                    ]
                    self.reply(answer.status, data, kept)
                    return answer.status

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pebble.trust, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.directory = f"https://127.0.0.1:{server.server_address[1]}/dir"
        with serving(server):
            yield self


def handshake(certificate, name, root):
    """Serve with a certificate, connect as a client that trusts a root, and return what the client sees of it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cadata=root)
    near, far = socket.socketpair()
    failed = []

    def serve():
        try:
            with server.wrap_socket(far, server_side=True) as secured:
                secured.recv(1)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as secured:
            return secured.getpeercert()
    finally:
        near.close()
        thread.join()
