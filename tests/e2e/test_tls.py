"""HTTPS by the real server: certificates, those of clients, changes of files, upgrades, stops and redirects."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from support import APPS, NEEDS_TWO_WORKERS, ONE_RUNTIME, Answer, Client, Load, alone, read_all, run_command, running
from tls_peers import PASSWORD, client_hello
from waiting import PATIENCE, wait_until
from websockets.asyncio.client import connect

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

pytestmark = ONE_RUNTIME


@pytest.fixture
def site(certificates, tmp_path):
    """The options for a certificate that a test may change."""
    certificate, key = certificates.server().write(tmp_path, "site")
    return "--ssl-certfile", certificate, "--ssl-keyfile", key


@contextmanager
def serving(certificates, app, *arguments, context=None, **options):
    """Run a server whose clients in tests speak TLS."""
    with running(app, *arguments, **options) as server:
        over_tls(server, context or certificates.client_context())
        yield server


def over_tls(server, context, name="localhost"):
    """Have the clients of a server speak TLS from now on."""
    plain = type(server).connect

    def connect(session=None):
        return context.wrap_socket(plain(server), server_hostname=name, session=session)

    server.connect = connect


@pytest.fixture(scope="module", params=["installed", "plain"])
def fast_parts(request):
    return () if request.param == "installed" else ("--http", "h11", "--loop", "asyncio")


@pytest.fixture(scope="module")
def files(certificates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    certificate, key = certificates.server().write(folder, "site")
    return "--ssl-certfile", certificate, "--ssl-keyfile", key


@pytest.fixture(scope="module")
def secure(fast_parts, certificates, files, tmp_path_factory):
    static = tmp_path_factory.mktemp("static")
    (static / "large.bin").write_bytes(LARGE)
    with serving(certificates, "behaviors:app", *fast_parts, *files, "--static-path", str(static)) as server:
        yield server


@pytest.fixture(scope="module")
def secure_wsgi(fast_parts, certificates, files):
    with serving(certificates, "wsgi_behaviors:app", *fast_parts, *files) as server:
        yield server


LARGE = bytes(range(256)) * 4096 * 12


def shown(server, context, name="localhost", port=None):
    """Return the certificate that a client is shown, in DER."""
    plain = socket.create_connection(("127.0.0.1", port or server.port), timeout=PATIENCE)
    with context.wrap_socket(plain, server_hostname=name) as sock:
        return sock.getpeercert(binary_form=True)


# -- requests


def test_an_asgi_app(secure):
    assert secure.address.startswith("https://127.0.0.1:")
    scope = json.loads(secure.get("/scope").text)
    assert scope["scheme"] == "https"
    told = scope["extensions"]["tls"]
    assert told["client_cert_chain"] == []
    assert told["client_cert_name"] is None
    assert told["tls_version"] == 0x0304
    assert told["cipher_suite"] in (0x1301, 0x1302, 0x1303)
    assert told["server_cert"].startswith("-----BEGIN CERTIFICATE-----\n")


def test_a_wsgi_app(secure_wsgi):
    environ = json.loads(secure_wsgi.get("/environ").text)
    assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
    assert (environ["SSL_PROTOCOL"], environ["SSL_CLIENT_VERIFY"]) == ("TLSv1.3", "NONE")
    assert environ["SSL_CIPHER"].startswith("TLS_")


def test_nobody_can_say_so_in_a_header(secure_wsgi):
    environ = json.loads(secure_wsgi.get("/environ", "SSL_CLIENT_VERIFY: SUCCESS", "SSL-Client-S-DN: CN=root").text)
    assert environ["SSL_CLIENT_VERIFY"] == "NONE"
    assert "SSL_CLIENT_S_DN" not in environ


def test_keep_alive(secure, secure_wsgi):
    for server in (secure, secure_wsgi):
        with Client(server) as client:
            for _ in range(20):
                assert client.request("/").text == "hello"


def test_pipelined_requests(secure):
    with Client(secure) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 500)
        for _ in range(500):
            assert client.read().text == "hello"


def test_single_bytes(secure):
    with Client(secure) as client:
        for each in b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello":
            client.send(bytes((each,)))
        assert client.read().text == "hello"


def test_large_bodies(secure, certificates):
    async def wait_echo():
        """Send and receive at once, in one thread: OpenSSL crashes where two threads use a session."""
        reader, writer = await asyncio.open_connection("localhost", secure.port, ssl=certificates.client_context())
        try:
            writer.write(b"POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n")
            writer.write(f"Content-Length: {len(LARGE)}\r\n\r\n".encode() + LARGE)
            return Answer(await reader.read())
        finally:
            writer.close()

    assert asyncio.run(asyncio.wait_for(wait_echo(), PATIENCE)).body == LARGE


def test_a_large_body_for_a_wsgi_app(secure_wsgi):
    with Client(secure_wsgi) as client:
        assert client.request("/read", "POST", LARGE).body == LARGE


def test_static_files(secure):
    with Client(secure) as client:
        for _ in range(2):
            assert client.request("/static/large.bin").body == LARGE


def test_files_of_apps(certificates, files, tmp_path):
    path = tmp_path / "sent.bin"
    path.write_bytes(LARGE)
    with (
        serving(certificates, "sending_files:app", *files, workers=1, env={"FILE": str(path)}) as server,
        Client(server) as client,
    ):
        for _ in range(2):
            assert client.request("/file").body == LARGE


def test_a_client_that_reads_slowly(secure):
    with Client(secure) as client:
        client.send(b"GET /static/large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = client.read_head()
        body = b""
        while len(body) < len(LARGE):
            body += client.file.read(min(100_000, len(LARGE) - len(body)))
            assert secure.get("/").status == 200
        assert body == LARGE
        assert answer.status == 200


def test_websocket(certificates, files, fast_parts):
    context = certificates.client_context()

    async def wait_talk(port):
        async with connect(f"wss://localhost:{port}/echo", ssl=context) as client:
            for message in ("hello", b"x" * 300_000, "again"):
                await client.send(message)
                assert await client.recv() == message
        async with connect(f"wss://localhost:{port}/scope", ssl=context) as client:
            return json.loads(await client.recv())

    with running("websocket_behaviors:app", *fast_parts, *files) as server:
        scope = asyncio.run(asyncio.wait_for(wait_talk(server.port), PATIENCE))
    assert scope["scheme"] == "wss"
    assert scope["extensions"]["tls"]["tls_version"] == 0x0304


def test_a_library_as_client(secure, certificates):
    with httpx.Client(verify=certificates.client_context()) as client:
        for _ in range(3):
            assert client.get(f"https://localhost:{secure.port}/").text == "hello"


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_sessions_are_resumed(secure, certificates, version):
    context = certificates.client_context(most=version)

    def ask(session=None):
        plain = socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE)
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 200 ")
            return sock.session, sock.session_reused

    session, reused = ask()
    assert not reused
    assert ask(session)[1]


def test_old_versions_are_refused(secure, certificates):
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", version, "-cipher", "ALL:@SECLEVEL=0"],
            input="",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert "protocol version" in done.stderr
    assert secure.get("/").status == 200


def test_plain_http_is_told_what_would_be_right(secure):
    with socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = Answer(read_all(sock))
    assert (answer.status, answer.text) == (400, "This port speaks HTTPS only: use https:// instead.\n")


def test_what_a_library_makes_of_that(secure):
    answer = httpx.get(f"http://localhost:{secure.port}/")
    assert (answer.status_code, answer.text) == (400, "This port speaks HTTPS only: use https:// instead.\n")


# -- certificates


def test_the_certificate_is_chosen_by_name(certificates, files, tmp_path):
    text = ""
    made = {"www.example.com": ("www.example.com",), "wild": ("*.example.com",), "rsa": ("rsa.test",)}
    shown_by = {}
    for name, names in made.items():
        certificate = shown_by[name] = certificates.server(*names, kind="rsa" if name == "rsa" else "ec")
        paths = certificate.write(tmp_path, name, PASSWORD if name == "wild" else None)
        text += f'[[tls]]\ncertfile = "{paths[0]}"\nkeyfile = "{paths[1]}"\n'
        if name == "wild":
            text += f'keyfile-password = "{PASSWORD}"\n'
    chain = certificates.behind_intermediate.write_joined(tmp_path, "chain")
    text += f'[[tls]]\ncertfile = "{chain}"\nnames = ["chain.test"]\n'
    config = tmp_path / "snakepit.toml"
    config.write_text(text)
    context = certificates.client_context()
    with serving(certificates, "behaviors:app", *files, "--config", str(config), workers=1) as server:
        assert shown(server, context) == certificates.server().der
        assert shown(server, context, "www.example.com") == shown_by["www.example.com"].der
        assert shown(server, context, "api.example.com") == shown_by["wild"].der
        assert shown(server, context, "rsa.test") == shown_by["rsa"].der
        assert shown(server, context, "127.0.0.1") == certificates.server().der
        assert shown(server, context, "chain.test") == certificates.behind_intermediate.der, "with the one between"
        with pytest.raises(ssl.SSLCertVerificationError):
            shown(server, context, "unknown.test")
        told = server.command("status").stdout + server.command("status", "--json").stdout
        shown_config = run_command("config", "behaviors:app", *files, "--config", str(config), cwd=APPS, env=server.env)
        as_json = run_command(
            "config", "behaviors:app", *files, "--config", str(config), "--json", cwd=APPS, env=server.env
        )
        assert (shown_config.returncode, as_json.returncode) == (0, 0)
        assert str(tmp_path / "wild.pem") in shown_config.stdout
        told += shown_config.stdout + as_json.stdout + server.err + server.out
        for folder, _, names in os.walk(server.env["XDG_RUNTIME_DIR"]):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    told += Path(path).read_text(errors="replace")
        assert PASSWORD not in told


def test_a_password_by_environment_is_not_shown(certificates, tmp_path):
    certificate, key = certificates.server().write(tmp_path, "site", PASSWORD)
    env = {"SNAKEPIT_SSL_KEYFILE_PASSWORD": PASSWORD}
    files = ("--ssl-certfile", certificate, "--ssl-keyfile", key)
    with serving(certificates, "behaviors:app", *files, "--log-level", "debug", workers=1, env=env) as server:
        assert server.get("/").status == 200
        done = run_command("config", "behaviors:app", *files, cwd=APPS, env=server.env)
        assert "ssl_keyfile_password" in done.stdout
        told = done.stdout + server.command("status", "--json").stdout + server.err + server.out
        assert PASSWORD not in told


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
def test_clients_with_certificates(certificates, files, app, version):
    options = ("--ssl-cert-reqs", "required", "--ssl-ca-certs", certificates.ca_file)
    alice = certificates.client()
    context = certificates.client_context(shows=alice, most=version)
    with serving(certificates, app, *files, *options, context=context, workers=1) as server:
        for _ in range(2):
            if app == "behaviors:app":
                told = json.loads(server.get("/scope").text)["extensions"]["tls"]
                assert told["client_cert_chain"][0] == alice.pem
                assert told["client_cert_name"] == "CN=alice,C=CH,O=Tests"
                assert told["client_cert_error"] is None
            else:
                environ = json.loads(server.get("/environ").text)
                assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
                assert environ["SSL_CLIENT_S_DN"] == "CN=alice,C=CH,O=Tests"
                assert environ["SSL_CLIENT_CERT"] == alice.pem
                assert int(environ["SSL_CLIENT_M_SERIAL"], 16) == alice.certificate.serial_number
        for shows in (None, certificates.strange_client):
            over_tls(server, certificates.client_context(shows=shows, most=version))
            with pytest.raises((ssl.SSLError, ConnectionError)):
                server.get("/")


def write_new(certificates, folder):
    """Replace certificate and key as a client for ACME does, one after the other; returns the certificate."""
    new = certificates.ca.issue("localhost", "127.0.0.1")
    new.write(folder, "new")
    for name in ("pem", "key"):
        (folder / f"new.{name}").replace(folder / f"site.{name}")
    return new


@ONE_RUNTIME
def test_a_changed_certificate_loses_no_request(certificates, site, tmp_path, fast_parts):
    """It serves within 5 seconds: two looks, at most, of 2 seconds each."""
    context = certificates.client_context()
    with serving(certificates, "behaviors:app", *fast_parts, *site) as server, ExitStack() as stack:
        keeping = stack.enter_context(Load(server, 2))
        coming = stack.enter_context(NewConnections(server, 2))
        with Client(server) as before:
            assert before.request("/").status == 200
            for _ in range(2):
                new = write_new(certificates, tmp_path)
                wait_until(lambda new=new: shown(server, context) == new.der, "it is shown", 5)
            assert before.request("/").status == 200, "connections go on"
        keeping.wait_for_more()
        wait_until(lambda: coming.answers > 20, "new connections are served")
        assert keeping.troubles == coming.troubles == []
        assert server.err.count("was read again") == 2
        assert "goes on being used" not in server.err


class NewConnections(Load):
    """A connection for each request."""

    def _ask_on(self, client):
        answer = client.request("/")
        if answer.status != 200:
            self.troubles.append(answer.raw)
        self.answers += 1


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_reload_reads_certificates_again(certificates, site, tmp_path, how):
    if how == "signal" and not hasattr(signal, "SIGHUP"):
        pytest.skip("there is no SIGHUP")
    context = certificates.client_context()
    with serving(certificates, "behaviors:app", *site, workers=1) as server:
        new = write_new(certificates, tmp_path)
        if how == "command":
            assert server.command("reload").returncode == 0
        else:
            server.process.send_signal(signal.SIGHUP)
        server.wait_logged("was read again")
        server.wait_logged("Reloaded")
        assert shown(server, context) == new.der


def test_a_damaged_certificate(certificates, site, tmp_path):
    context = certificates.client_context()
    with serving(certificates, "behaviors:app", *site, workers=1) as server:
        (tmp_path / "site.pem").write_text("damaged")
        server.wait_logged("The certificate before goes on being used: the certificate ")
        assert shown(server, context) == certificates.server().der
        new = write_new(certificates, tmp_path)
        server.wait_logged("was read again")
        assert shown(server, context) == new.der
        assert server.err.count("goes on being used") == 1
        assert "Traceback" not in server.err


# -- upgrades and stops


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def redirected(port, path="/", method="GET"):
    with httpx.Client() as client:
        return client.request(method, f"http://localhost:{port}{path}", content=b"body" if method == "POST" else None)


@NEEDS_TWO_WORKERS
def test_upgrade(certificates, site, tmp_path, fast_parts):
    port = free_port()
    context = certificates.client_context()
    with serving(certificates, "behaviors:app", *fast_parts, *site, "--redirect-http", str(port)) as server:
        first = server.pid
        new = write_new(certificates, tmp_path)
        with Load(server, 2, may_close=True) as load, NewConnections(server, 2) as coming:
            load.wait_for_more(50)
            assert server.command("upgrade").returncode == 0
            assert server.pid != first
            load.wait_for_more(50)
        assert load.troubles == coming.troubles == []
        assert shown(server, context) == new.der
        answer = redirected(port, "/a?b=c")
        assert (answer.status_code, answer.headers["location"]) == (308, f"https://localhost:{server.port}/a?b=c")
        (tmp_path / "site.pem").write_text("damaged")
        done = server.command("upgrade")
        assert done.returncode == 1
        assert shown(server, context) == new.der
        assert server.stop() == 0
        assert "Traceback" not in server.err


def test_redirects(certificates, files, fast_parts):
    port = free_port()
    options = ("--redirect-http", str(port), "--hsts", "31536000")
    with serving(certificates, "behaviors:app", *fast_parts, *files, *options, workers=1) as server:
        assert re.search(rf"Listening on https://127.0.0.1:{server.port}, http://127.0.0.1:{port} ", server.err)
        for method in ("GET", "POST", "HEAD", "DELETE"):
            answer = redirected(port, "/a%20b/c?d=e&f=%20", method)
            assert answer.status_code == 308
            assert answer.headers["location"] == f"https://localhost:{server.port}/a%20b/c?d=e&f=%20"
            assert "strict-transport-security" not in answer.headers
        assert server.get("/").headers["strict-transport-security"] == "max-age=31536000"
        context = certificates.client_context()
        with httpx.Client(verify=context, follow_redirects=True) as client:
            answer = client.post(f"http://localhost:{port}/echo", content=b"a body")
            assert (answer.status_code, answer.text) == (200, "a body"), "308 keeps method and body"


def test_a_stop_waits_for_answers(certificates, files, held, fast_parts):
    with serving(certificates, "behaviors:app", *fast_parts, *files, workers=1) as server, Client(server) as client:
        client.send(held.request())
        server.wait_logged("holding")
        with ThreadPoolExecutor() as threads:
            stopping = threads.submit(server.stop)
            server.wait_logged("Stopping")
            held.release()
            answer = client.read()
            assert (answer.text, answer.headers["connection"]) == ("held", "close")
            assert client.file.read() == b"", "and the client reads that this is all"
            assert stopping.result() == 0
        assert "Traceback" not in server.err


def test_a_stop_in_the_middle_of_handshakes(certificates, files, fast_parts):
    """Those that have begun get a moment; none holds the server up for the whole time that a handshake may take."""
    options = ("--ssl-handshake-timeout", str(2 * PATIENCE), "--timeout-graceful-shutdown", str(2 * PATIENCE))
    with (
        serving(certificates, "behaviors:app", *fast_parts, *files, *options, workers=1) as server,
        ExitStack() as stack,
    ):
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(6)]
        hello = client_hello()
        socks[1].sendall(hello[:10])
        socks[2].sendall(hello)
        socks[3].sendall(hello)
        assert socks[3].recv(100)
        socks[4].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert socks[4].recv(100)
        assert server.get("/").status == 200
        assert server.stop() == 0
        assert "Traceback" not in server.err


# -- what is wrong


def ended(*arguments, cwd=APPS, env=None, tmp_path):
    done = run_command("run", *arguments, cwd=cwd, env={**os.environ, **alone(tmp_path), **(env or {})})
    lines = [line for line in done.stderr.splitlines() if "rror" in line]
    assert "Traceback" not in done.stderr
    assert done.returncode == 2, done.stderr
    return lines[-1] if lines else done.stderr


@pytest.fixture
def wrong(certificates, tmp_path):
    """Files with which something is wrong, by name."""
    certificates.server().write(tmp_path, "site")
    certificates.server("other.test", kind="rsa").write(tmp_path, "other")
    certificates.server().write(tmp_path, "locked", PASSWORD)
    (tmp_path / "empty.pem").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ssl-certfile", "gone.pem"], "ssl_certfile: gone.pem does not exist"),
        (["--ssl-certfile", "empty.pem"], "empty.pem can't be used: there is no certificate in it"),
        (["--ssl-certfile", "site.pem"], "site.pem: name its file with ssl_keyfile"),
        (["--ssl-certfile", "site.pem", "--ssl-keyfile", "other.key"], "is not that of the certificate"),
        (["--ssl-certfile", "locked.pem", "--ssl-keyfile", "locked.key"], "is missing: the key is encrypted"),
        (
            ["--ssl-certfile", "locked.pem", "--ssl-keyfile", "locked.key", "--ssl-keyfile-password", "wrong"],
            "locked.key is wrong",
        ),
        (["--ssl-keyfile", "site.key"], "ssl_keyfile needs ssl_certfile"),
        (["--redirect-http", "8080"], "redirect_http needs a certificate: ssl_certfile"),
        (["--hsts", "60"], "hsts needs a certificate: ssl_certfile"),
        (
            ["--ssl-certfile", "site.pem", "--ssl-keyfile", "site.key", "--ssl-cert-reqs", "required"],
            "ssl_cert_reqs needs ssl_ca_certs: whom else should be believed?",
        ),
        (
            ["--ssl-certfile", "site.pem", "--ssl-keyfile", "site.key", "--ssl-ca-certs", "empty.pem"],
            "empty.pem: no certificate or crl found",
        ),
        (
            ["--ssl-certfile", "site.pem", "--ssl-keyfile", "site.key", "--ssl-ciphers", "NONE-SUCH"],
            "ssl_ciphers: OpenSSL knows no cipher among 'NONE-SUCH'",
        ),
        (["--ssl-certfile", "site.pem", "--ssl-version", "TLSv1.1"], "TLSv1.1"),
        (["--ssl-certfile", "site.pem", "--ssl-cert-reqs", "2"], "required"),
        (
            ["--ssl-certfile", "site.pem", "--ssl-keyfile", "site.key", "--port", "18799", "--redirect-http", "18799"],
            "redirect_http is 18799, where the server listens already",
        ),
    ],
)
def test_one_clear_message(wrong, tmp_path, arguments, message):
    arguments = [
        str(wrong / each) if each.endswith((".pem", ".key")) and "gone" not in each else each for each in arguments
    ]
    port = () if "--port" in arguments else ("--port", "0")  # sockets are bound before certificates are read
    said = ended("behaviors:app", *port, *arguments, tmp_path=tmp_path)
    assert message in said


def test_by_code(wrong, tmp_path):
    code = (
        "import snakepit\n"
        f"snakepit.run('behaviors:app', ssl_certfile={str(wrong / 'site.pem')!r}, "
        f"ssl_keyfile={str(wrong / 'site.key')!r}, ssl_cert_reqs=2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=APPS, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "ssl_cert_reqs must be one of none, optional, required, not 2" in done.stderr


# -- many that want something else


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors on Linux")
def test_those_who_only_begin_do_not_disturb(certificates, files, fast_parts):
    options = ("--ssl-handshake-timeout", "2")
    with serving(certificates, "behaviors:app", *fast_parts, *files, *options) as server, ExitStack() as stack:
        assert server.get("/").status == 200
        before = len(os.listdir(f"/proc/{server.pid}/fd"))
        hello = client_hello()
        socks = []
        for number in range(300):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            socks.append(sock)
            if number % 3:
                sock.sendall(hello if number % 3 == 1 else hello[:7])
        for _ in range(20):
            assert server.get("/").status == 200
        for sock in socks:
            try:
                read_all(sock)
            except ConnectionResetError:
                pass
        assert server.get("/").status == 200
        wait_until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= before + 2, "they are closed")
        assert "Traceback" not in server.err


def test_renegotiation_is_refused(secure):
    """A client could have the server compute keys again and again (TLS 1.2)."""
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-tls1_2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        said = []
        reading = threading.Thread(target=lambda: said.extend(process.stdout))
        reading.start()
        wait_until(lambda: any("Extended master secret" in line for line in said), "the handshake is complete")
        process.stdin.write("R\n")
        process.stdin.flush()
        wait_until(lambda: any("renegotiation" in line.lower() and "error" in line for line in said), "it is refused")
        process.terminate()
        reading.join()
    assert secure.get("/").status == 200
