"""Draws profiles as a flame graph: one SVG with all that it needs.

Below the whole there is a row of threads, and below each call the calls that it made. A width is a share of the time
that was sampled. Calls are taken together by function; the tip of each says at which line it stood most.

Positions are shares of the drawing's width, so it fits any window, and each rectangle is an SVG of its own, so that its
text ends where it does. `flame_graph.js` moves them.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from snakepit.control.sampled import Frame, SampledThread

LEAST_SHARE = 0.0002
"""The least share of all time that is drawn, which is a fifth of a pixel in a usual window."""

MOST_ROWS = 250
"""The most rows. A stack has 200 calls at most."""

ROW = 18
"""Height of a row, in pixels."""

HEAD = 64
"""Height of what stands above the rows, in pixels."""

_KINDS = {"app": "own code", "library": "libraries", "machinery": "Python and Snakepit"}
_FOLDER = Path(__file__).parent
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Node:
    """A function called from the same place of the tree, and the seconds in which it was on the stack, by line."""

    def __init__(self, label: str, file: str, kind: str) -> None:
        self.label = label
        self.file = file
        self.kind = kind
        self.lines: dict[int, float] = {}
        self.seconds = 0.0
        self.callees: dict[tuple[str, str], _Node] = {}

    def call(self, frame: Frame, seconds: float) -> "_Node":
        key = frame.file, frame.function
        node = self.callees.get(key)
        if node is None:
            node = self.callees[key] = _Node(_label(frame), frame.file, frame.kind)
        node.seconds += seconds
        node.lines[frame.line] = node.lines.get(frame.line, 0.0) + seconds
        return node

    @property
    def place(self) -> str:
        """The file, and the line at which it stood most."""
        return f"{self.file}:{max(self.lines, key=self.lines.__getitem__)}" if self.lines else self.file


class _Rectangle(NamedTuple):
    node: _Node
    row: int
    left: float  # as a share of all, as is the width
    width: float


def flame_graph(threads: Iterable[SampledThread], title: str) -> str:
    """Return the flame graph of these threads as an SVG document."""
    whole = _tree(threads)
    rectangles = list(_laid_out(whole))
    height = HEAD + ROW * (1 + max(rectangle.row for rectangle in rectangles)) + 12
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" font-size="12" '
            'font-family="system-ui, sans-serif">\n',
            f"<title>{_text(title)}</title>\n<style>{_part('flame_graph.css')}</style>\n",
            '<rect class="paper" width="100%" height="100%"/>\n',
            f'<text x="12" y="24" class="head">{_text(title)}</text>\n',
            *_legend(),
            '<text id="told" x="12" y="54"/>\n',
            '<foreignObject x="60%" y="8" width="39%" height="28"><input xmlns="http://www.w3.org/1999/xhtml" '
            'id="search" type="search" placeholder="Search functions and files" '
            'aria-label="Search functions and files"/></foreignObject>\n',
            f'<svg id="frames" y="{HEAD}">\n',
            *(_drawn(rectangle, whole.seconds) for rectangle in rectangles),
            f"</svg>\n<script><![CDATA[{_part('flame_graph.js')}]]></script>\n</svg>\n",
        ]
    )


def _tree(threads: Iterable[SampledThread]) -> _Node:
    whole = _Node("all threads", "", "whole")
    for at, thread in enumerate(threads):
        node = whole.callees[str(at), thread.name] = _Node(thread.name, "", "whole")
        node.seconds = thread.seconds
        whole.seconds += node.seconds
        for stack, seconds in thread.samples:
            called = node
            for frame in stack:
                called = called.call(frame, seconds)
    return whole


def _laid_out(whole: _Node) -> Iterator[_Rectangle]:
    """Place each node below its caller, those that took longest first."""
    todo = [_Rectangle(whole, 0, 0.0, 1.0)]
    while todo:
        rectangle = todo.pop()
        yield rectangle
        left = rectangle.left
        for node in sorted(rectangle.node.callees.values(), key=lambda node: -node.seconds):
            width = node.seconds / whole.seconds if whole.seconds else 0.0
            if width >= LEAST_SHARE and rectangle.row + 1 < MOST_ROWS:
                todo.append(_Rectangle(node, rectangle.row + 1, left, width))
            left += width


def _drawn(rectangle: _Rectangle, all_seconds: float) -> str:
    node, row, left, width = rectangle
    file = "" if node.kind == "whole" else f' <tspan class="file">{_text(_base_name(node.file))}</tspan>'
    share = f"{node.seconds:.2f} s, {node.seconds / all_seconds if all_seconds else 0:.1%}"
    tip = "\n".join(filter(None, (node.label, node.place, share)))
    return (
        f'<svg class="{node.kind}" x="{left:.4%}" y="{row * ROW}" width="{width:.4%}" height="{ROW}">'
        f"<title>{_text(tip)}</title>"
        f'<rect width="100%" height="{ROW - 1}" rx="2"/><text x="4" y="13">{_text(node.label)}{file}</text></svg>\n'
    )


def _legend() -> Iterator[str]:
    yield '<g id="legend">'
    for at, (kind, words) in enumerate(_KINDS.items()):
        left = f"{60 + at * 13}%"
        yield f'<svg class="{kind}" x="{left}" y="42"><rect width="12" height="12" rx="2"/>'
        yield f'<text x="18" y="11">{words}</text></svg>'
    yield "</g>\n"


def _label(frame: Frame) -> str:
    function = frame.function.replace(".<locals>", "")
    return f"import of {_base_name(frame.file)}" if function == "<module>" else function


def _base_name(file: str) -> str:
    return re.split(r"[/\\]", file)[-1]


def _text(text: str) -> str:
    """Return a text as it may stand in XML, which has no control characters, whatever a function is called."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
