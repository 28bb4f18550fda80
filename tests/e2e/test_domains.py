"""`snakepit run --domain`: from nothing to a certificate that clients accept, and to the next one, with Pebble."""

import contextlib
import json
import socket
import ssl
import threading

import pytest
from acme_stage import StandIn
from pebble import free_ports, running_pebble
from support import ONE_RUNTIME, Answer, Server, read_all
from waiting import PATIENCE

pytestmark = ONE_RUNTIME

NAMES = "one.test", "two.test"


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    with running_pebble(tmp_path_factory.mktemp("pebble"), nonce_reject=25) as found:
        yield found


@contextlib.contextmanager
def running(*arguments, workers=2):
    server = Server(*arguments, "--interpreters", str(workers))
    try:
        yield server.wait_listening(workers)
    finally:
        server.kill()


def connect(port, name, root):
    context = ssl.create_default_context(cadata=root)
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return context.wrap_socket(sock, server_hostname=name)


def get(port, name, root, path="/"):
    with connect(port, name, root) as secured:
        secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return Answer(read_all(secured), False)


def get_plain(port, name, path):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return Answer(read_all(sock), False)


def options(pebble, folder, *more, directory=None, names=NAMES):
    return (
        *("behaviors:app", "--host", "127.0.0.1", "--domain", ",".join(names)),
        *("--acme-directory", directory or pebble.directory, "--acme-ca-certs", str(pebble.trust)),
        *("--acme-folder", str(folder), "--acme-email", "ops@example.com"),
        *more,
    )


def on_both(pebble):
    return "--port", str(pebble.tls_port), "--redirect-http", str(pebble.http_port)


def serial(port, name, root):
    with connect(port, name, root) as secured:
        return secured.getpeercert()["serialNumber"]


def test_from_nothing_to_a_certificate(pebble, tmp_path):
    root = pebble.roots()
    with running(*options(pebble, tmp_path / "acme", *on_both(pebble))) as server:
        for name in NAMES:
            assert get(pebble.tls_port, name, root).status == 200
        redirect = get_plain(pebble.http_port, NAMES[0], "/x?y")
        assert redirect.status == 308
        assert redirect.headers["location"] == f"https://{NAMES[0]}:{pebble.tls_port}/x?y"
        assert get_plain(pebble.http_port, NAMES[0], "/.well-known/acme-challenge/none").status == 404
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            connect(pebble.tls_port, "three.test", root)
        found = json.loads(server.command("certificates", "--json").stdout)
        assert [(one["name"], one["state"], one["fault"]) for one in found] == [
            (name, "served", None) for name in NAMES
        ]
        assert "Pebble Intermediate" in server.command("certificates").stdout
    assert "PRIVATE" not in server.err + server.out
    # another process finds it in the store, and asks no CA
    before = {path: path.read_bytes() for path in (tmp_path / "acme" / "certificates").glob("*.pem")}
    assert len(before) == 2
    with running(*options(pebble, tmp_path / "acme", *on_both(pebble))) as server:
        assert get(pebble.tls_port, NAMES[0], root).status == 200
    assert {path: path.read_bytes() for path in before} == before
    listed = server.command("certificates", "--acme-folder", str(tmp_path / "acme"), "--json")
    assert [one["state"] for one in json.loads(listed.stdout)] == ["stored", "stored"]


def test_with_the_port_for_tls_alone(pebble, tmp_path):
    root = pebble.roots()
    with running(*options(pebble, tmp_path / "acme", "--port", str(pebble.tls_port), names=NAMES[:1])):
        assert get(pebble.tls_port, NAMES[0], root).status == 200
    details = json.loads(next((tmp_path / "acme" / "certificates").glob("*.json")).read_text())
    assert details["challenge"] == "tls-alpn-01"


