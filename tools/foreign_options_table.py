"""Print tables of other servers' options, with what to use here, in Markdown, or put them into the documentation.

python tools/foreign_options_table.py            print it
python tools/foreign_options_table.py --write    replace what stands between the two markers in docs/how-to/switch.md
"""

from textwrap import fill

from marked import ROOT, print_or_write, put

from snakepit.config.foreign_options import SAME, load, shown

PAGE = ROOT / "docs" / "how-to" / "switch.md"


def tables() -> str:
    """Return, for each server, the options that are the same, and a table of the others: one line for each answer."""
    return "\n".join(f"### {server}\n\n{_section(answers)}" for server, answers in load().options.items())


def _section(answers: dict[str, str]) -> str:
    same = [flag for flag, answer in answers.items() if answer == SAME]
    rows: dict[str, list[str]] = {}
    for flag, answer in answers.items():
        if answer != SAME:
            rows.setdefault(shown(answer), []).append(flag)
    paragraph = fill(f"The same: {_listed(same)}.", 120, break_on_hyphens=False, break_long_words=False)
    lines = [f"{paragraph}\n", "| Option | Here |", "| --- | --- |"]
    lines += [f"| {_listed(flags)} | {answer} |" for answer, flags in rows.items()]
    return "\n".join(lines) + "\n"


def _listed(flags: list[str]) -> str:
    return ", ".join(f"`{flag}`" for flag in flags)


def page_with(text: str, page: str) -> str:
    """Return the page with these between its markers. Raises SystemExit unless each marker occurs once."""
    return put(text, "options", page, PAGE)


if __name__ == "__main__":
    print_or_write("what other servers' options are here", tables(), PAGE, page_with)
