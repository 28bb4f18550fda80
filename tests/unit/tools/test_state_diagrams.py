"""The life cycles in docs/server-behavior.md are made of the tables in snakepit.server.lifecycle."""

from enum import IntEnum, auto
from itertools import combinations
from xml.etree import ElementTree

import pytest
import state_diagrams as tool
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.lifecycle import WorkerState


def test_the_documentation_is_up_to_date():
    assert tool.stale() == [], "run: python tools/state_diagrams.py --write"


def test_another_table_makes_it_out_of_date(monkeypatch):
    [worker] = [life for life in tool.LIVES if life.states is WorkerState]
    others = [life for life in tool.LIVES if life is not worker]
    table = {**worker.table, WorkerState.READY: {**worker.table[WorkerState.READY], WorkerState.CLOSED: "it vanishes"}}
    monkeypatch.setattr(tool, "LIVES", (*others, tool.Life("worker", worker.title, WorkerState, table)))
    assert [path.name for path in tool.stale()] == ["worker.svg", "server-behavior.md"]
    assert "|  | CLOSED | it vanishes |" in tool.made()[tool.PAGE]


def test_each_state_and_each_arrow_is_there():
    for life in tool.LIVES:
        assert set(tool.meanings(life.states)) == set(life.states.__members__)
        text = tool.text(life)
        assert all(when in text for tos in life.table.values() for when in tos.values())
        assert_complete(tool.drawing(life), life.states, life.table)


def test_each_table_is_drawn():
    tables = {kind for kind in vars(tool.lifecycle).values() if isinstance(kind, type) and issubclass(kind, IntEnum)}
    assert {life.states for life in tool.LIVES} == tables - {IntEnum}


def assert_complete(drawing, states, table):
    svg = ElementTree.fromstring(drawing)
    names = [element.text for element in svg.iter() if element.tag.endswith("}text")]
    assert sorted(names) == sorted(states.__members__)
    arrows = [element.get("d") for element in svg.iter() if element.get("class", "").startswith("arrow")]
    assert len(arrows) == 1 + sum(map(len, table.values())), "one to the first state, and one for each of the table"
    assert len(set(arrows)) == len(arrows)


@pytest.mark.parametrize(
    "page", ["", "<!-- exchange: start -->\n", "<!-- exchange: end -->\n<!-- exchange: start -->\n"]
)
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(SystemExit, match="must have its two markers, <!-- exchange: start"):
        tool.page_with(tool.LIVES, page)


class Letters(IntEnum):
    A = auto()
    B = auto()
    C = auto()
    D = auto()
    E = auto()
    F = auto()


@given(st.sets(st.tuples(st.sampled_from(list(Letters)[:-1]), st.sampled_from(list(Letters))), min_size=8))
def test_any_table_can_be_drawn(pairs):
    table = {state: {to: "so" for one, to in pairs if one is state is not to} for state in Letters}
    for state in list(Letters)[:-1]:
        table[state][Letters.F] = "so"
    assert_complete(tool.drawing(tool.Life("letters", "Letters", Letters, table)), Letters, table)


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[1] > pair[0] + 1)))
def test_no_arrow_runs_along_the_way_of_another(pairs):
    lanes = tool.lanes([tool.Arrow(*pair) for pair in pairs])
    assert set(lanes) == {tool.Arrow(*pair) for pair in pairs}
    for one, other in combinations(lanes, 2):
        if max(one.source, other.source) <= min(one.target, other.target):
            assert lanes[one] != lanes[other]
