"""snakepit.http.target: path and query of every form that a request's target can have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.http.target import authority_of, host_of, is_among, is_host, split_target, with_host_of


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a/b", b"/a/b", b""),
        (b"/a?b=c", b"/a", b"b=c"),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/?", b"/", b""),
        (b"/%3F?%3F", b"/%3F", b"%3F"),
        (b"//a/b", b"//a/b", b""),
        (b"/a://b", b"/a://b", b""),
        (b"/login?next=http://a/b", b"/login", b"next=http://a/b"),
        (b"*", b"*", b""),
        (b"http://a", b"/", b""),
        (b"http://a/", b"/", b""),
        (b"HTTP://a/b", b"/b", b""),
        (b"HttpS://a?b", b"/", b"b"),
        (b"http://a/b/c?d", b"/b/c", b"d"),
        (b"http://a?b=/c", b"/", b"b=/c"),
        (b"https://a:8443/b?c=http://d/e", b"/b", b"c=http://d/e"),
        (b"http://user:secret@a/b", b"/b", b""),
        (b"http://[::1]:80/b", b"/b", b""),
    ],
)
def test_split(target, path, query):
    assert split_target(target) == (path, query)


segments = st.binary(max_size=20).map(lambda data: data.replace(b"?", b""))


@given(segments, st.none() | st.binary(max_size=20), st.sampled_from([b"", b"http://host", b"https://h:1"]))
def test_nothing_is_lost(path, query, origin):
    target = b"/" + path + (b"" if query is None else b"?" + query)
    assert split_target(origin + target) == (b"/" + path, query or b"")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/a", b"a.example:80"),
        (b"/http://b.example/", b"a.example:80"),
        (b"*", b"a.example:80"),
        (b"http://b.example", b"b.example"),
        (b"http://b.example:8000/a?b", b"b.example:8000"),
        (b"http://b.example?x=/y", b"b.example"),
    ],
)
def test_host(target, host):
    assert host_of(target, [(b"accept", b"*/*"), (b"host", b"a.example:80")]) == host


def test_no_host():
    assert host_of(b"/a", [(b"accept", b"*/*")]) == b""


GOOD_HOSTS = [
    *(b"", b"a", b"a.example", b"a.example.", b"A_b-c.example:8080", b"a:", b"192.0.2.1:80", b"[2001:db8::1]"),
    *(b"[::1]:65535", b"[fe80::1%25eth0]", b"[fe80::1%eth0]:80", b"xn--e1afmkfd", b"%C3%A9", b"a:00080"),
]
BAD_HOSTS = [
    *(b" ", b"a b", b"a\tb", b"a,b", b"a, b", b"u@a", b"a/", b"a/b", b"http://a", b"a?b", b"a#b", b"a\\b", b'"a"'),
    *(b"<a>", b"{a}", b"a|b", b"a^b", b"\xc3\xa9", b"a%", b"a%2", b"a%zz", b"a:x", b"a:80x", b"a:80:80", b"a:-1"),
    *(b"a:65536", b"a:999999", b":80", b"::1", b"[::1", b"::1]", b"[::1]x", b"[a]b", b"[]", b"[g]", b"a\x00", b"a\r"),
]


@pytest.mark.parametrize("text", GOOD_HOSTS)
def test_hosts(text):
    assert is_host(text)


@pytest.mark.parametrize("text", BAD_HOSTS)
def test_what_is_no_host(text):
    assert not is_host(text)


def test_authority_of_an_absolute_target():
    assert authority_of(b"http://a:80/b?c") == b"a:80"
    assert authority_of(b"HTTPS://a?c") == b"a"
    assert authority_of(b"http:///b") == b""
    assert authority_of(b"ftp://a/") is authority_of(b"/http://a/") is authority_of(b"*") is None


def test_the_host_of_an_absolute_target_replaces_all_others():
    fields = [(b"x", b"1"), (b"host", b"a"), (b"y", b"2")]
    assert with_host_of(b"http://b:1/", fields) == [(b"host", b"b:1"), (b"x", b"1"), (b"y", b"2")]
    assert with_host_of(b"http://b/", []) == [(b"host", b"b")]
    assert with_host_of(b"/", fields) is fields


@pytest.mark.parametrize("target", [b"/a", b"/a?b", b"/a?", b"http://host/a", b"http://host/a?b=/c"])
def test_a_path_that_is_among_others(target):
    assert is_among(target, {b"/a", b"/b"})


@pytest.mark.parametrize("target", [b"/", b"/c", b"/a/", b"/c?/a", b"http://host/c", b"*", b"/A", b"a"])
def test_a_path_that_is_not(target):
    assert not is_among(target, {b"/a", b"/b"})
