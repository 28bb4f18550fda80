"""The HTML page that shows an exception: everything in it escaped, and nothing in it that runs or is fetched.

The latest call comes first, and the latest exception; those that led to it follow.
"""

import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from snakepit.wire.error_page import STYLE
from snakepit.worker.error_page import values
from snakepit.worker.error_page.values import Allowance, shown, shown_locals

type Section = tuple[str, Sequence[tuple[str, str]]]
"""A title, and names with values, as text."""

AROUND = 4
"""Source lines that are shown before and after the one that was run."""

MOST_FRAMES = 60
"""Frames of one exception that are shown: half of them the outermost, half the innermost."""

MOST_EXCEPTIONS = 20

_MOST_OF_TITLE = 2000
"""Characters of an exception's message, or of a note, that are shown."""

_OURS = (str(Path(__file__).parents[2]) + os.sep, "<frozen importlib", str(Path(os.__file__).parent / "importlib"))
"""Where the code is that called the app, and imported it: its frames are left out."""

_OF_OTHERS = f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}"


def page(
    error: BaseException,
    *,
    headline: str = "",
    sections: Sequence[Section] = (),
    text: str = "",
    variables: bool = True,
    end: bytes = b"",
) -> bytes:
    """Return the page for an exception, and those that it was raised from or while handling.

    Args:
        headline: what it kept from being done.
        text: the traceback, as it is logged.
        variables: show them.
        end: HTML for the end of the page.
    """
    kind, message = _title(error)
    allowance = Allowance() if variables else None
    parts = [_exception(each, how, allowance) for each, how in _chain(error)]
    parts += (_table(title, rows) for title, rows in sections if rows)
    if text:
        parts.append(f'<details><summary>As text</summary><pre class="text">{escape(text)}</pre></details>\n')
    first = f'<p class="dim">{escape(headline)}</p>\n' if headline else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(f'{kind}: {message}' if message else kind)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{first}{''.join(parts)}"
        '<p class="dim">Snakepit shows this because of <code>--debug</code>. Never use that where others can see it.'
        "</p>\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace") + end


def _title(error: BaseException) -> tuple[str, str]:
    try:
        message = str(error)
    except BaseException:
        message = shown(error)
    return type(error).__name__, message[:_MOST_OF_TITLE]


CALLERS = (*values.CALLERS, _title.__code__)
"""Code of ours that calls the app's, which may hang (`snakepit.worker.hangs`)."""


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


def _exception(error: BaseException, how: str, allowance: Allowance | None) -> str:
    kind, message = _title(error)
    level = "h2" if how else "h1"
    told = f'<span class="dim">{how}</span> ' if how else ""
    title = f'<{level}>{told}<b class="kind">{escape(kind)}</b>{escape(f": {message}" if message else "")}</{level}>\n'
    notes = "".join(f'<p class="note">{escape(str(note)[:_MOST_OF_TITLE])}</p>\n' for note in _notes(error))
    steps = _steps(error.__traceback__)
    half, left_out = MOST_FRAMES // 2, len(steps) - MOST_FRAMES
    first, last = (steps[:half], steps[-half:]) if left_out > 0 else (steps, [])
    gap = f'<p class="dim">… {left_out} more frames …</p>\n' if left_out > 0 else ""
    frames = [_frame(step, step is steps[0], allowance) for step in first]
    return title + notes + "".join(frames) + gap + "".join(_frame(step, False, allowance) for step in last)


def _notes(error: BaseException) -> Sequence[object]:
    notes = getattr(error, "__notes__", ())
    return notes if isinstance(notes, list | tuple) else ()


def _steps(traceback: TracebackType | None) -> list[TracebackType]:
    """Return the steps of a traceback without ours, unless there are no others; the latest first."""
    steps: list[TracebackType] = []
    while traceback is not None:
        steps.append(traceback)
        traceback = traceback.tb_next
    theirs = [step for step in steps if not step.tb_frame.f_code.co_filename.startswith(_OURS)]
    return (theirs or steps)[::-1]


def _frame(step: TracebackType, is_latest: bool, allowance: Allowance | None) -> str:
    frame, line = step.tb_frame, step.tb_lineno or 0
    path, name = frame.f_code.co_filename, frame.f_code.co_qualname
    is_open = " open" if is_latest or not _is_of_others(path) else ""
    folder, separator, file = path.rpartition(os.sep)
    where = (
        f'<span class="dim">{escape(folder + separator)}</span><b>{escape(file)}</b>:{line} '
        f'<span class="dim">in</span> {escape(name)}'
    )
    rows = "" if allowance is None else _rows(shown_locals(frame.f_locals, allowance, name == "<module>"))
    variables = f"<details><summary>Variables</summary><table>\n{rows}</table></details>" if rows else ""
    source = _source(path, line, frame, _columns(frame.f_code, step.tb_lasti, line))
    return f"<details{is_open}><summary>{where}</summary>\n{source}{variables}</details>\n"


def _is_of_others(path: str) -> bool:
    return path.startswith(("<", sys.base_prefix + os.sep + "lib")) or any(part in path for part in _OF_OTHERS)


def _columns(code: CodeType, instruction: int, line: int) -> tuple[int, int] | None:
    """Return from where to where in its line the expression goes that was evaluated, in bytes; None: not known."""
    at = next((each for index, each in enumerate(code.co_positions()) if index == instruction // 2), None)
    if at is None or at[0] != line or at[1] != line or at[2] is None or at[3] is None:
        return None
    return at[2], at[3]


def _source(path: str, line: int, frame: FrameType, columns: tuple[int, int] | None) -> str:
    lines = linecache.getlines(path, frame.f_globals)
    if not 0 < line <= len(lines):
        return "<p>&nbsp;The source is not to be had.</p>\n"
    shown_lines = []
    for number in range(max(1, line - AROUND), min(len(lines), line + AROUND) + 1):
        text = lines[number - 1].rstrip()
        before = f'<span class="dim">{number:5}</span>  '
        if number == line:
            shown_lines.append(f"<mark>{before}{_underlined(text, columns)}</mark>")
        else:
            shown_lines.append(f"<span>{before}{escape(text[:500])}</span>")
    return f"<pre>{''.join(shown_lines)}</pre>\n"


def _underlined(text: str, columns: tuple[int, int] | None) -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    if columns is None or not encoded[columns[0] : columns[1]].strip() or len(text) > 500:
        return escape(text[:500])
    before, within, after = encoded[: columns[0]], encoded[columns[0] : columns[1]], encoded[columns[1] :]
    if not before.strip() and not after.strip():
        return escape(text)  # all of the line
    first, second, third = (escape(part.decode("utf-8", "replace")) for part in (before, within, after))
    return f"{first}<u>{second}</u>{third}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    return f"<h2>{escape(title)}</h2>\n<table>\n{_rows(rows)}</table>\n"


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>\n" for name, value in rows)
