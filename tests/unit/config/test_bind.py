"""snakepit.config.bind, and the rules of snakepit.config.listening for several places to listen."""

import pytest

from snakepit.config.bind import Bind, mode_form, mode_of, read_bind
from snakepit.config.options import Config
from snakepit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", Bind("127.0.0.1", 8000)),
        ("example.com:443,tls", Bind("example.com", 443, tls=True)),
        ("[::]:8000", Bind("::", 8000)),
        ("[fe80::1%eth0]:80,tls", Bind("fe80::1%eth0", 80, tls=True)),
        (":8000", Bind("", 8000)),
        ("localhost:0", Bind("localhost", 0)),
        ("unix:/run/app.sock", Bind(path="/run/app.sock")),
        ("unix:app.sock,tls", Bind(path="app.sock", tls=True)),
        ("fd:3", Bind(fd=3)),
        ("fd://3", Bind(fd=3)),
        ("unix:///run/app.sock", Bind(path="/run/app.sock")),
    ],
)
def test_places(text, bind):
    assert read_bind(text) == bind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "8000",
        "a:b",
        "a:65536",
        "::1:8000",
        "[::1]",
        "[x]:1",
        "http://a:80",
        "unix:",
        "fd:",
        "fd:x",
        "/a",
    ],
)
def test_what_is_no_place(text):
    with pytest.raises(ConfigError, match=r"^bind must be HOST:PORT, \[ADDRESS\]:PORT, unix:PATH or fd:NUMBER"):
        read_bind(text)


@pytest.mark.parametrize("text", ["a:1,", "a:1,ssl", "a:1,tls,tls", "a:1, tls"])
def test_what_is_no_flag(text):
    with pytest.raises(ConfigError, match='there may only be "tls"'):
        read_bind(text)


def test_the_same_place_twice():
    with pytest.raises(ConfigError, match="a:1,tls is there twice"):
        Config("app:app", bind=("a:1", "b:1", "a:1,tls"))
    assert len(Config("app:app", bind=("a:0", "a:0")).binds) == 2, "each gets a port of its own"


@pytest.mark.parametrize(
    ("wide", "part"),
    [
        (":1", "127.0.0.1:1"),
        (":1", "[::]:1"),
        (":1", "a:1"),
        ("0.0.0.0:1", "10.0.0.1:1"),
        ("[::]:1", "[fe80::1%eth0]:1"),
    ],
)
def test_a_place_that_is_a_part_of_another(wide, part):
    for both in ((wide, part), (part, wide)):
        with pytest.raises(ConfigError, match="is one of the addresses of") as caught:
            Config("app:app", bind=both)
        assert str(caught.value) == f"bind: {part} is one of the addresses of {wide}; leave it out"


BESIDE = [("0.0.0.0:1", "[::]:1"), (":1", "127.0.0.1:2"), (":0", "a:0"), ("a:1", "127.0.0.1:1")]


@pytest.mark.parametrize("both", BESIDE)
def test_places_beside_each_other(both):
    assert len(Config("app:app", bind=both).binds) == 2


@pytest.mark.parametrize(("text", "mode"), [("660", 0o660), ("0660", 0o660), ("0o777", 0o777), ("000", 0)])
def test_modes(text, mode):
    mode_form("uds_mode")(text)
    assert mode_of(text) == mode


@pytest.mark.parametrize("text", ["66", "668", "66000", "rw-", " 660"])
def test_what_is_no_mode(text):
    with pytest.raises(ConfigError, match=r"^umask must be three octal digits, such as 660, not "):
        Config("app:app", umask=text)


def test_without_bind_the_other_options_say_where():
    assert Config("app:app", host="a", port=1).binds == (Bind("a", 1),)
    assert Config("app:app", uds="a.sock").binds == (Bind(path="a.sock"),)
    assert Config("app:app", fd=3).binds == (Bind(fd=3),)


@pytest.mark.parametrize("other", [{"uds": "a.sock"}, {"fd": 3}])
def test_two_ways_to_say_it(other):
    with pytest.raises(ConfigError, match=f"^{next(iter(other))} and bind can't be used together"):
        Config("app:app", bind=("a:1",), **other)


def test_tls_is_where_it_is_said_or_else_everywhere(tmp_path):
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("")

    def tls(*binds, **options):
        return [bind.tls for bind in Config("app:app", bind=binds, **options).binds]

    assert tls("a:1", "b:2") == [False, False]
    assert tls("a:1", "b:2", ssl_certfile=str(certificate)) == [True, True]
    assert tls("a:1", "b:2,tls", ssl_certfile=str(certificate)) == [False, True]
    assert [bind.tls for bind in Config("app:app", ssl_certfile=str(certificate)).binds] == [True]
    with pytest.raises(ConfigError, match=r"^bind says tls, which needs a certificate: ssl_certfile"):
        tls("a:1,tls")
