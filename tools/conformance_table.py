"""Print the tables of what HTTP demands, in Markdown, or put them into docs/reference/http-conformance.md.

python tools/conformance_table.py            print them
python tools/conformance_table.py --write    replace what stands between the two markers in the page
"""

import sys

from marked import ROOT, print_or_write, put

sys.path.insert(0, str(ROOT))

from conformance.cases import GROUPS

PAGE = ROOT / "docs" / "reference" / "http-conformance.md"
ONLY = {"asgi": " (ASGI)", "wsgi": " (WSGI)", "": ""}


def tables() -> str:
    """Return a table for each group of cases, with what Snakepit does."""
    lines: list[str] = []
    for group in GROUPS:
        lines += [f"## {group.title}", "", "| Case | Section | Demand | Snakepit |", "| --- | --- | --- | --- |"]
        demand = ""
        for case in group.cases:
            if case.demand != "the same":
                demand = case.demand
            note = f" ({case.note})" if case.note else ""
            lines.append(f"| {case.name}{ONLY[case.interface]} | {case.section} | {demand} | {case.ways[0]}{note} |")
        lines.append("")
    return "\n".join(lines)


def page_with(text: str, page: str) -> str:
    """Return the page with these tables between its markers."""
    return put(text, "cases", page, PAGE)


if __name__ == "__main__":
    print_or_write("the tables of cases", tables(), PAGE, page_with)
