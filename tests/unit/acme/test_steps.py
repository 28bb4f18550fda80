"""snakepit.acme.steps: what the CA sends is checked as it is read."""

import pytest

from snakepit.acme.problems import CaUnreachable
from snakepit.acme.steps import MOST_RETRY_AFTER, Members, Response, checked_url, seconds_of

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        ("9" * 400, MOST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_RETRY_AFTER),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after(header, seconds):
    assert seconds_of(header, NOW) == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"[" * 100_000, b"\xff"])
def test_what_is_no_object(body):
    with pytest.raises(CaUnreachable, match="the thing is no"):
        Members.of(Response(200, {}, body), "the thing")


def test_members():
    found = Members({"a": "x", "url": "https://ca.test/", "list": [1], "n": 1, "bad": "http://ca.test"}, "it")
    assert (found.text("a"), found.url("url"), found.list("list"), found.list("none")) == (
        "x",
        "https://ca.test/",
        [1],
        [],
    )
    assert found.optional_url("none") is None
    for wrong in (
        lambda: found.text("none"),
        lambda: found.text("n"),
        lambda: found.url("a"),
        lambda: found.url("bad"),
        lambda: found.optional_url("bad"),
        lambda: found.list("n"),
    ):
        with pytest.raises(CaUnreachable, match="in it"):
            wrong()


@pytest.mark.parametrize("url", ["", "http://a", "file:///etc/passwd", "https://a b", "https://a\r\nX: y", "https://ä"])
def test_urls_are_https(url):
    with pytest.raises(CaUnreachable, match="no https URL"):
        checked_url(url, "it")
