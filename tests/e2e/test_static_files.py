"""Static files, as a client sees them, over the real server."""

import gzip
import os
import sys
from pathlib import Path

import pytest
from support import APPS, ONE_RUNTIME, Client, Server, read_all, running
from waiting import PATIENCE, wait_until

pytestmark = ONE_RUNTIME

PAGE = b"<!DOCTYPE html><p>page"
SCRIPT = b"console.log('a script');\n" * 400
BIG = bytes(range(256)) * 4096 * 5
"""5 MiB."""

NAVIGATION = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder to serve: `public` in it, and beside that what nobody may get."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret.txt").write_text("secret")
    public = folder / "public"
    for name, content in {
        "index.html": PAGE,
        "docs/index.html": PAGE,
        "app.js": SCRIPT,
        "app.js.gz": gzip.compress(SCRIPT),
        "big.bin": BIG,
        ".env": b"secret",
        ".git/config": b"secret",
        "ä b.txt": b"umlaut",
    }.items():
        path = public / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if os.name != "nt":
        (public / "link.txt").symlink_to(folder / "secret.txt")
        (public / "up").symlink_to(folder)
    return folder


@pytest.fixture(scope="module", params=["behind_files:asgi", "behind_files:wsgi"])
def server(request, parts, site):
    public = str(site / "public")
    routes = ("--static-path", public, "--static-route", "/static", "--static-path", public, "--static-route", "/")
    with running(request.param, *parts, *routes, workers=1) as server:
        yield server


def test_files(server):
    answer = server.get("/static/app.js")
    assert (answer.status, answer.body) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert server.get("/static/big.bin").body == BIG
    assert server.get("/static/%C3%A4%20b.txt").body == b"umlaut"
    assert server.get("/app.js?x=y").body == SCRIPT


def test_what_there_is_not_is_the_apps(server):
    with Client(server) as client:
        for _ in range(3):
            assert client.request("/echo", "POST", b"body").body == b"body"
            assert client.request("/static/app.js").body == SCRIPT
            assert client.request("/static/nowhere.js").status == 404
        assert client.request("/echo", "POST", b"x" * 300_000).body == b"x" * 300_000


