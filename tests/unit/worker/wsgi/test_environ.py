"""snakepit.worker.wsgi.environ: what PEP 3333 asks for, and nothing that a client could forge."""

import io
from wsgiref.util import FileWrapper
from wsgiref.validate import check_environ

import pytest

from snakepit.wire import envelopes
from snakepit.worker.wsgi.environ import EnvironFactory


def factory(root_path="", multithread=True, multiprocess=False, mount=""):
    return EnvironFactory(
        root_path=root_path,
        mount=mount,
        multithread=multithread,
        multiprocess=multiprocess,
        file_wrapper=FileWrapper,
        errors=io.StringIO(),
    )


def request(
    method="GET",
    target=b"/",
    version="1.1",
    headers=((b"host", b"a"),),
    client=("10.0.0.1", 5000),
    server=("127.0.0.1", 8000),
    scheme="http",
    said=None,
):
    return envelopes.request(1, method, target, version, list(headers), client, server, scheme, b"", False, False, said)


def make(*, root_path="", mount="", **fields):
    return factory(root_path, mount=mount).make(request(**fields), io.BytesIO())


def test_everything_that_pep_3333_asks_for():
    stream = io.BytesIO(b"x")
    environ = factory().make(
        request(
            "POST",
            b"/a%20b?c=d%26",
            headers=[(b"host", b"a"), (b"content-type", b"text/plain"), (b"content-length", b"1"), (b"x-one", b"1")],
        ),
        stream,
    )
    assert type(environ) is dict
    check_environ(environ)
    errors, wrapper = environ.pop("wsgi.errors"), environ.pop("wsgi.file_wrapper")
    assert isinstance(errors, io.StringIO)
    assert wrapper is FileWrapper
    assert environ.pop("wsgi.input") is stream
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=d%26",
        "RAW_URI": "/a%20b?c=d%26",
        "REQUEST_URI": "/a%20b?c=d%26",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "5000",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "1",
        "HTTP_HOST": "a",
        "HTTP_X_ONE": "1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


@pytest.mark.parametrize("multithread", [True, False])
@pytest.mark.parametrize("multiprocess", [True, False])
def test_concurrency(multithread, multiprocess):
    environ = factory(multithread=multithread, multiprocess=multiprocess).make(request(), io.BytesIO())
    assert environ["wsgi.multithread"] is multithread
    assert environ["wsgi.multiprocess"] is multiprocess


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/%C3%BC", "\xc3\xbc", ""),
        (b"/a%2Fb", "a/b", ""),
        (b"/%FF", "\xff", ""),
        (b"/100%", "100%", ""),
        (b"/a+b?c+d", "a+b", "c+d"),
        (b"http://elsewhere/b?c", "b", "c"),
    ],
)
def test_path(target, path, query):
    environ = make(target=target)
    assert environ["PATH_INFO"] == "/" + path.removeprefix("/")
    assert environ["QUERY_STRING"] == query
    assert environ["REQUEST_URI"] == target.decode("latin-1")


@pytest.mark.parametrize(("said", "name"), [(None, "/option"), ("/proxy", "/proxy"), ("", "")])
def test_root_path_that_a_proxy_tells(said, name):
    environ = make(root_path="/option", target=b"/a", said=said)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (name, "/a")


def test_root_path():
    environ = make(root_path="/ünder", target=b"/a")
    assert environ["SCRIPT_NAME"].encode("latin-1").decode("utf-8") == "/ünder"
    assert environ["PATH_INFO"] == "/a"


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
def test_unix_socket(scheme, port):
    environ = make(client=None, server=None, scheme=scheme)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", port)
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ
    check_environ(environ)


def test_scheme_and_version():
    environ = make(scheme="https", version="1.0")
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_repeated_headers_are_joined():
    environ = make(headers=[(b"x-a", b"1"), (b"cookie", b"c=1"), (b"x-a", b"2"), (b"cookie", b"d=2")])
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "c=1; d=2"


def test_header_values_are_latin_1():
    assert make(headers=[(b"x-a", b"\xc3\xbc")])["HTTP_X_A"].encode("latin-1") == b"\xc3\xbc"


@pytest.mark.parametrize("name", [b"x_a", b"content_length", b"content_type", b"remote_user", b"_"])
def test_underscore_in_a_name_cannot_pass_for_a_hyphen(name):
    environ = make(headers=[(name, b"forged")])
    assert "forged" not in environ.values()


def test_underscore_does_not_add_to_the_true_header():
    environ = make(headers=[(b"x-user", b"true"), (b"x_user", b"forged")])
    assert environ["HTTP_X_USER"] == "true"


def test_proxy_is_left_out():
    # CVE-2016-5385
    assert "HTTP_PROXY" not in make(headers=[(b"proxy", b"http://evil")])


@pytest.mark.parametrize("name", [b"content-type", b"content-length"])
def test_no_http_content_headers(name):
    environ = make(headers=[(name, b"1")])
    assert "HTTP_" + name.decode().upper().replace("-", "_") not in environ


def test_environs_share_nothing():
    maker = factory()
    first = maker.make(request(headers=[(b"x-a", b"1")]), io.BytesIO())
    first["PATH_INFO"] = first["wsgi.run_once"] = "spoiled"
    second = maker.make(request(), io.BytesIO())
    assert second["PATH_INFO"] == "/"
    assert second["wsgi.run_once"] is False
    assert "HTTP_X_A" not in second


def test_any_number_of_different_names():
    maker = factory()
    for number in range(3000):
        environ = maker.make(request(headers=[(b"x-%d" % number, b"1"), (b"x_%d" % number, b"2")]), io.BytesIO())
        assert environ[f"HTTP_X_{number}"] == "1"
    assert maker.make(request(headers=[(b"x-7", b"1"), (b"x-2999", b"2")]), io.BytesIO())["HTTP_X_2999"] == "2"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/shop", ""),
        (b"/shop/", "/"),
        (b"/shop/a%20b?c", "/a b"),
        (b"/sh%6Fp/a", "/a"),
        (b"http://a/shop/a", "/a"),
    ],
)
def test_a_mount_is_taken_from_the_path(target, path):
    environ = make(mount="/shop", target=target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", path)


@pytest.mark.parametrize(
    ("said", "script_name"), [(None, "/option/s\xc3\xbc\xc3\x9f"), ("/proxy", "/proxy/s\xc3\xbc\xc3\x9f")]
)
def test_a_mount_stands_below_the_path_of_the_proxy(said, script_name):
    environ = make(mount="/süß", root_path="/option", target=b"/s%C3%BC%C3%9F/a", said=said)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, "/a")
