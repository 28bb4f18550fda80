"""Tables of what was measured."""

import json
from pathlib import Path

from benchmarks.peers.cases import CASES
from benchmarks.peers.comparison import Comparison, Entry, Outcome
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.pythons import Python
from benchmarks.peers.report import chart, connections_table, data, ratio_table, table

HERE = Python("", Path("bin"))
RATE = {"per_second": 1000.0, "requests": 3000, "cpu_us": 20.0, "errors": 0}


def outcome(name, *rounds, failure="", python=HERE):
    contender = next(each for each in CONTENDERS if each.name == name)
    return Outcome(Entry(contender, python), dict(enumerate(rounds)), failure)


def comparison(*outcomes, connections=32, about="", notes=()):
    found = {each.entry.label: each for each in outcomes}
    return Comparison("raw", CASES["raw"], 2, connections, about, found, {}, list(notes))


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_who_could_not_be_measured_has_the_reason_in_the_table():
    head, _, first, second = rows(table(comparison(outcome("snakepit", RATE), outcome("granian", failure="why"))))
    assert first[:3] == ["snakepit", "1,000", "20.0"]
    assert second[:3] == ["granian", "why", ""]
    assert len({len(head), len(first), len(second)}) == 1


def test_notes_stand_above_the_table():
    assert "Not installed, and left out: caddysnake.\n\n|" in table(
        comparison(outcome("snakepit", RATE), notes=["Not installed, and left out: caddysnake."])
    )


def test_threads_have_columns_where_somebody_has_figures_for_them():
    by_thread = RATE | {"main_us": 12.0, "main_system_us": 5.0, "others_us": 8.0}
    assert "main thread µs" not in rows(table(comparison(outcome("uvicorn", RATE))))[0]
    head, _, snakepit, uvicorn = rows(table(comparison(outcome("snakepit", by_thread), outcome("uvicorn", RATE))))
    assert snakepit[head.index("main thread µs")] == "12.0"
    assert uvicorn[head.index("main thread µs")] == "–"


def test_a_row_for_each_ratio():
    better = RATE | {"per_second": 1500.0}
    text = ratio_table([comparison(outcome("snakepit", better, better, better), outcome("uvicorn", RATE, RATE, RATE))])
    assert rows(text)[2:] == [
        ["raw", "requests/s", "1,500", "uvicorn", "1,000", "**1.50**", "1.50 .. 1.50", "better"],
        ["raw", "CPU µs", "20.0", "uvicorn", "20.0", "**1.00**", "1.00 .. 1.00", "even"],
    ]


def test_fewer_than_three_rounds_are_marked():
    text = ratio_table([comparison(outcome("snakepit", RATE, RATE), outcome("uvicorn", RATE, RATE))])
    assert [row[5] for row in rows(text)[2:]] == ["**1.00***"] * 2


def test_small_ratios_have_digits():
    text = ratio_table([comparison(outcome("snakepit", RATE | {"cpu_us": 4000.0}), outcome("uvicorn", RATE))])
    assert rows(text)[3][5:7] == ["**0.005***", "0.005 .. 0.005"]


def test_errors_of_snakepits_are_not_hidden():
    wrong = RATE | {"errors": 300}
    text = ratio_table([comparison(outcome("snakepit", wrong), outcome("uvicorn", RATE))])
    assert {row[7] for row in rows(text)[2:]} == {"one round, with errors"}


def test_a_case_that_snakepit_could_not_serve_stays_among_the_ratios():
    python = Python("3.15", Path("newer"))
    failed = outcome("snakepit", failure="did not start", python=python)
    text = ratio_table([comparison(failed, outcome("uvicorn", RATE, python=python))])
    assert rows(text)[2:] == [["raw [3.15]", "", "did not start", *[""] * 5]]


def test_costs_by_number_of_connections():
    def costs(total, main):
        return RATE | {"cpu_us": total, "main_us": main, "others_us": total - main}

    text = connections_table(
        [
            comparison(outcome("snakepit", costs(60.0, 40.0)), outcome("uvicorn", RATE), connections=1),
            comparison(outcome("snakepit", costs(24.0, 15.0)), connections=16),
        ]
    )
    assert rows(text)[0][-2:] == ["1", "16"]
    assert rows(text)[2:] == [
        ["raw", "snakepit", "all", "60.0", "24.0"],
        ["raw", "snakepit", "main thread", "40.0", "15.0"],
        ["raw", "snakepit", "other threads", "20.0", "9.0"],
        ["raw", "uvicorn", "all", "20.0", "–"],
    ]


def test_one_number_of_connections_needs_no_table_of_them():
    assert connections_table([comparison(outcome("snakepit", RATE))]) == ""


def test_data_are_json_with_all_rounds_and_ratios():
    found = comparison(outcome("snakepit", RATE, RATE), outcome("uvicorn", RATE, RATE), about="16 connections")
    read = json.loads(json.dumps(data([found])))["raw, 16 connections"]
    assert read["contenders"]["uvicorn"]["rounds"] == [RATE, RATE]
    assert [(ratio["key"], ratio["median"]) for ratio in read["ratios"]] == [("per_second", 1), ("cpu_us", 1)]


def test_the_chart_has_a_bar_for_each():
    text = chart([comparison(outcome("snakepit", RATE), outcome("granian", failure="did not start"))])
    assert text.count("<rect") == 2
    assert ">did not start</text>" in text
