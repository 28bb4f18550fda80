"""Proxy headers over the real server: their effects on both kinds of apps, on WebSockets and on the logs."""

import json
import socket

import pytest
from proxy_header_cases import CASES, LOCAL
from support import ONE_RUNTIME, PATIENCE, Answer, Client, Server, read_all, running
from websockets.sync.client import connect

pytestmark = ONE_RUNTIME

HERE = [case for case in CASES if case.trusted == LOCAL]
ALL = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "example.org",
    "X-Forwarded-Prefix": "/api",
}


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request):
    with running(f"proxied:{request.param}", workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def asgi():
    with running("proxied:asgi", workers=1) as server:
        yield server


def lines_of(headers):
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def ask(client, headers, path="/a"):
    """Return what the app was told about a request."""
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n".encode() + lines_of(headers) + b"\r\n")
    return json.loads(client.read().body)


def expected(case, server, client):
    """The same, as the case has it; `client`: the address of the socket."""
    told = {"client": client, "server": ("127.0.0.1", server.port), "scheme": "http", "root_path": ""}
    told |= {key: value for key, value in case.changes.items() if value is not None}
    if "X-Forwarded-Port" in dict(case.headers) and told["server"] == ("127.0.0.1", 8000):
        told["server"] = ("127.0.0.1", server.port)
    told = {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()}
    return told | {"path": f"{told['root_path']}/a"}


def test_all_cases(server):
    with Client(server) as client:
        own = client.sock.getsockname()
        for case in HERE:
            found = ask(client, case.headers)
            assert found.pop("raw_path", found["path"]) == found["path"]
            assert found == expected(case, server, own), case.name


def test_all_cases_with_websockets(asgi):
    for case in HERE:
        with socket.create_connection(("127.0.0.1", asgi.port), PATIENCE) as sock:
            url = f"ws://127.0.0.1:{asgi.port}/a"
            own = sock.getsockname()
            headers = [(name, value) for name, value in case.headers if value.isascii()]
            if headers != case.headers:
                continue  # which this client can't send
            with connect(url, sock=sock, additional_headers=headers, proxy=None) as client:
                found = json.loads(client.recv(PATIENCE))
        found.pop("raw_path")
        wanted = expected(case, asgi, own)
        wanted["scheme"] = wanted["scheme"].replace("http", "ws")
        assert found == wanted, case.name


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (("--no-proxy-headers",), {}),
        (("--forwarded-allow-ips", "10.0.0.1"), {}),
        ((), {"FORWARDED_ALLOW_IPS": "10.0.0.0/8,unix:"}),
        (("--trusted-proxy-headers", "forwarded"), {}),
    ],
)
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_nothing_changes_anything(app, options, env):
    with running(f"proxied:{app}", *options, workers=1, env=env) as server:
        with Client(server) as client:
            own = list(client.sock.getsockname())
            for _ in range(2):
                found = ask(client, ALL.items())
                assert (found["client"], found["scheme"], found["root_path"]) == (own, "http", "")
                assert found["server"] == ["127.0.0.1", server.port]
        server.wait_logged(f'{own[0]}:{own[1]} - "GET /a HTTP/1.1" 200', 2)
        assert "203.0.113.9" not in server.out + server.err


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_proxy_on_a_unix_socket(app, tmp_path):
    path = tmp_path / "s.sock"
    with running(f"proxied:{app}", "--uds", str(path), workers=1), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" + lines_of(ALL.items()) + b"\r\n")
        found = json.loads(Answer(read_all(sock)).body)
        found.pop("raw_path", None)
        assert found == {
            "client": ["203.0.113.9", 0],
            "server": ["example.org", 443],
            "scheme": "https",
            "root_path": "/api",
            "path": "/api/a",
        }


def test_the_option_gives_way_to_the_proxys_prefix():
    with running("proxied:asgi", "--root-path", "/option", workers=1) as server, Client(server) as client:
        for headers, path in (([], "/option"), ([("X-Forwarded-Prefix", "/api")], "/api"), ([], "/option")):
            assert ask(client, headers)["path"] == f"{path}/a"


def test_the_logs_say_who_it_was(asgi):
    with Client(asgi) as client:
        ask(client, ALL.items(), "/logged")
        client.send(b"GET /raise HTTP/1.1\r\nHost: t\r\n" + lines_of(ALL.items()) + b"\r\n")
        assert client.read().status == 500
    asgi.wait_logged('203.0.113.9:0 - "GET /logged HTTP/1.1" 200')
    asgi.wait_logged("GET /raise from 203.0.113.9:0 failed in")


# -- frameworks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["flask_app:app", "starlette_app:app", "django_app:application", "django_app:asgi"])
def test_frameworks_make_urls_of_it(app):
    with running(f"frameworks.{app}", workers=1) as server, Client(server) as client:
        headers = {**ALL, "X-Forwarded-Port": "443"}
        client.send(b"GET /where HTTP/1.1\r\nHost: example.org\r\n" + lines_of(headers.items()) + b"\r\n")
        answer = client.read()
        assert (answer.status, answer.text) == (200, "203.0.113.9 https://example.org/api/where")


@pytest.mark.parametrize("listed", ["nginx", "10.0.0.1/8"])
def test_a_list_that_can_not_be(listed):
    server = Server("proxied:asgi", "--port", "0", env={"FORWARDED_ALLOW_IPS": listed})
    assert server.wait_ended() == 2
    assert "forwarded_allow_ips" in server.err
    assert listed in server.err
