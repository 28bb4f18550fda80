"""The tables of what HTTP demands are made of the cases."""

import conformance_table

from conformance.cases import CASES


def test_the_tables_are_up_to_date():
    page = conformance_table.PAGE.read_text(encoding="utf-8")
    assert page == conformance_table.page_with(conformance_table.tables(), page), (
        "run: python tools/conformance_table.py --write"
    )


def test_each_case_has_its_row():
    rows = [row.split(" | ") for row in conformance_table.tables().splitlines() if row.startswith("| ")]
    names = [row[0].removeprefix("| ").removesuffix(" (ASGI)").removesuffix(" (WSGI)") for row in rows]
    assert [name for name in names if name not in ("Case", "---")] == list(CASES)
    assert {len(row) for row in rows} == {4}
    assert all(part.strip("| ") for row in rows for part in row)
