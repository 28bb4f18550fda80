"""config.toml_lines: the line of each key, also where text looks like keys."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.config.tables import text as toml
from snakepit.config.toml_lines import key_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a = 1\n", {}),
        ("a = 1", {("a",): 1}),
        ("\n\na = 1\nb=2\n", {("a",): 3, ("b",): 4}),
        ("a = 1 # b = 2\nc = 3", {("a",): 1, ("c",): 2}),
        ("a = \"# no\"\nb = '#'\nc = 1", {("a",): 1, ("b",): 2, ("c",): 3}),
        ('"a b" = 1\n\'c.d\' = 2\n"\\u00fc" = 3', {("a b",): 1, ("c.d",): 2, ("ü",): 3}),
        ("a.b = 1\na . c = 2\n", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}),
        ("[a]\nb = 1\n[a.c]\nd = 2\n", {("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", "d"): 4}),
        ("[a.b]\n[a]\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "c"): 3}),
        ("[ a . 'b' ] # x\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2}),
        ('a = """x\nb = 1\n[c]\n"""\nd = 2', {("a",): 1, ("d",): 5}),
        ("a = '''x\nb = 1\n'''\nd = 2", {("a",): 1, ("d",): 4}),
        ('a = """x\\"""\nb = 1 """"\nd = 2', {("a",): 1, ("d",): 3}),
        ('a = """""" \nd = 2', {("a",): 1, ("d",): 2}),
        ('a = "\\"" # "\nd = 2', {("a",): 1, ("d",): 2}),
        ("a = [\n 1, # ]\n [2, 'x = ]'],\n]\nb = 1", {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("b",): 5}),
        ("a = {b = 1, 'c'={d = [1, 2]}}\ne = 1", {("a",): 1, ("a", "b"): 1, ("a", "c"): 1, ("e",): 2}),
        (
            "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n",
            {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1, "b"): 4, ("a", 1, "c"): 5, ("a", 1, "c", "d"): 6},
        ),
        ("a = [\n {b = 1},\n {b = 2}]\n", {("a", 0, "b"): 2, ("a", 1, "b"): 3}),
        ("a = 1979-05-27 07:32:00\nb = +1e6\nc = inf\n", {("a",): 1, ("b",): 2, ("c",): 3}),
    ],
)
def test_lines(text, expected):
    tomllib.loads(text)
    found = key_lines(text)
    assert {path: found[path] for path in expected} == expected
    without_items = {path for path in found if not isinstance(path[-1], int)}
    assert without_items >= {path for path in expected if not isinstance(path[-1], int)}
    if ("b",) not in expected:
        assert ("b",) not in found


NAMES = st.text(st.sampled_from("abü.\"'#[]= -"), max_size=4)
TEXTS = st.text(st.sampled_from("a\"'#[]{}=,\\\n "), max_size=12)
VALUES = st.recursive(st.integers() | st.booleans() | TEXTS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_each_key_of_any_document_has_its_line(values):
    lines = [f"{toml(name)} = {toml(value)}" for name, value in values.items()]
    text = "\n".join(lines)
    assert tomllib.loads(text) == values
    found = key_lines(text)
    assert {path[0]: line for path, line in found.items() if len(path) == 1} == {
        name: number for number, name in enumerate(values, 1)
    }
