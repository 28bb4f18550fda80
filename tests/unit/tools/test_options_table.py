"""The table in docs/reference/options.md is derived from `snakepit.config.options.OPTIONS`."""

import options_table
import pytest

from snakepit.config.options import OPTIONS


def test_the_page_is_up_to_date() -> None:
    page = options_table.PAGE.read_text(encoding="utf-8")

    assert page == options_table.page_with(options_table.table(), page), "run: python tools/options_table.py --write"


def test_the_table_has_a_row_for_each_option() -> None:
    rows = options_table.table().splitlines()[2:]

    assert [row.split(" | ")[1] for row in rows] == [
        ", ".join(f"`{variable}`" for variable in option.variables) for option in OPTIONS
    ]


@pytest.mark.parametrize("page", ["", "<!-- options: start -->\n", "<!-- options: end -->\n<!-- options: start -->\n"])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(SystemExit, match="must have its two markers"):
        options_table.page_with("table\n", page)
