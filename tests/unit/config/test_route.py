"""snakepit.config.route: what a route may be."""

import pytest

from snakepit.config.route import Route, read, read_host, read_path
from snakepit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("*.example.com", "*.example.com"),
        ("example.com:8000", "example.com:8000"),
        ("example.com:080", "example.com:80"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]:80"),
        ("{tenant}.example.com", "{tenant}.example.com"),
        ("{tenant}.example.com:8000", "{tenant}.example.com:8000"),
        ("my_host", "my_host"),
    ],
)
def test_hosts(text, host):
    assert read_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "*", "{tenant}", "a..b", "a.*.b", "a.{tenant}.b", "-a", "a-", "a b", "a/b", "a:0", "a:65536", "a:x"),
        *("::1", "[::1", "x{tenant}.a", "{Tenant.a", f"{'a' * 64}.b", ".".join(["a" * 63] * 5), "a:", "a?b", "a@b"),
    ],
)
def test_no_hosts(text):
    with pytest.raises(ConfigError, match=r"host must be like example\.com, .*, not "):
        read_host(text)


def test_a_host_is_written_as_browsers_send_it():
    with pytest.raises(ConfigError, match=r"host 'Bücher\.example' must be as .* send it: xn--bcher-kva\.example"):
        read_host("Bücher.example")
    with pytest.raises(ConfigError, match="as browsers send it, in letters of ASCII"):
        read_host(f"{'ü' * 64}.example")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", ""),
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/a/b", "/a/b"),
        ("/{tenant}/x", "/{tenant}/x"),
        ("/süß", "/süß"),
    ],
)
def test_paths(text, path):
    assert read_path(text) == path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("api", "path must start with a slash, not be 'api'"),
        ("/a%20b", "path must be without escapes, not '/a%20b': write the letters that they mean"),
        ("/a//b", "not '/a//b': '' can't stand there"),
        ("//evil", "'' can't stand there"),
        ("/../x", r"'\.\.' can't stand there"),
        ("/./x", r"'\.' can't stand there"),
        ("/a b", "'a b' can't stand there"),
        ("/a?b", "can't stand there"),
        ("/a#b", "can't stand there"),
        ("/a\\b", "can't stand there"),
        ("/x{tenant}", "can't stand there"),
        ("/{Tenant}", "can't stand there"),
        ("/a\0", "can't stand there"),
    ],
)
def test_no_paths(text, why):
    with pytest.raises(ConfigError, match=why):
        read_path(text)


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("/api", Route(path="/api")),
        ("/", Route()),
        ("example.com", Route("example.com")),
        ("example.com/api/", Route("example.com", "/api")),
        ("[::1]:80/x", Route("[::1]:80", "/x")),
    ],
)
def test_both(text, route):
    assert read(text) == route


def test_a_placeholder_stands_once():
    with pytest.raises(ConfigError, match=r"\{a\} stands twice in \{a\}\.example\.com/\{a\}"):
        read("{a}.example.com/{a}")


def test_shape_and_values():
    route = read("{a}.example.com/x/{b}")
    assert route.placeholders == ["a", "b"]
    assert route.shape == read("*.example.com/x/{c}").shape
    assert route.filled({"a": "1", "b": "2"}) == Route("1.example.com", "/x/2")
    assert str(Route()) == "/"


@pytest.mark.parametrize(
    ("one", "other", "ties"),
    [
        ("/{a}/x", "/y/{b}", True),  # both are for /y/x
        ("{t}.a/{a}/x", "*.a/y/{b}", True),
        ("/{a}", "/{b}", True),
        ("/{a}/x", "/{b}/{c}", False),  # the first is the more specific
        ("/{a}/x", "/{b}/y", False),
        ("/{a}/x", "/y", False),
        ("h/{a}/x", "/y/{b}", False),
    ],
)
def test_ties(one, other, ties):
    assert read(one).ties_with(read(other)) is ties
    assert read(other).ties_with(read(one)) is ties
