"""The HTML page that shows an exception: everything in it escaped, and nothing in it that runs or is fetched.

Where the exception was raised stands on top, and who called that below it.
"""

import base64
import hashlib
import linecache
import traceback
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from types import FrameType

from snakepit.worker.error_page.values import shown, shown_locals

AROUND = 4
"""Source lines that are shown before and after the one that was run."""

MOST_FRAMES = 60
"""Frames of one exception that are shown: half of them the outermost, half the innermost."""

MOST_EXCEPTIONS = 20

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #3a3f4b); --soft: light-dark(#f5f6f8, #1b1e26);
  --paper: light-dark(#fff, #12141a); --ink: light-dark(#1d2129, #dfe3ea); --dim: light-dark(#667, #99a);
  --red: light-dark(#b3261e, #ff8a80); --mark: light-dark(#ffe3e0, #4a2326) }
* { box-sizing: border-box }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 64rem; padding: 1.5rem 1rem 4rem }
h1 { border-left: .3rem solid var(--red); font-size: 1.4rem; line-height: 1.3; margin: 0 0 1.5rem; padding-left: .8rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
h1, h2, summary, td { overflow-wrap: anywhere }
h1 { white-space: pre-wrap }
p { color: var(--dim) }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; overflow: hidden }
details details { border-width: 1px 0 0; border-radius: 0; margin: 0 }
summary { background: var(--soft); color: var(--dim); cursor: pointer; font: .85rem/1.5 ui-monospace, monospace;
  padding: .4rem .7rem }
summary b { color: var(--ink) }
details details > summary { background: none; color: var(--dim) }
pre { font: .85rem/1.5 ui-monospace, monospace; margin: 0; overflow-x: auto; padding: .5rem .7rem; tab-size: 4 }
mark { background: var(--mark); color: inherit; display: block; margin: 0 -.7rem; padding: 0 .7rem; width: max-content;
  min-width: calc(100% + 1.4rem) }
table { border-collapse: collapse; table-layout: fixed; width: 100% }
td { border-top: 1px solid var(--line); font: .85rem/1.5 ui-monospace, monospace; padding: .25rem .7rem;
  vertical-align: top }
td:first-child { color: var(--dim); width: 12rem }
@media (max-width: 40rem) { td:first-child { width: 7rem } }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""The page's Content-Security-Policy: its own style, and nothing else."""


type Facts = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""What is shown below an exception: titles, and names with texts."""


def page(error: BaseException, facts: Facts = (), above: str = "") -> bytes:
    """Return the page for an exception, and those that it was raised from or while handling; `above`: a text on top."""
    parts = [_section(each, how) for each, how in _chain(error)]
    below = "".join(f"<h2>{escape(title)}</h2>\n<table>\n{_rows(rows)}</table>\n" for title, rows in facts)
    top = f'<p class="above">{escape(above)}</p>\n' if above else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(_title(error))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{top}{''.join(parts)}{below}</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>\n" for name, value in rows)


def _title(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:
        message = shown(error)
    return f"{type(error).__name__}: {message[:2000]}"


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield each exception once, the last first, and how it came to be."""
    waiting, seen = [(error, "")], set[int]()
    while waiting and len(seen) < MOST_EXCEPTIONS:
        each, how = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each, how
        if each.__cause__ is not None:
            waiting.append((each.__cause__, "which was raised from"))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, "which was raised while this was handled"))
        if isinstance(each, BaseExceptionGroup):
            waiting.extend((inner, "which has within it") for inner in reversed(each.exceptions))


def _section(error: BaseException, how: str) -> str:
    notes = "".join(f"<pre>{escape(str(note)[:2000])}</pre>\n" for note in getattr(error, "__notes__", ()))
    frames = list(traceback.walk_tb(error.__traceback__))[::-1]
    half, left_out = MOST_FRAMES // 2, len(frames) - MOST_FRAMES
    first, last = (frames[:half], frames[-half:]) if left_out > 0 else (frames, [])
    gap = f"<p>… {left_out} more frames …</p>\n" if left_out > 0 else ""
    told = f"<p>{how}</p>\n<h2>{escape(_title(error))}</h2>\n" if how else f"<h1>{escape(_title(error))}</h1>\n"
    return told + notes + "".join(_frame(*each) for each in first) + gap + "".join(_frame(*each) for each in last)


def _frame(frame: FrameType, line: int) -> str:
    path = frame.f_code.co_filename
    _, packages, within = path.replace("\\", "/").rpartition("/site-packages/")
    is_open = "" if packages or _is_ours(frame) else " open"
    where = f"<b>{escape(frame.f_code.co_qualname)}</b> {escape(f'{within if packages else path}:{line}')}"
    rows = _rows(shown_locals(frame.f_locals))
    variables = f"<details><summary>Variables</summary><table>\n{rows}</table></details>" if rows else ""
    source = _source(path, line, frame)
    return f"<details{is_open}><summary>{where}</summary>\n{source}{variables}</details>\n"


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "snakepit"


def _source(path: str, line: int, frame: FrameType) -> str:
    lines = linecache.getlines(path, frame.f_globals)
    if not 0 < line <= len(lines):
        return "<p>The source is not to be had.</p>\n"
    shown_lines = []
    for number in range(max(1, line - AROUND), min(len(lines), line + AROUND) + 1):
        text = escape(f"{number:5} {lines[number - 1].rstrip()[:500]}")
        shown_lines.append(f"<mark>{text}</mark>" if number == line else text + "\n")
    return f"<pre>{''.join(shown_lines)}</pre>\n"
