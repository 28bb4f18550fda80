"""Put the life cycles into the documentation: drawings and tables, made from those in snakepit/server/lifecycle.py.

python tools/state_diagrams.py --write    write docs/images/*.svg, and what stands between markers in the page
python tools/state_diagrams.py --check    fail if that would change anything

A drawing has the states in the order of their declaration, from left to right. Arrows to the next state are straight,
those that skip states run above, those that lead back run below, and the final state lies under all others. So any
table can be drawn, without a search for a good layout.
"""

import argparse
import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from itertools import pairwise
from pathlib import Path

from marked import ROOT, put

from snakepit.server import lifecycle

DOCS = ROOT / "docs"
PAGE = DOCS / "server-behavior.md"

type Table = Mapping[IntEnum, Mapping[IntEnum, str]]


@dataclass(frozen=True)
class Life:
    """A life cycle to draw: `name` is the name of the markers and of the file."""

    name: str
    title: str
    states: type[IntEnum]
    table: Table


LIVES = (
    Life("exchange", "The life of an exchange", lifecycle.ExchangeState, lifecycle.EXCHANGE),
    Life("worker", "The life of a worker", lifecycle.WorkerState, lifecycle.WORKER),
    Life("connection", "The life of a connection that speaks HTTP/1", lifecycle.ConnectionState, lifecycle.CONNECTION),
    Life("tls", "The life of a connection over TLS", lifecycle.TlsState, lifecycle.TLS),
    Life("websocket", "The life of a connection that speaks WebSocket", lifecycle.WebSocketState, lifecycle.WEBSOCKET),
)


# -- tables ------------------------------------------------------------------------------------------------------------


def meanings(states: type[IntEnum]) -> dict[str, str]:
    """Return the docstring under each state in the class, which Python itself does not keep."""
    tree = ast.parse(Path(lifecycle.__file__).read_text(encoding="utf-8"))
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == states.__name__]
    found = {}
    for node, after in pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            [target] = node.targets
            found[ast.unparse(target)] = " ".join(str(after.value.value).split()).rstrip(".")
    return found


def text(life: Life) -> str:
    """Return the drawing and the tables, in Markdown."""
    what = meanings(life.states)
    lines = [f"![{life.title}; the tables below say the same](images/{life.name}.svg)", ""]
    lines += ["| State | Means |", "| --- | --- |"]
    lines += [f"| {state.name} | {what[state.name]} |" for state in life.states]
    lines += ["", "| From | To | When |", "| --- | --- | --- |"]
    for state in life.states:
        for index, to in enumerate(sorted(life.table[state])):
            lines.append(f"| {'' if index else state.name} | {to.name} | {life.table[state][to]} |")
    return "\n".join(lines)


def page_with(lives: tuple[Life, ...], page: str) -> str:
    """Return the page with these between its markers. Raises SystemExit unless each marker occurs once."""
    for life in lives:
        page = put(f"{text(life)}\n", life.name, page, PAGE)
    return page


# -- drawings ----------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 100, 36  # of a state
GAP = 26  # between two states
MARGIN = 16
LANE = 15  # between two arrows that run side by side
ROUND = 8  # the radius of an arrow's bends
PORT = 13  # between two arrows' ends on one side of a state

_STYLE = """
.card { fill: #fff; stroke: #d8dee4 }
.state { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5 }
text { font: 600 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328; text-anchor: middle }
path.arrow { fill: none; stroke-width: 1.6 }
%s
@media (prefers-color-scheme: dark) {
.card { fill: #161b22; stroke: #30363d }
.state { fill: #21262d; stroke: #8b949e }
text { fill: #e6edf3 }
%s
}
"""
_LIGHT = ("#0969da", "#1a7f37", "#9a6700", "#cf222e", "#8250df", "#57606a", "#bf3989", "#0550ae")
_DARK = ("#58a6ff", "#3fb950", "#d29922", "#f85149", "#bc8cff", "#8b949e", "#f778ba", "#a5d6ff")


