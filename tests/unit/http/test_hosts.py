"""snakepit.http.hosts: what routes may call the host of a request."""

import pytest

from snakepit.http.hosts import names_of_host


@pytest.mark.parametrize(
    ("host", "label", "names"),
    [
        (b"A.Example.com", b"a", (b"a.example.com", b"*.example.com", b"")),
        (b"a.example.com.", b"a", (b"a.example.com", b"*.example.com", b"")),
        (b"a.test:81", b"a", (b"a.test:81", b"a.test", b"*.test:81", b"*.test", b"")),
        (b"localhost", b"localhost", (b"localhost", b"")),
        (b"localhost:8000", b"localhost", (b"localhost:8000", b"localhost", b"")),
        (b"[::1]:80", b"[::1]", (b"[::1]:80", b"[::1]", b"")),
        (b"[::1]", b"[::1]", (b"[::1]", b"")),
        (b"", b"", (b"",)),
    ],
)
def test_names_of_host(host, label, names):
    assert names_of_host(host) == (label, names)
