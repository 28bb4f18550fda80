"""server.responders.static_files: codings, content_types, memory and listing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.responders.static_files.codings import accepted
from snakepit.server.responders.static_files.content_types import content_type
from snakepit.server.responders.static_files.files import Entry
from snakepit.server.responders.static_files.listing import page
from snakepit.server.responders.static_files.memory import OVERHEAD, Memory


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        (b"gzip, deflate, br, zstd", ("br", "zstd", "gzip")),
        (b"gzip", ("gzip",)),
        (b"x-gzip", ("gzip",)),
        (b"GZIP;Q=0.5, br;q=0.1", ("gzip", "br")),
        (b"gzip;q=0, br", ("br",)),
        (b"*", ("br", "zstd", "gzip")),
        (b"*;q=0, gzip", ("gzip",)),
        (b"identity, gzip;q=0.5", ()),
        (b"identity;q=0.5, gzip", ("gzip",)),
        (b"gzip; q = 1.000", ("gzip",)),
        (b"gzip;q=2", ()),
        (b"gzip;q=-1", ()),
        (b"gzip;q=x, br", ("br",)),
        (b"deflate", ()),
        (b"", ()),
        (b",;,", ()),
    ],
)
def test_codings(value, codings):
    assert accepted(value) == codings


@given(st.binary(max_size=60))
def test_any_text_is_read(value):
    assert set(accepted(value)) <= {"br", "zstd", "gzip"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.css", b"text/css; charset=utf-8"),
        ("A.CSS", b"text/css; charset=utf-8"),
        ("a.min.js", b"text/javascript; charset=utf-8"),
        ("index.html", b"text/html; charset=utf-8"),
        ("a.json", b"application/json"),
        ("a.svg", b"image/svg+xml"),
        ("a.wasm", b"application/wasm"),
        ("a.woff2", b"font/woff2"),
        ("a.tar.gz", b"application/gzip"),
        ("a.unknown", b"application/octet-stream"),
        ("css", b"application/octet-stream"),
        ("a.", b"application/octet-stream"),
    ],
)
def test_content_types(name, expected):
    assert content_type(name) == expected


def test_memory_has_a_limit():
    memory = Memory(3 * OVERHEAD + 30)
    for key in "abc":
        memory.put(key, key.upper(), 10)
    assert [memory.get(key) for key in "abc"] == ["A", "B", "C"]
    memory.put("a", "again", 10)
    memory.put("d", "D", 20)
    assert [memory.get(key) for key in "abcd"] == ["again", None, None, "D"]
    memory.put("large", "L", 4 * OVERHEAD)
    assert memory.get("large") is None
    assert memory.size == 2 * OVERHEAD + 30
    memory.drop("a")
    memory.drop("d")
    memory.drop("d")
    assert memory.size == 0


def test_a_list_shows_folders_first_and_nothing_hidden():
    entries = [Entry(name, False) for name in ("b.txt", "A.txt", ".env", "con", "a:b")] + [
        Entry("z", True),
        Entry(".git", True),
    ]
    text = page("/files/", entries, top=False, complete=True).decode()
    assert re.findall(r'href="([^"]*)">([^<]*)<', text) == [
        ("../", "../"),
        ("./z/", "z/"),
        ("./A.txt", "A.txt"),
        ("./b.txt", "b.txt"),
    ]
    assert "Only" not in text


def test_a_list_escapes_names():
    text = page("/<&>/", [Entry("<script>\"&'.txt", False), Entry("\udcff", False)], top=True, complete=False).decode()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert 'href="./%3Cscript%3E%22%26%27.txt"' in text
    assert 'href="./%FF"' in text
    assert "Only 10000 entries" in text
    assert "../" not in text
