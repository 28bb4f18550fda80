"""snakepit.server.routing.routes: which app gets a request."""

from types import SimpleNamespace

import pytest
from sinks import FakeDestination

from snakepit.config.route import read
from snakepit.http.events import RequestHead
from snakepit.server.responders.refusal import Refusal
from snakepit.server.routing import routes as routes_module
from snakepit.server.routing.routes import Routes


def app(name, responders=()):
    destination = FakeDestination()
    destination.name = name
    return SimpleNamespace(destination=destination, responders=responders)


def head(target=b"/", host=b"a", headers=()):
    fields = [(b"accept", b"*/*"), *([] if host is None else [(b"host", host)]), *headers]
    return RequestHead("GET", target, "1.1", fields, False, body=b"", more=False)


def routes_of(*texts, strict_host=False, **patterns):
    routes = Routes(strict_host)
    for text in texts:
        route = read(text)
        if route.placeholders:
            routes.add_pattern(route, finding(text))
        else:
            routes.add(route, app(text))
    return routes


def finding(text, known=lambda captured: True):
    return lambda captured: app((text, *captured)) if known(captured) else None


def found(routes, *args, **fields):
    destination = routes.find(head(*args, **fields))
    return destination._status if isinstance(destination, Refusal) else destination.name


HOSTS = ["/", "example.com", "example.com:8000", "*.example.com", "*.example.com:8000", "api.example.com", "[::1]:80"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"example.com", "example.com"),
        (b"EXAMPLE.com.", "example.com"),
        (b"example.com:1", "example.com"),
        (b"example.com:8000", "example.com:8000"),
        (b"x.example.com", "*.example.com"),
        (b"x.example.com:8000", "*.example.com:8000"),
        (b"api.example.com", "api.example.com"),
        (b"api.example.com:8000", "api.example.com"),
        (b"x.y.example.com", "/"),
        (b"notexample.com", "/"),
        (b"[::1]:80", "[::1]:80"),
        (b"[::1]", "/"),
        (b"", "/"),
        (b":8000", "/"),
        (b".", "/"),
        (b"*.example.com", "*.example.com"),
        (b"\xff", "/"),
        (None, "/"),
    ],
)
def test_hosts(host, expected):
    routes = routes_of(*HOSTS)
    assert [found(routes, host=host) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", "/"),
        (b"", "/"),
        (b"*", "/"),
        (b"/api", "/api"),
        (b"/api/", "/api"),
        (b"/api?x=/api/v2", "/api"),
        (b"/api/v2", "/api/v2"),
        (b"/api/v2/x/y/z", "/api/v2"),
        (b"/api/v20", "/api"),
        (b"/apix", "/"),
        (b"//api", "/"),
        (b"/a%70i/v2", "/api/v2"),
        (b"/api%2fv2", "/api/v2"),
        (b"/api%3Fx", "/"),
        (b"/s%C3%BC%C3%9F", "/süß"),
        (b"http://a/api/v2", "/api/v2"),
        (b"/" * 60_000, "/"),
    ],
)
def test_paths(target, expected):
    assert found(routes_of("/", "/api", "/api/v2", "/süß"), target) == expected


def test_the_host_of_an_absolute_target_counts():
    routes = routes_of(*HOSTS)
    targets = {b"http://api.example.com": "api.example.com", b"http://x.example.com:8000?q": "*.example.com:8000"}
    assert {target: found(routes, target, b"example.com") for target in targets} == targets


def test_a_host_without_such_a_path_leaves_the_request_to_less_specific_ones():
    routes = routes_of("/", "*.example.com/b", "api.example.com/a")
    assert [found(routes, path, b"api.example.com") for path in (b"/a", b"/b", b"/c")] == [
        "api.example.com/a",
        "*.example.com/b",
        "/",
    ]


@pytest.mark.parametrize(("strict", "status"), [(False, 404), (True, 421)])
def test_no_route(strict, status):
    routes = routes_of("example.com/api", strict_host=strict)
    assert found(routes, b"/api", b"other") == status
    assert found(routes, b"/api", None) == status
    assert found(routes, b"/x", b"example.com") == 404


def test_placeholders():
    routes = routes_of("/", "/t/{a}", "/t/fixed", "/t/{a}/admin", "{h}.example.com", "{h}.example.com/x/{p}")
    assert found(routes, b"/t/acme/b") == ("/t/{a}", b"acme")
    assert found(routes, b"/t/fixed/b") == "/t/fixed"
    assert found(routes, b"/t/acme/admin/x") == ("/t/{a}/admin", b"acme")
    assert found(routes, b"/t/fixed/admin") == ("/t/{a}/admin", b"fixed")
    assert found(routes, b"/t") == "/"
    assert found(routes, b"/t/") == ("/t/{a}", b"")
    assert found(routes, b"/", b"Acme.example.com") == ("{h}.example.com", b"acme")
    assert found(routes, b"/x/y", b"acme.example.com:80") == ("{h}.example.com/x/{p}", b"acme", b"y")
    assert found(routes, b"/t/%2e%2e/x") == ("/t/{a}", b"..")


@pytest.mark.parametrize("order", [["/{a}/{b}", "/{a}/x"], ["/{a}/x", "/{a}/{b}"]])
def test_the_fewer_placeholders_the_more_specific(order):
    routes = routes_of(*order)
    assert found(routes, b"/1/x") == ("/{a}/x", b"1")
    assert found(routes, b"/1/y") == ("/{a}/{b}", b"1", b"y")


def test_a_tenant_that_does_not_exist_leaves_the_request_to_others():
    routes = Routes()
    routes.add(read("/"), app("rest"))
    routes.add_pattern(read("/{a}"), finding("/{a}", known=lambda captured: captured == [b"acme"]))
    assert [found(routes, path) for path in (b"/acme/x", b"/other/x")] == [("/{a}", b"acme"), "rest"]


def test_an_apps_responders_come_first():
    mine = FakeDestination()
    mine.name = "page"
    mine.takes = lambda head: head.target.endswith(b".js")
    routes = Routes()
    routes.add(read("/api"), app("api", [mine]))
    assert [found(routes, path) for path in (b"/api/x.js", b"/api/x", b"/x.js")] == ["page", "api", 404]


def test_any_number_of_hosts(monkeypatch):
    monkeypatch.setattr(routes_module, "KEPT_HOSTS", 3)
    routes = routes_of("/", "*.example.com")
    for number in range(10):
        assert found(routes, host=b"h%d.example.com" % number) == "*.example.com"
        assert len(routes._known) <= 3
