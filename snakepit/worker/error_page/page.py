"""The HTML page that shows an exception: everything in it escaped, and nothing in it that runs or is fetched."""

import base64
import hashlib
import linecache
import traceback
from collections.abc import Iterator
from html import escape
from types import FrameType

from snakepit.worker.error_page.values import shown, shown_locals

AROUND = 4
"""Source lines that are shown before and after the one that was run."""

MOST_FRAMES = 60
"""Frames of one exception that are shown: half of them the outermost, half the innermost."""

MOST_EXCEPTIONS = 20

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1, h2, summary, td { overflow-wrap: anywhere }
pre { background: #8882; overflow-x: auto; padding: .5rem }
mark { background: #e533; color: inherit; display: block }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid #8884; font-family: monospace; padding: .2rem .5rem; vertical-align: top }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""The page's Content-Security-Policy: its own style, and nothing else."""


def page(error: BaseException) -> bytes:
    """Return the page for an exception, and those that it was raised from or while handling."""
    title = escape(_title(error))
    parts = [_section(each, how) for each, how in _chain(error)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{''.join(parts)}</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


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
    frames = list(traceback.walk_tb(error.__traceback__))
    half, left_out = MOST_FRAMES // 2, len(frames) - MOST_FRAMES
    first, last = (frames[:half], frames[-half:]) if left_out > 0 else (frames, [])
    gap = f"<p>… {left_out} more frames …</p>\n" if left_out > 0 else ""
    told = f"<p>{how}</p>\n<h2>{escape(_title(error))}</h2>\n" if how else f"<h1>{escape(_title(error))}</h1>\n"
    return told + notes + "".join(_frame(*each) for each in first) + gap + "".join(_frame(*each) for each in last)


def _frame(frame: FrameType, line: int) -> str:
    path = frame.f_code.co_filename
    is_open = "" if "site-packages" in path or "snakepit" in frame.f_globals.get("__name__", "").split(".") else " open"
    where = escape(f"{path}:{line} in {frame.f_code.co_qualname}")
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>\n" for name, value in shown_locals(frame.f_locals)
    )
    variables = f"<details><summary>Variables</summary><table>\n{rows}</table></details>" if rows else ""
    source = _source(path, line, frame)
    return f"<details{is_open}><summary>{where}</summary>\n{source}{variables}</details>\n"


def _source(path: str, line: int, frame: FrameType) -> str:
    lines = linecache.getlines(path, frame.f_globals)
    if not 0 < line <= len(lines):
        return "<p>The source is not to be had.</p>\n"
    shown_lines = []
    for number in range(max(1, line - AROUND), min(len(lines), line + AROUND) + 1):
        text = escape(f"{number:5} {lines[number - 1].rstrip()[:500]}")
        shown_lines.append(f"<mark>{text}</mark>" if number == line else text + "\n")
    return f"<pre>{''.join(shown_lines)}</pre>\n"