def test_a_renewal_disturbs_nobody(pebble, tmp_path):
    root = pebble.roots()
    done = threading.Event()
    counts, failures = [], []

    def keep_asking(new_connections):
        count = 0
        try:
            while not done.is_set():
                with connect(pebble.tls_port, NAMES[0], root) as secured, secured.makefile("rb") as file:
                    for _ in range(1 if new_connections else 1000):
                        secured.sendall(f"GET / HTTP/1.1\r\nHost: {NAMES[0]}\r\n\r\n".encode())
                        assert file.readline().startswith(b"HTTP/1.1 200")
                        length = 0
                        while (line := file.readline()) != b"\r\n":
                            if line.lower().startswith(b"content-length:"):
                                length = int(line.split(b":")[1])
                        assert len(file.read(length)) == length
                        count += 1
                        if done.is_set():
                            break
        except BaseException as error:
            failures.append(error)
        counts.append(count)

    with running(*options(pebble, tmp_path / "acme", *on_both(pebble), "--no-access-log", names=NAMES[:1])) as server:
        first = serial(pebble.tls_port, NAMES[0], root)
        old = connect(pebble.tls_port, NAMES[0], root)
        threads = [threading.Thread(target=keep_asking, args=(new,)) for new in (False, True)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            renewed = server.command("certificates", "renew", NAMES[0])
            assert renewed.returncode == 0, renewed.stderr
            assert renewed.stdout.startswith(f"{NAMES[0]}: renewed, until ")
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert min(counts) > 0
        assert serial(pebble.tls_port, NAMES[0], root) != first
        with old:  # a connection from before
            old.sendall(f"GET / HTTP/1.1\r\nHost: {NAMES[0]}\r\nConnection: close\r\n\r\n".encode())
            assert Answer(read_all(old), False).status == 200
        refused = server.command("certificates", "renew", "three.test")
        assert refused.returncode == 1
        assert "obtains no certificate for three.test, but for one.test" in refused.stderr


def test_the_ca_says_renew_and_the_server_does(pebble, tmp_path):
    root = pebble.roots()
    with StandIn(pebble).running(pebble.trust.with_suffix(".key")) as stand_in:
        stand_in.window = "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"  # at once: a certificate that is revoked soon
        given = options(pebble, tmp_path / "acme", *on_both(pebble), directory=stand_in.directory, names=NAMES[:1])
        with running(*given) as server:
            assert get(pebble.tls_port, NAMES[0], root).status == 200
            server.wait_logged("is to be renewed at once: is the clock of this machine right?")
            stand_in.window = "2300-01-01T00:00:00Z", "2300-01-02T00:00:00Z"
            before = serial(pebble.tls_port, NAMES[0], root)
            assert server.command("certificates", "renew").returncode == 0
            assert serial(pebble.tls_port, NAMES[0], root) != before
            found = json.loads(server.command("certificates", "--json").stdout)[0]
            assert found["fault"] is None
    assert stand_in.replaced[0] is None
    assert stand_in.replaced[1] in stand_in.asked


def test_localhost(tmp_path):
    (port,) = free_ports(1)
    given = ("behaviors:app", "--port", str(port), "--domain", "localhost", "--acme-folder", str(tmp_path / "acme"))
    with running(*given) as server:
        server.wait_logged("A local CA was made. To trust it: ")
        server.wait_logged("Certificate for localhost was obtained")
        root = (tmp_path / "acme" / "local-ca" / "root.crt").read_text()
        assert get(port, "localhost", root).status == 200
        trust = server.command("certificates", "trust", "--acme-folder", str(tmp_path / "acme"))
        assert str(tmp_path / "acme" / "local-ca" / "root.crt") in trust.stdout
    assert "CERTIFICATE" not in server.err


def test_a_ca_that_does_not_answer_ends_nothing(tmp_path):
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        directory = f"https://127.0.0.1:{silent.getsockname()[1]}/dir"
        given = ("--port", str(port), "--domain", "one.test,localhost", "--acme-directory", directory)
        with running("behaviors:app", "--host", "127.0.0.1", *given, "--acme-folder", str(tmp_path / "acme")) as server:
            accepted, _ = silent.accept()
            with accepted:
                server.wait_logged("Certificate for localhost was obtained")
                root = (tmp_path / "acme" / "local-ca" / "root.crt").read_text()
                assert get(port, "localhost", root).status == 200
                assert server.stop() == 0
    assert "Traceback" not in server.err


def test_tenants(pebble, tmp_path):
    root = pebble.roots()
    for name in ("shop", "blog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tenant_app.py").write_text(
            f"def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{name}']\n"
        )
    config = tmp_path / "snakepit.toml"
    config.write_text(
        f'[[apps]]\nhost = "one.test"\napp = "tenant_app:app"\napp_dir = "{tmp_path}/shop"\n'
        f'[[apps]]\nhost = "{{tenant}}.one.test"\napp = "tenant_app:app"\napp_dir = "{tmp_path}/{{tenant}}"\n'
    )
    given = options(pebble, tmp_path / "acme", *on_both(pebble), names=NAMES[:1])[1:]
    with running(*given, "--config", str(config), workers=1):
        assert get(pebble.tls_port, "blog.one.test", root).body == b"blog"
        assert get(pebble.tls_port, "shop.one.test", root).body == b"shop"
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            connect(pebble.tls_port, "gone.one.test", root)


def test_a_new_process_takes_over(pebble, tmp_path):
    root = pebble.roots()
    with running(*options(pebble, tmp_path / "acme", *on_both(pebble), names=NAMES[:1])) as server:
        before = serial(pebble.tls_port, NAMES[0], root)
        upgraded = server.command("upgrade")
        assert upgraded.returncode == 0, upgraded.stderr + server.err
        assert serial(pebble.tls_port, NAMES[0], root) == before
        renewed = server.command("certificates", "renew")
        assert renewed.returncode == 0, renewed.stderr + server.err
        assert serial(pebble.tls_port, NAMES[0], root) != before


def test_two_servers_on_one_port(pebble, tmp_path):
    """Each gets some of what the CA asks the other."""
    root = pebble.roots()
    given = (*options(pebble, tmp_path / "acme", *on_both(pebble), names=NAMES[:1]), "--reuse-port")
    with running(*given) as one, running(*given) as other:
        before = {serial(pebble.tls_port, NAMES[0], root) for _ in range(20)}
        assert len(before) == 1
        for attempt in range(20):  # the system divides connections at random
            server = (one, other)[attempt % 2]
            renewed = server.command("certificates", "renew")
            assert renewed.returncode == 0, renewed.stderr + server.err
            if all("/.well-known/acme-challenge/" in each.out for each in (one, other)):
                break
        else:
            raise AssertionError("one of them gets no requests from the CA")
    assert (one.err + other.err).count("was obtained") == 1
    assert " 404" not in one.out + other.out


def test_an_app_that_has_cryptography_itself(tmp_path):
    (port,) = free_ports(1)
    (tmp_path / "own_app.py").write_text(
        "from cryptography.fernet import Fernet\n\n\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    fernet = Fernet(Fernet.generate_key())\n"
        "    return [fernet.decrypt(fernet.encrypt(b'secret'))]\n"
    )
    given = ("own_app:app", "--app-dir", str(tmp_path), "--port", str(port), "--domain", "localhost")
    with running(*given, "--acme-folder", str(tmp_path / "acme")) as server:
        server.wait_logged("Certificate for localhost was obtained")
        root = (tmp_path / "acme" / "local-ca" / "root.crt").read_text()
        for _ in range(4):
            assert get(port, "localhost", root).body == b"secret"
        assert server.command("certificates", "renew").returncode == 0
        assert get(port, "localhost", root).body == b"secret"
