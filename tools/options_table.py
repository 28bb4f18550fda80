"""Print the table of options, in Markdown, or put it into the documentation.

python tools/options_table.py            print it
python tools/options_table.py --write    replace what stands between the two markers in docs/reference/options.md
"""

from marked import ROOT, print_or_write, put

from snakepit.cli.main import cli
from snakepit.config.option import Option
from snakepit.config.options import OPTIONS

PAGE = ROOT / "docs" / "reference" / "options.md"
_HEADINGS = ("Flag", "Environment variable", "Default", "Values", "Meaning")


_BETWEEN = {"\n": "line breaks", ",": "commas", " ": "spaces"}


def table() -> str:
    """Return one line for each option, in the order of their declaration."""
    flags = {param.name: [*param.opts, *param.secondary_opts] for param in cli.commands["run"].params}
    rows = [
        (
            ", ".join(f"`{flag}`" for flag in flags[option.name]),
            ", ".join(f"`{variable}`" for variable in option.variables),
            option.default_text or "",
            _values(option),
            option.help,
        )
        for option in OPTIONS
    ]
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', r'\|') for cell in line)} |\n" for line in lines)


def page_with(rows: str, page: str) -> str:
    """Return the page with this table between its markers. Raises SystemExit unless each marker occurs once."""
    return put(rows, "options", page, PAGE)


def _values(option: Option) -> str:
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    if option.kind is bool:
        return "on, off"
    if option.several:
        between = _BETWEEN.get(option.separator, "the system's separator of paths")
        return f"text, several times; in the variable with {between} between them"
    if option.kind is str:
        return "text"
    kind = "whole number" if option.kind is int else "number"
    if option.least is not None and option.most is not None:
        return f"{kind}, {option.least:g} to {option.most:g}"
    return kind if option.least is None else f"{kind}, at least {option.least:g}"


if __name__ == "__main__":
    print_or_write("the table of options", table(), PAGE, page_with)
