"""The table of envelopes in the documentation is made of the one in snakepit.wire.envelopes."""

import envelope_table

from snakepit.wire.envelopes import KINDS


def test_the_table_is_up_to_date():
    page = envelope_table.PAGE.read_text(encoding="utf-8")
    assert page == envelope_table.page_with(envelope_table.table(), page), "run: python tools/envelope_table.py --write"


def test_each_kind_has_its_row():
    rows = [row.split(" | ") for row in envelope_table.table().splitlines()[2:]]
    assert sorted(row[0].strip("| ") for row in rows) == sorted(kind.name for kind in KINDS)
    (answer,) = [row for row in rows if row[0] == "| ANSWER"]
    assert answer[1:3] == ["from worker", "exchange, status, fields, **body**"]