def test_many_requests_on_one_connection_keep_their_order(server):
    paths = ["/static/app.js", "/echo", "/static/big.bin", "/static/nowhere", "/docs/", "/static/app.js"]
    with Client(server) as client:
        client.send("".join(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n" for path in paths).encode())
        bodies = [client.read().body for _ in paths]
    assert [bodies[at] for at in (0, 2, 4, 5)] == [SCRIPT, BIG, PAGE, SCRIPT]


def test_head(server):
    for path, content in (("/static/app.js", SCRIPT), ("/static/big.bin", BIG)):
        with Client(server) as client:
            for _ in range(2):
                answer = client.request(path, "HEAD")
                assert (answer.status, answer.headers["content-length"]) == (200, str(len(content)))
            assert client.request("/static/app.js").body == SCRIPT


def test_conditions(server):
    for path in ("/static/app.js", "/static/big.bin"):
        answer = server.get(path, method="HEAD")
        tag, date = answer.headers["etag"], answer.headers["last-modified"]
        unchanged = server.get(path, f"If-None-Match: {tag}")
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)
        assert server.get(path, f"If-Modified-Since: {date}").status == 304
        assert server.get(path, 'If-None-Match: "x"', f"If-Modified-Since: {date}").status == 200
        assert server.get(path, 'If-Match: "x"').status == 412
        with Client(server) as client:  # an answer without a body leaves the connection as it should
            for _ in range(2):
                client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\nIf-None-Match: {tag}\r\n\r\n".encode())
                assert client.read().status == 304


@pytest.mark.parametrize(("path", "content"), [("/static/app.js", SCRIPT), ("/static/big.bin", BIG)])
def test_ranges(server, path, content):
    size = len(content)
    part = server.get(path, "Range: bytes=100-299")
    assert (part.status, part.body) == (206, content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{size}"
    assert server.get(path, "Range: bytes=-7").body == content[-7:]
    assert server.get(path, "Range: bytes=1000-").body == content[1000:]
    beyond = server.get(path, f"Range: bytes={size}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    several = server.get(path, "Range: bytes=0-9, 500-509")
    assert several.status == 206
    boundary = several.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
    sections = several.body.split(b"\r\n--" + boundary.encode())
    assert [section.partition(b"\r\n\r\n")[2] for section in sections[:2]] == [content[:10], content[500:510]]
    assert sections[2:] == [b"--\r\n"]


def test_files_that_were_compressed_beforehand(server):
    answer = server.get("/static/app.js", "Accept-Encoding: gzip, deflate, br, zstd")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert gzip.decompress(answer.body) == SCRIPT
    plain = server.get("/static/app.js", "Accept-Encoding: gzip;q=0")
    assert (plain.body, plain.headers["vary"]) == (SCRIPT, "accept-encoding")
    assert plain.headers["etag"] != answer.headers["etag"]


def test_folders(server):
    answer = server.get("/docs?a=b")
    assert (answer.status, answer.headers["location"]) == (308, "./docs/?a=b")
    assert server.get("/docs/").body == server.get("/static/").body == PAGE
    assert server.get("/static").headers["location"] == "./static/"


def test_other_methods(server):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = server.get("/static/app.js", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


ATTACKS = (
    *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt", "..%5csecret.txt"),
    *("..\\secret.txt", "%252e%252e%252fsecret.txt", "..%c0%afsecret.txt", "docs/../../secret.txt"),
    *("docs/%2e%2e/%2e%2e/secret.txt", "./../secret.txt", "//secret.txt", "/etc/passwd", "%2fetc%2fpasswd"),
    *("link.txt", "up/secret.txt", "up/public/app.js", ".env", ".git/config", "%2eenv", "%E2%80%8C.env"),
    *("app.js.", "app.js%20", "app.js%00", "app.js%00.txt", "app.js::$DATA", "app.js%3a%3a$DATA", "CON", "NUL"),
    *("COM1.txt", "con.js", "c:/secret.txt", "file:///etc/passwd", "\\\\server\\share", "....//secret.txt"),
    *("..;/secret.txt", "app.js%", "app.js%zz", "%ff", "docs//index.html", "docs/./index.html"),
)


@pytest.mark.parametrize("prefix", ["/static/", "/"])
def test_attacks_get_what_the_app_has_to_say(server, prefix):
    with Client(server) as client:
        for path in ATTACKS:
            for method in ("GET", "HEAD", "POST"):
                answer = client.request(prefix + path, method)
                assert (answer.status, method == "HEAD" or answer.body == b"nothing here") == (404, True), path
                assert "x-app" in answer.headers, path


@pytest.mark.parametrize("target", ["//evil.example/%2e%2e", "//docs", "/%2Fdocs", "/\\docs", "//evil.example/docs"])
def test_no_redirect_leads_elsewhere(server, target):
    assert "location" not in server.get(target).headers


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors on Linux")
def test_clients_that_leave_free_their_files(server, site):
    def files():
        return [number for number in Path(f"/proc/{server.pid}/fd").iterdir() if target(number).endswith("endless.bin")]

    def target(number):
        try:
            return os.readlink(number)
        except OSError:
            return ""

    path = site / "public" / "endless.bin"
    with open(path, "wb") as file:
        file.truncate(2**30)
    clients = []
    for _ in range(5):
        sock = server.connect()
        sock.sendall(b"GET /static/endless.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        clients.append(sock)
    for sock in clients:
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert files(), "they may share one"
    for sock in clients:
        sock.close()
    wait_until(lambda: not files(), "no file is open any more")
    path.unlink()
    assert server.get("/static/app.js").body == SCRIPT


def test_a_file_that_shrinks_ends_the_connection(server, site):
    path = site / "public" / "shrinks.bin"
    path.write_bytes(bytes(50 * 2**20))
    try:
        with server.connect() as sock:
            sock.sendall(b"GET /static/shrinks.bin HTTP/1.1\r\nHost: t\r\n\r\n")
            sock.recv(1000)
            os.truncate(path, 2**20)
            sock.settimeout(PATIENCE)
            try:
                rest = read_all(sock)
            except ConnectionResetError:
                rest = b""
        assert len(rest) < 50 * 2**20
    finally:
        path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory on Linux")
def test_a_large_download_takes_no_memory(server, site):
    path = site / "public" / "large.bin"
    with open(path, "wb") as file:
        file.truncate(2**30)
    try:
        server.get("/static/big.bin")
        before = server.rss()
        received, most = 0, 0
        with server.connect() as sock:
            sock.sendall(b"GET /static/large.bin HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            buffer, marks = bytearray(2**20), 0
            while count := sock.recv_into(buffer):
                received += count
                if received >> 26 > marks:
                    marks = received >> 26
                    most = max(most, server.rss())
        assert received > 2**30
        assert most - before < 32 * 2**20
    finally:
        path.unlink()


@pytest.mark.parametrize("app", ["behind_files:asgi", "behind_files:wsgi"])
def test_tables_of_a_file(parts, site, tmp_path, app):
    (tmp_path / "snakepit.toml").write_text(
        f"""app = "{app}"
app-dir = '{APPS}'
[[static]]
route = "/"
dir = '{site / "public"}'
fallback = "index.html"
cache-control = "no-cache"
[[static]]
route = "/files"
dir = '{site / "public"}'
listing = true
index = ""
precompressed = false
[[static]]
route = "/linked"
dir = '{site / "public"}'
symlinks = true
"""
    )
    with running(*parts, workers=1, cwd=tmp_path) as server:
        assert server.get("/deep/link", NAVIGATION).body == PAGE
        assert server.get("/deep/link").status == 404
        assert server.get("/app.js").headers["cache-control"] == "no-cache"
        listed = server.get("/files/")
        assert b'<a href="./%C3%A4%20b.txt">' in listed.body
        assert b".env" not in listed.body
        assert "vary" not in server.get("/files/app.js").headers
        if os.name != "nt":
            assert server.get("/linked/link.txt").body == b"secret"
        assert server.stop() == 0


def test_a_folder_that_is_not_there(tmp_path):
    server = Server("behind_files:asgi", "--port", "0", "--static-path", str(tmp_path / "nowhere"))
    assert server.wait_ended() == 2
    assert server.err == f"Error: static_path: the folder {tmp_path / 'nowhere'} does not exist\n"


def test_files_before_several_apps(parts, site, tmp_path):
    (tmp_path / "snakepit.toml").write_text(
        f"""[[static]]
route = "/api/static"
dir = '{site / "public"}'
[[apps]]
app = "behind_files:asgi"
app-dir = '{APPS}'
path = "/api"
[[apps]]
app = "behind_files:wsgi"
app-dir = '{APPS}'
"""
    )
    with running(*parts, workers=1, cwd=tmp_path) as server:
        assert server.get("/api/static/app.js").body == SCRIPT
        assert server.get("/api/static/nowhere").headers["x-app"] == "asgi"
        assert server.get("/static/app.js").headers["x-app"] == "wsgi"
