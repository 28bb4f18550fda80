"""Print the table of envelopes, in Markdown, or put it into docs/explanation/architecture.md.

python tools/envelope_table.py            print it
python tools/envelope_table.py --write    replace what stands between the two markers in the page
"""

from marked import ROOT, print_or_write, put

from snakepit.wire.envelopes import KINDS, Kind

PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def table() -> str:
    """Return one line for each kind, in the order of `snakepit.wire.envelopes`."""
    lines = ["| Kind | Goes | Fields | Means |", "| --- | --- | --- | --- |"]
    lines += [f"| {kind.name} | {kind.direction} | {_fields(kind)} | {kind.meaning} |" for kind in KINDS]
    return "\n".join(lines) + "\n"


def _fields(kind: Kind) -> str:
    return ", ".join(f"**{name}**" if name == kind.body else name for name in kind.fields)


def page_with(text: str, page: str) -> str:
    """Return the page with this table between its markers."""
    return put(text, "envelopes", page, PAGE)


if __name__ == "__main__":
    print_or_write("the table of envelopes", table(), PAGE, page_with)
