"""The map in CONTRIBUTING.md is made of the folders and their docstrings."""

import code_map


def test_the_map_is_up_to_date():
    page = code_map.PAGE.read_text(encoding="utf-8")
    assert page == code_map.page_with(code_map.table(), page), "run: python tools/code_map.py --write"


def test_each_folder_says_what_it_is_for():
    rows = [row.split(" | ") for row in code_map.table().splitlines()[2:]]
    assert [folder for folder, what, _ in rows if not what] == []
    assert "| `snakepit/server/net/`" in [folder for folder, *_ in rows]
