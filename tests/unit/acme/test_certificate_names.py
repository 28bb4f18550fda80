"""snakepit.acme.names: one form for each name, and refusals that say why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.acme.names import address, canonical, is_local


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        (" example.com ", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("LOCALHOST", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
        ("::1", "::1"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_the_one_form(name, wanted):
    assert canonical(name) == wanted


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("*.example.com", "DNS challenges"),
        ("straße.example", "xn--"),
        ("", "neither a domain nor"),
        (".", "neither a domain nor"),
        ("a..b", "neither a domain nor"),
        ("-a.example", "neither a domain nor"),
        ("a_b.example", "neither a domain nor"),
        ("example.com:443", "neither a domain nor"),
        ("https://example.com", "neither a domain nor"),
        ("../../etc", "neither a domain nor"),
        ("1.2.3", "neither a domain nor"),
        ("999.1.1.1", "neither a domain nor"),
        ("a" * 64 + ".example", "neither a domain nor"),
        (".".join(["a" * 60] * 5), "neither a domain nor"),
        ("ü" * 70 + ".example", "no domain"),
        ("fe80::1%eth0", "neither a domain nor"),
    ],
)
def test_what_is_no_name(name, reason):
    with pytest.raises(ValueError, match=reason):
        canonical(name)


@given(st.text(max_size=300))
def test_any_text_is_a_safe_name_or_refused(text):
    try:
        name = canonical(text)
    except ValueError:
        return
    assert name.isascii()
    assert not set(name) & set("/\\ *\0\n")
    assert canonical(name) == name


def test_local_names():
    assert [is_local(name) for name in ("localhost", "a.localhost", "127.0.0.1", "::1", "192.0.2.1")] == [True] * 5
    assert [is_local(name) for name in ("example.com", "localhost.example", "notlocalhost")] == [False] * 3
    assert address("example.com") is None
