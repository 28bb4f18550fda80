"""server.responders.redirect: where clients that speak plain HTTP are sent."""

import pytest
from clients import answers
from connections import play

from snakepit.server.responders.redirect import HttpsRedirect


def answered(lines, port=443):
    """Return status, fields and body of the answer to a request."""
    found = []

    async def scenario(world):
        world.respond(HttpsRedirect(port))
        transport = world.connect()
        data = "\r\n".join([*lines, "", ""]).encode("latin-1")
        transport.send(data)
        await world.settle()
        found.extend(answers(transport.received, heads=(0,) if lines[0].startswith("HEAD") else ()))
        assert world.pool.apps == []

    play(scenario)
    return found[0]


@pytest.mark.parametrize(
    ("line", "host", "port", "location"),
    [
        ("GET /", "example.com", 443, "https://example.com/"),
        ("GET /a/b%20c?d=e&f", "example.com", 443, "https://example.com/a/b%20c?d=e&f"),
        ("GET /", "example.com:80", 443, "https://example.com/"),
        ("GET /", "example.com:8080", 8443, "https://example.com:8443/"),
        ("POST /form", "Example.COM", 443, "https://Example.COM/form"),
        ("GET //evil.example/x", "example.com", 443, "https://example.com//evil.example/x"),
        ("GET /", "[::1]", 443, "https://[::1]/"),
        ("GET /", "[::1]:80", 8443, "https://[::1]:8443/"),
        ("GET /", "127.0.0.1:80", 443, "https://127.0.0.1/"),
        ("GET http://other.example/a?b", "example.com", 443, "https://other.example/a?b"),
        ("GET http://other.example:81", "example.com", 8443, "https://other.example:8443/"),
        ("OPTIONS *", "example.com", 443, "https://example.com/"),
        ("DELETE /", "example.com:", 443, "https://example.com/"),
    ],
)
def test_the_same_place(line, host, port, location):
    status, fields, body = answered([f"{line} HTTP/1.1", f"Host: {host}"], port)
    assert (status, fields["location"]) == (308, location)
    assert body.decode() == f"Use {location}\n"
    assert fields["content-type"] == "text/plain; charset=utf-8"


def test_head():
    status, fields, body = answered(["HEAD /a HTTP/1.1", "Host: example.com"])
    assert (status, fields["location"], body) == (308, "https://example.com/a", b"")
    assert int(fields["content-length"]) > 20


def test_a_body_is_not_wanted():
    status, fields, _ = answered(["POST /a HTTP/1.1", "Host: example.com", "Content-Length: 5", "Expect: 100-continue"])
    assert (status, fields["location"]) == (308, "https://example.com/a")


@pytest.mark.parametrize(
    "lines",
    [
        ["GET / HTTP/1.0"],
        ["GET / HTTP/1.1", "Host:"],
        ["GET / HTTP/1.1", "Host: :80"],
        ["GET / HTTP/1.1", "Host: a b"],
        ["GET / HTTP/1.1", "Host: example.com/path"],
        ["GET / HTTP/1.1", "Host: user@example.com"],
        ["GET / HTTP/1.1", "Host: example.com?query"],
        ["GET / HTTP/1.1", "Host: example.com#fragment"],
        ["GET / HTTP/1.1", "Host: example.com\\path"],
        ["GET / HTTP/1.1", 'Host: example.com"'],
        ["GET / HTTP/1.1", "Host: b\xfccher.example"],
        ["GET http://user@example.com/ HTTP/1.1", "Host: example.com"],
    ],
)
def test_no_host_to_send_it_to(lines):
    status, fields, _ = answered(lines)
    assert status == 400
    assert "location" not in fields
