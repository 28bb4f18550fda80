"""server.responders.static_files.names: what a path may name, and what is refused."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.responders.static_files.names import MOST_NAMES, Names, is_refused, read_path

GOOD = {
    b"": Names((), True),
    b"a.css": Names(("a.css",), False),
    b"a/b/c.js": Names(("a", "b", "c.js"), False),
    b"a/": Names(("a",), True),
    b"a%20b.txt": Names(("a b.txt",), False),
    b"%C3%A9.txt": Names(("é.txt",), False),
    b"100%25.txt": Names(("100%.txt",), False),
    b"%252e%252e": Names(("%2e%2e",), False),
    b"a..b": Names(("a..b",), False),
    b"console.js": Names(("console.js",), False),
    b"com10": Names(("com10",), False),
    b"nullable.txt": Names(("nullable.txt",), False),
    b".well-known/security.txt": Names((".well-known", "security.txt"), False),
    b"a~1.txt": Names(("a~1.txt",), False),
    b"+.txt": Names(("+.txt",), False),
}

ATTACKS = [
    b"..",
    b"../etc/passwd",
    b"a/../../etc/passwd",
    b"a/..",
    b".",
    b"./a",
    b"%2e%2e/etc/passwd",
    b"%2E%2E%2Fetc%2Fpasswd",
    b".%2e/x",
    b"..%2fx",
    b"..%5cx",
    b"..\\x",
    b"a\\b",
    b"a%5Cb",
    b"a%2Fb",
    b"..%c0%afx",
    b"%c0%ae%c0%ae/x",
    b"%ff",
    b"a%00.css",
    b"a%0a.css",
    b"a%7f",
    b"%",
    b"a%2",
    b"a%zz",
    b"//evil.example",
    b"/evil.example",
    b"a//b",
    b"/",
    b".env",
    b".git/config",
    b"a/.git/config",
    b"%2egit/config",
    b"a/.well-known/x",
    b".well-known/.git",
    b"%E2%80%8C.git/config",
    b"%EF%BB%BF.env",
    b"C:/x",
    b"c%3A/x",
    b"a.txt::$DATA",
    b"a.txt:stream",
    b"a.txt.",
    b"a.txt%20",
    b"a.txt...",
    b"a./b",
    b"CON",
    b"con.txt",
    b"a/NUL",
    b"nul.tar.gz",
    b"AUX.c",
    b"prn",
    b"COM1.txt",
    b"com0",
    b"LPT9",
    b"COM%C2%B9",
    b"CONIN$",
    b"conout$.txt",
    b"con%20.txt",
    b"/".join([b"a"] * (MOST_NAMES + 1)),
]
"""What must name nothing, on any system."""


@pytest.mark.parametrize("path", GOOD)
def test_good(path):
    assert read_path(path) == GOOD[path]


@pytest.mark.parametrize("path", ATTACKS)
def test_attacks(path):
    assert read_path(path) is None
    assert read_path(path + b"/") is None


@pytest.mark.parametrize("name", [b"GIT~1", b"git~1/config", b"a~12.txt", b"PROGRA~1.EXE"])
def test_short_names_on_windows(name):
    assert read_path(name, windows=True) is None
    assert read_path(name) is not None


@pytest.mark.parametrize("name", ["a-longer-name~1", "a~b", "~1", "abc~1.jpeg"])
def test_what_is_no_short_name(name):
    assert not is_refused(name, windows=True)


@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from([b"..", b".", b"%2e", b"/", b"\\", b"a", b"%2f", b"%5c"])).map(b"".join)
)
def test_whatever_is_sent_stays_below_the_folder(path):
    found = read_path(path)
    if found is not None:
        root = os.path.join(os.sep, "srv", "public")
        there = os.path.normpath(os.path.join(root, *found.names))
        assert there == root or there.startswith(root + os.sep)
        assert len(os.path.relpath(there, root).split(os.sep)) == max(1, len(found.names))