@dataclass(frozen=True)
class Arrow:
    """An arrow from one state to another, by their places in the row; the place after the last is the final state's."""

    source: int
    target: int

    @property
    def span(self) -> int:
        return abs(self.target - self.source)

    @property
    def between(self) -> tuple[int, int]:
        return min(self.source, self.target), max(self.source, self.target)


def lanes(arrows: list[Arrow]) -> dict[Arrow, int]:
    """Return how far out each arrow runs, from 1: short ones inside, and none along the way of another."""
    found: dict[Arrow, int] = {}
    for arrow in sorted(arrows, key=lambda arrow: (arrow.span, arrow.source)):
        first, last = arrow.between
        beside = [lane for other, lane in found.items() if first <= other.between[1] and other.between[0] <= last]
        found[arrow] = max(beside, default=0) + 1
    return found


def ports(arrows: list[Arrow]) -> dict[tuple[Arrow, int], float]:
    """Return where along the side of a state each arrow's end is, from the middle; by the arrow and the state.

    Those from and to the left come first, the inner ones leftmost; then those from and to the right, the outer ones
    leftmost: so none crosses another near the state.
    """
    found: dict[tuple[Arrow, int], float] = {}
    for place in {place for arrow in arrows for place in arrow.between}:
        left = sorted((arrow for arrow in arrows if arrow.between[1] == place), key=lambda arrow: arrow.span)
        right = sorted((arrow for arrow in arrows if arrow.between[0] == place), key=lambda arrow: -arrow.span)
        ends = [*left, *right]
        for index, arrow in enumerate(ends):
            found[arrow, place] = (index - (len(ends) - 1) / 2) * PORT
    return found


def drawing(life: Life) -> str:
    """Return the life cycle as SVG."""
    [end] = [state for state in life.states if not life.table[state]]
    row = [state for state in life.states if state is not end]
    place = {state: index for index, state in enumerate(row)}
    arrows = [Arrow(place[state], place[to]) for state in row for to in life.table[state] if to is not end]
    above = [arrow for arrow in arrows if arrow.target > arrow.source + 1]
    below = [arrow for arrow in arrows if arrow.target < arrow.source]
    above_lanes, below_lanes = lanes(above), lanes(below)
    head = MARGIN + LANE * max(above_lanes.values(), default=0) + LANE
    foot = head + HEIGHT + LANE * max(below_lanes.values(), default=0) + 2 * LANE
    left = MARGIN + 24
    middles = [left + WIDTH / 2 + index * (WIDTH + GAP) for index in range(len(row))]
    width = middles[-1] + WIDTH / 2 + MARGIN
    height = foot + HEIGHT + MARGIN
    parts = list(_frame(life, width, height, len(row)))
    parts.append(f'<circle class="start" cx="{MARGIN + 4}" cy="{head + HEIGHT / 2:g}" r="4"/>')
    path = f"M {MARGIN + 8} {head + HEIGHT / 2:g} H {left - 3:g}"
    parts.append(_line(path, "start", (left, head + HEIGHT / 2), "right"))
    for arrow in arrows:
        if arrow.target == arrow.source + 1:
            y, start, stop = head + HEIGHT / 2, middles[arrow.source] + WIDTH / 2, middles[arrow.target] - WIDTH / 2
            parts.append(_line(f"M {start:g} {y:g} H {stop - 3:g}", f"s{arrow.source}", (stop, y), "right"))
    for chosen, lane, edge, outwards in ((above, above_lanes, head, -1), (below, below_lanes, head + HEIGHT, 1)):
        where = ports(chosen)
        for arrow in chosen:
            shift = -WIDTH / 4 if outwards > 0 else 0  # the middle is for the arrow to the final state
            start = middles[arrow.source] + where[arrow, arrow.source] + shift
            stop = middles[arrow.target] + where[arrow, arrow.target] + shift
            path = _bend(start, stop, edge, edge + outwards * (lane[arrow] + 0.5) * LANE)
            parts.append(_line(path, f"s{arrow.source}", (stop, edge), "up" if outwards > 0 else "down"))
    for state in row:
        if end in life.table[state]:
            x = middles[place[state]]
            path = f"M {x:g} {head + HEIGHT} V {foot - 3:g}"
            parts.append(_line(path, f"s{place[state]}", (x, foot), "down"))
    for state in row:
        parts += _box(state.name, middles[place[state]] - WIDTH / 2, head, WIDTH)
    parts += _box(end.name, left, foot, middles[-1] + WIDTH / 2 - left)
    return "\n".join([*parts, "</svg>", ""])


