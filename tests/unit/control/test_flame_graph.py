"""snakepit.control.flame_graph: where the rectangles are, and that any names are well-formed XML."""

import xml.etree.ElementTree as ET

import pytest

from snakepit.control import flame_graph as flame_graph_module
from snakepit.control.flame_graph import flame_graph
from snakepit.control.sampled import Frame, SampledThread

SVG = "{http://www.w3.org/2000/svg}"


def app(function, line=1):
    return Frame("/srv/main.py", line, function, "app")


def drawn(threads, title="a profile"):
    """The rectangles: kind, text, row, left and width in per cent, and tip."""
    root = ET.fromstring(flame_graph(threads, title).encode())
    return [
        (
            each.get("class"),
            "".join(each.find(f"{SVG}text").itertext()),
            int(each.get("y")) // 18,
            float(each.get("x").rstrip("%")),
            float(each.get("width").rstrip("%")),
            each.find(f"{SVG}title").text,
        )
        for each in root.find(f"{SVG}svg[@id='frames']")
    ]


def test_calls_are_below_their_callers_and_together_by_function():
    library = Frame("/srv/site-packages/lib.py", 9, "work", "library")
    first = SampledThread(
        "worker 1, t",
        [([app("view", 3), library], 0.5), ([app("view", 4)], 1.0), ([app("other")], 0.5), ([app("view", 4)], 1.0)],
    )
    second = SampledThread("worker 1, t", [([app("view")], 1.0)])
    assert sorted(drawn([first, second]), key=lambda found: found[2:4]) == [
        ("whole", "all threads", 0, 0, 100, "all threads\n4.00 s, 100.0%"),
        ("whole", "worker 1, t", 1, 0, 75, "worker 1, t\n3.00 s, 75.0%"),
        ("whole", "worker 1, t", 1, 75, 25, "worker 1, t\n1.00 s, 25.0%"),
        ("app", "view main.py", 2, 0, 62.5, "view\n/srv/main.py:4\n2.50 s, 62.5%"),
        ("app", "other main.py", 2, 62.5, 12.5, "other\n/srv/main.py:1\n0.50 s, 12.5%"),
        ("app", "view main.py", 2, 75, 25, "view\n/srv/main.py:1\n1.00 s, 25.0%"),
        ("library", "work lib.py", 3, 0, 12.5, "work\n/srv/site-packages/lib.py:9\n0.50 s, 12.5%"),
    ]


def test_recursion_is_not_taken_together():
    stack = [app("fib")] * 3
    assert [found[1:5] for found in drawn([SampledThread("t", [(stack, 1.0)])])][2:] == [
        ("fib main.py", 2, 0, 100),
        ("fib main.py", 3, 0, 100),
        ("fib main.py", 4, 0, 100),
    ]


@pytest.mark.parametrize(
    "name",
    ["<lambda>", 'a"b&c]]>', "\x00\x1b[2J", "\ud800", "</svg><script>alert(1)</script>", "ö\n\N{SNAKE}", ""],
)
def test_any_names_are_text(name):
    root = ET.fromstring(flame_graph([SampledThread(name, [([Frame(name, 1, name, "app")], 1.0)])], name).encode())
    assert len(root.findall(f".//{SVG}script")) == 1
    assert len(root.find(f"{SVG}svg[@id='frames']")) == 3


def test_short_names_of_functions():
    names = {found[1] for found in drawn([SampledThread("t", [([app("<module>"), app("f.<locals>.g")], 1.0)])])}
    assert {"import of main.py main.py", "f.g main.py"} < names
    windows = Frame("C:\\shop\\main.py", 1, "view", "app")
    assert "view main.py" in {found[1] for found in drawn([SampledThread("t", [([windows], 1.0)])])}


def test_what_is_too_narrow_or_too_deep_is_left_out(monkeypatch):
    samples = [([app("long")], 10_000.0), ([app("short")], 1.0)]
    assert [found[1] for found in drawn([SampledThread("t", samples)])] == ["all threads", "t", "long main.py"]
    monkeypatch.setattr(flame_graph_module, "MOST_ROWS", 3)
    assert max(found[2] for found in drawn([SampledThread("t", [([app("f")] * 10, 1.0)])])) == 2


@pytest.mark.parametrize("threads", [[], [SampledThread("t", [([app("f")], 0.0)])]])
def test_nothing_was_sampled(threads):
    assert drawn(threads) == [("whole", "all threads", 0, 0, 100, "all threads\n0.00 s, 0.0%")]


def test_nothing_is_loaded_from_elsewhere():
    text = flame_graph([], "a profile").replace("http://www.w3.org/", "")
    assert "http" not in text
    assert "url(" not in text
