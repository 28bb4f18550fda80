"""What was measured of a case, as a table, as a chart and as data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.peers.case import Case


@dataclass(slots=True)
class Outcome:
    """The rounds of a contender, each with its figures by key; or, where there is none, why."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""


@dataclass(slots=True)
class Comparison:
    """All contenders of a case. `bare_us`: for each round, the CPU time of the app's call by itself, where known."""

    name: str
    case: Case
    workers: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    bare_us: list[float] = field(default_factory=list)

    def figures(self, contender: str) -> dict[str, float]:
        """One value for each column, from all rounds; empty where there is no round."""
        rounds = self.outcomes[contender].rounds
        found = {
            column.key: column.over_rounds([each[column.key] for each in rounds])
            for column in self.case.columns
            if rounds and column.key in rounds[0]
        }
        if rounds and self.bare_us:
            found["own_us"] = found["cpu_us"] - median(self.bare_us)
        return found


def table(comparison: Comparison) -> str:
    """The comparison in Markdown."""
    columns = comparison.case.columns
    lines = [f"### {comparison.name}", ""]
    if comparison.bare_us:
        lines += [f"The app by itself: {median(comparison.bare_us):.1f} CPU µs a call. Own µs is what is beyond.", ""]
    lines += [
        f"| {comparison.workers} workers | {' | '.join(column.heading for column in columns)} |",
        "|---|" + "---:|" * len(columns),
    ]
    for contender, outcome in comparison.outcomes.items():
        found = comparison.figures(contender)
        cells = [format(found[column.key], column.format) for column in columns] if found else [outcome.failure]
        cells += [""] * (len(columns) - len(cells))
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def chart(comparisons: list[Comparison]) -> str:
    """One figure of each comparison as bars in SVG, each comparison scaled to its largest."""
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


def _bars(comparison: Comparison) -> Iterator[tuple[str, float, str]]:
    for contender, outcome in comparison.outcomes.items():
        value = comparison.figures(contender).get(comparison.case.charted)
        yield (contender, value, f"{value:.1f}") if value is not None else (contender, 0.0, outcome.failure)


def data(comparisons: list[Comparison]) -> dict[str, object]:
    """All figures and all rounds, fit for JSON."""
    return {
        comparison.name: {
            "workers": comparison.workers,
            "bare_us": comparison.bare_us,
            "contenders": {
                contender: {
                    "failure": outcome.failure,
                    "figures": comparison.figures(contender),
                    "rounds": outcome.rounds,
                }
                for contender, outcome in comparison.outcomes.items()
            },
        }
        for comparison in comparisons
    }
