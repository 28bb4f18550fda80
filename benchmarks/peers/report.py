"""What was measured, as tables, as a chart and as data."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.peers.case import Column
from benchmarks.peers.comparison import Comparison, ratios, snakepits
from benchmarks.peers.contenders import RIVALS

ROUNDS = 3  # a ratio of fewer is marked
_ABOUT_RATIOS = (
    "Ratios above 1 are in Snakepit's favour, of requests (more is better) as of times and memory (less is better). A "
    "ratio is the median of the rounds', with the least and the most beside it; the verdict is even where these are on "
    "both sides of 1."
)


def table(comparison: Comparison) -> str:
    """Render a comparison as Markdown."""
    columns = _columns(comparison)
    lines = [f"### {comparison.name}", ""]
    if comparison.notes:
        lines += ["\n".join(comparison.notes), ""]
    for python, bare in comparison.bare_us.items():
        on = f" on {python}" if python else ""
        lines += [f"The app by itself{on}: {median(bare):.1f} CPU µs a call. Own µs is what is beyond.", ""]
    head = [f"{comparison.workers} workers", *(column.heading for column in columns)]
    rows = []
    for label, outcome in comparison.outcomes.items():
        found = comparison.figures(label)
        cells = [_cell(found, column) for column in columns] if found else [outcome.failure]
        rows.append([label, *cells, *[""] * (len(columns) - len(cells))])
    return _markdown(head, rows, lines)


def ratio_table(comparisons: Sequence[Comparison]) -> str:
    """Render the ratios as Markdown: a row for each case, Python and criterion."""
    lines = [f"## Snakepit against the best of {', '.join(RIVALS)}", ""]
    lines += [f"{_ABOUT_RATIOS} Fewer than {ROUNDS} rounds are marked with a star.", ""]
    head = ["case", "figure", "Snakepit", "best peer", "its", "ratio", "least .. most", "verdict"]
    rows = [row for comparison in comparisons for row in _standing(comparison)]
    return _markdown(head, rows, lines, left=2)


def _standing(comparison: Comparison) -> Iterator[list[str]]:
    """Make the rows of the table of ratios."""
    columns = {column.key: column for column in comparison.case.columns}
    for outcome in snakepits(comparison):
        case = outcome.entry.python.label(comparison.name)
        if not outcome.rounds:
            yield [case, "", outcome.failure, *[""] * 5]
        for ratio in ratios(comparison, outcome):
            column = columns[ratio.key]
            yield [
                case,
                column.heading,
                format(ratio.ours, column.format),
                ratio.peer,
                format(ratio.theirs, column.format),
                f"**{_times(ratio.median)}**" + "*" * (ratio.rounds < ROUNDS),
                f"{_times(ratio.least)} .. {_times(ratio.most)}",
                ratio.verdict if outcome.is_sound else f"{ratio.verdict}, with errors",
            ]


def _times(ratio: float) -> str:
    """Format a ratio with two decimals, or two significant digits if it is small."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def connections_table(comparisons: Sequence[Comparison]) -> str:
    """Render CPU time a request by number of connections, and by thread; nothing if there is one number."""
    numbers = sorted({each.connections for each in comparisons})
    costs: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for comparison in comparisons:
        for label in comparison.outcomes:
            found = comparison.figures(label)
            if "per_second" in found and "cpu_us" in found:
                costs.setdefault((comparison.case_name, label), {})[comparison.connections] = found
    if len(numbers) < 2:
        return ""
    rows = []
    for (case, label), by_number in costs.items():
        for key, what in (("cpu_us", "all"), ("main_us", "main thread"), ("others_us", "other threads")):
            if any(key in found for found in by_number.values()):
                cells = [f"{found[key]:.1f}" if key in (found := by_number.get(each, {})) else "–" for each in numbers]
                rows.append([case, label, what, *cells])
    lines = ["## CPU µs a request, by number of connections", ""]
    return _markdown(["case", "server", "CPU time of", *map(str, numbers)], rows, lines, left=3)


def chart(comparisons: Sequence[Comparison]) -> str:
    """Draw one figure of each comparison as bars in SVG, scaled to the largest of the comparison."""
    row, label, width = 18, 220, 460
    parts: list[str] = []
    y = 30
    for comparison in comparisons:
        bars = list(_bars(comparison))
        heading = next(c.heading for c in comparison.case.columns if c.key == comparison.case.charted)
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{comparison.name}: {heading}</text>')
        most = max((value for _, value, _ in bars), default=0.0) or 1.0
        for contender, value, text in bars:
            y += row
            colour = "#2a7f62" if contender.startswith("snakepit") else "#9aa5b1"
            size = value / most * width
            parts.append(f'<text x="{label - 8}" y="{y}" text-anchor="end">{contender}</text>')
            parts.append(f'<rect x="{label}" y="{y - 11}" width="{size:.0f}" height="13" fill="{colour}"/>')
            parts.append(f'<text x="{label + size + 6:.0f}" y="{y}">{text}</text>')
        y += row + 16
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{label + width + 120}" height="{y}" '
    return head + 'font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"


def data(comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Return all figures and all rounds, fit for JSON."""
    return {
        comparison.name: {
            "workers": comparison.workers,
            "connections": comparison.connections,
            "notes": comparison.notes,
            "bare_us": comparison.bare_us,
            "contenders": {
                label: {
                    "failure": outcome.failure,
                    "figures": comparison.figures(label),
                    "rounds": list(outcome.rounds.values()),
                }
                for label, outcome in comparison.outcomes.items()
            },
            "ratios": [
                {**ratio._asdict(), "verdict": ratio.verdict}
                for outcome in snakepits(comparison)
                for ratio in ratios(comparison, outcome)
            ],
        }
        for comparison in comparisons
    }


def _columns(comparison: Comparison) -> list[Column]:
    """Return the columns of the case, without optional ones that no contender has."""
    there = {key for label in comparison.outcomes for key in comparison.figures(label)}
    return [column for column in comparison.case.columns if not column.optional or column.key in there]


def _cell(found: dict[str, float], column: Column) -> str:
    return format(found[column.key], column.format) if column.key in found else "–"


def _markdown(head: list[str], rows: list[list[str]], before: list[str], left: int = 1) -> str:
    """Render a table below some lines; its first columns are aligned to the left, the others to the right."""
    rule = "|" + "---|" * left + "---:|" * (len(head) - left)
    return "\n".join([*before, _row(head), rule, *map(_row, rows), ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bars(comparison: Comparison) -> Iterator[tuple[str, float, str]]:
    for label, outcome in comparison.outcomes.items():
        value = comparison.figures(label).get(comparison.case.charted)
        yield (label, value, f"{value:.1f}") if value is not None else (label, 0.0, outcome.failure)