def _frame(life: Life, width: float, height: float, count: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">'
    )
    yield f"<title>{escape(life.title)}</title>"
    ways = (f"{state.name} to {', '.join(to.name for to in sorted(tos))}" for state, tos in life.table.items() if tos)
    yield f"<desc>{escape('; '.join(ways))}</desc>"
    colours = (
        "\n".join(f".s{index} {{ stroke: {colour}; fill: {colour} }}" for index, colour in enumerate(palette[:count]))
        + f"\n.start {{ stroke: {palette[5]}; fill: {palette[5]} }}"
        for palette in (_LIGHT, _DARK)
    )
    yield f"<style>{_STYLE % tuple(colours)}</style>"
    yield f'<rect class="card" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>'


def _box(name: str, x: float, y: float, width: float) -> Iterator[str]:
    yield f'<rect class="state" x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="6"/>'
    yield f'<text x="{x + width / 2:g}" y="{y + HEIGHT / 2 + 4:g}">{escape(name)}</text>'


def _line(path: str, colour: str, tip: tuple[float, float], direction: str) -> str:
    x, y = tip
    head = {
        "right": f"M {x:g} {y:g} l -7 -3.5 v 7 z",
        "down": f"M {x:g} {y:g} l -3.5 -7 h 7 z",
        "up": f"M {x:g} {y:g} l -3.5 7 h 7 z",
    }[direction]
    return f'<path class="arrow {colour}" d="{path}"/><path class="{colour}" stroke-width="0" d="{head}"/>'


def _bend(start: float, stop: float, edge: float, lane: float) -> str:
    """Return a path from one point of an edge out to a lane, along it, and back to another point of the edge."""
    out, along = (1 if lane > edge else -1), (1 if stop > start else -1)
    return (
        f"M {start:g} {edge:g} V {lane - out * ROUND:g} "
        f"Q {start:g} {lane:g} {start + along * ROUND:g} {lane:g} H {stop - along * ROUND:g} "
        f"Q {stop:g} {lane:g} {stop:g} {lane - out * ROUND:g} V {edge + out * 3:g}"
    )


# ----------------------------------------------------------------------------------------------------------------------


def made() -> dict[Path, str]:
    """Return every file with its up-to-date contents."""
    files = {DOCS / "images" / f"{life.name}.svg": drawing(life) for life in LIVES}
    return files | {PAGE: page_with(LIVES, PAGE.read_text(encoding="utf-8"))}


def stale() -> list[Path]:
    """Return the files that are out of date."""
    return [path for path, new in made().items() if not path.exists() or path.read_text(encoding="utf-8") != new]


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the life cycles into the documentation.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write docs/images/*.svg, and into docs/server-behavior.md")
    what.add_argument("--check", action="store_true", help="fail if that would change anything")
    if parser.parse_args().write:
        for path, new in made().items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(new, encoding="utf-8")
    elif old := stale():
        names = ", ".join(str(path.relative_to(DOCS.parent)) for path in old)
        raise SystemExit(f"out of date: {names}; run: python tools/state_diagrams.py --write")


if __name__ == "__main__":
    main()
