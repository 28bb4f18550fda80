"""snakepit.config.placeholders: which values there may be, and where they lead."""

import os
import sys

import pytest

from snakepit.config import placeholders
from snakepit.config.placeholders import check_known, fill, find, fixed_folder, names, read_value
from snakepit.errors import ConfigError


@pytest.mark.parametrize("text", [b"a", b"acme", b"Acme-2_x", b"-", b"_", b"a" * 63])
def test_values(text):
    assert read_value(text) == text.decode()


HOSTILE = [
    *(
        b"",
        b".",
        b"..",
        b"...",
        b"a.b",
        b"a/b",
        b"a\\b",
        b"%2e%2e",
        b"%2f",
        b"a\0",
        b"\0",
        b"a\n",
        b"a ",
        b" a",
        b"a:b",
    ),
    *(
        "ａcme".encode(),
        "аcme".encode(),
        "acme\u200b".encode(),
        "ä".encode(),
        b"\xff",
        b"a" * 64,
        b"a" * 1000,
        b"~",
        b"$a",
    ),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_values(text):
    assert read_value(text) is None


@pytest.mark.parametrize("text", [b"con", b"NUL", b"com1", b"LPT9"])
def test_names_of_devices_on_windows(text, monkeypatch):
    monkeypatch.setattr(placeholders.sys, "platform", "win32")
    assert read_value(text) is None
    assert read_value(text + b"x") == f"{text.decode()}x"


def test_texts():
    assert names("{a}/x{b_2}.{C}") == ["a", "b_2"]
    assert fill("{a}/x{b}.{c}", {"a": "1", "b": "2"}) == "1/x2.{c}"
    assert fixed_folder("/srv/{a}/b") == "/srv"
    assert fixed_folder("/srv/x-{a}") == "/srv"
    assert fixed_folder("/srv/x") == "/srv/x"


def test_only_placeholders_of_the_route():
    check_known(["{a}.main:app", "x"], ["a", "b"])
    with pytest.raises(
        ConfigError, match=r"\{b\} in 'x/\{b\}' is no placeholder of the app's host and path: it has \{a\}"
    ):
        check_known(["{a}", "x/{b}"], ["a"])
    with pytest.raises(ConfigError, match="it has none"):
        check_known(["{a}"], [])


def test_paths(tmp_path):
    root = tmp_path / "tenants"
    (root / "acme" / "app").mkdir(parents=True)
    (root / "file").write_text("")
    pattern = str(root / "{a}")
    assert find(pattern, {"a": "acme"}) == str(root / "acme")
    assert find(os.path.join(pattern, "app"), {"a": "acme"}) == str(root / "acme" / "app")
    assert find(pattern, {"a": "file"}) == str(root / "file")
    assert find(pattern, {"a": "other"}) is None
    assert find("anything", {}) == "anything"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_lead_nowhere_else(tmp_path):
    root, outside = tmp_path / "tenants", tmp_path / "tenants2"
    (root / "acme").mkdir(parents=True)
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "alias").symlink_to("acme")
    found = {name: find(str(root / "{a}"), {"a": name}) for name in ("out", "up", "self", "alias")}
    assert found == {"out": None, "up": None, "self": None, "alias": str(root / "alias")}
