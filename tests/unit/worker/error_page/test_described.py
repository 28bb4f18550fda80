"""worker.error_page.described: a request in words, with secrets masked."""

import pytest
from wsgi_side import ENVIRON

from snakepit.wire import envelopes
from snakepit.worker.error_page.described import LONGEST, of_environ, of_scope
from snakepit.worker.error_page.values import MASK
from snakepit.worker.wsgi.environ import EnvironFactory

HEADERS = [(b"host", b"<i>"), (b"cookie", b"hunter2"), (b"x-api-key", b"hunter3"), (b"accept", b"text/html")]
TARGET = b"/a?token=hunter4&page=2"


def described_scope(headers, client):
    path, _, query = TARGET.partition(b"?")
    return of_scope(
        {
            "method": "PUT",
            "raw_path": path,
            "query_string": query,
            "http_version": "1.1",
            "client": client,
            "scheme": "https",
            "headers": headers,
        }
    )


def described_environ(headers, client):
    request = envelopes.request(1, "PUT", TARGET, "1.1", headers, client, None, "https", b"", False, False)
    return of_environ(EnvironFactory(**ENVIRON).make(request, None))


both = pytest.mark.parametrize("described", [described_scope, described_environ])


@both
def test_a_request(described):
    line, rows, accept = described(HEADERS, ("10.0.0.1", 5))
    assert line == f"PUT /a?token={MASK}&page=2 HTTP/1.1"
    assert rows == [
        ("client", "10.0.0.1, port 5"),
        ("scheme", "https"),
        ("host", "<i>"),
        ("cookie", MASK),
        ("x-api-key", MASK),
        ("accept", "text/html"),
    ]
    assert accept == b"text/html"


@both
def test_a_unix_socket_and_a_long_field(described):
    _, rows, accept = described([(b"x-long", b"x" * (LONGEST + 1))], None)
    assert rows[0] == ("client", "a Unix socket")
    assert rows[-1] == ("x-long", "x" * LONGEST + "…")
    assert accept == b""
