"""snakepit.http.target: path and query of every form that a request's target can have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.http.target import host_of, split_target


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
