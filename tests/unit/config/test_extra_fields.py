"""snakepit.config.extra_fields: what --header takes."""

import pytest

from snakepit.config.extra_fields import parse_field
from snakepit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("X-Frame-Options:DENY", (b"x-frame-options", b"DENY")),
        ("X-Frame-Options: DENY ", (b"x-frame-options", b"DENY")),
        ("link:<https://example.org>; rel=next", (b"link", b"<https://example.org>; rel=next")),
        ("x-empty:", (b"x-empty", b"")),
        ("X-Name:Zoë\tB", (b"x-name", b"Zo\xeb\tB")),
        ("Server:mine", (b"server", b"mine")),
    ],
)
def test_fields(text, field):
    assert parse_field(text) == field


@pytest.mark.parametrize("text", ["", "X-Frame-Options", ":DENY", "X Frame:DENY", "X\r\nY:1", "Größe:1", "(x):1"])
def test_what_is_no_field(text):
    with pytest.raises(ConfigError, match=r"^header must look like NAME:VALUE, as in X-Frame-Options:DENY, not"):
        parse_field(text)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "a\x7f", "€"])
def test_what_is_no_value(value):
    with pytest.raises(ConfigError, match=r"^header x-a must be in Latin-1, without line breaks"):
        parse_field(f"X-A:{value}")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Upgrade", "Keep-Alive"])
def test_what_the_server_sends_by_itself(name):
    with pytest.raises(ConfigError, match=rf"^header {name.lower()} can't be set: the server sends it"):
        parse_field(f"{name}: 5")
