"""What the rounds of contenders come to: medians, the best peer, ratios."""

from pathlib import Path

import pytest

from benchmarks.peers.cases import CASES
from benchmarks.peers.comparison import Comparison, Entry, Outcome, ratios, snakepits
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.pythons import Python

HERE = Python("", Path("bin"))
NEWER = Python("3.15", Path("newer"))


def outcome(name, rounds, python=HERE):
    contender = next(each for each in CONTENDERS if each.name == name)
    return Outcome(Entry(contender, python), dict(enumerate(rounds)))


def comparison(*outcomes, case="raw"):
    return Comparison(case, CASES[case], 2, 32, outcomes={each.entry.label: each for each in outcomes})


def rates(*values):
    return [{"per_second": value, "requests": 1000} for value in values]


def costs(*values):
    return [{"cpu_us": value, "requests": 1000} for value in values]


def the_ratio(*outcomes):
    found = comparison(*outcomes)
    (ratio,) = ratios(found, snakepits(found)[0])
    return ratio


def test_more_requests_are_better():
    ratio = the_ratio(outcome("snakepit", rates(200, 300, 100)), outcome("uvicorn", rates(100, 100, 100)))
    assert (ratio.ours, ratio.theirs) == (200, 100)
    assert (ratio.median, ratio.least, ratio.most, ratio.rounds) == (2, 1, 3, 3)


def test_less_cpu_time_is_better():
    ratio = the_ratio(outcome("snakepit", costs(20, 20, 20)), outcome("uvicorn", costs(10, 30, 40)))
    assert (ratio.median, ratio.least, ratio.most) == (1.5, 0.5, 2)


def test_ratios_are_those_of_the_same_round():
    """The whole machine was twice as fast in the second and third round: nothing of that is in the ratio."""
    ratio = the_ratio(outcome("snakepit", rates(100, 200, 200)), outcome("uvicorn", rates(50, 100, 100)))
    assert (ratio.least, ratio.most) == (2, 2)


def test_rounds_that_one_of_them_lacks_are_left_out():
    ours, theirs = outcome("snakepit", rates(100, 200, 300)), outcome("uvicorn", rates(100, 100, 100))
    del ours.rounds[0], theirs.rounds[2]
    ratio = the_ratio(ours, theirs)
    assert (ratio.rounds, ratio.median) == (1, 2)


def test_the_best_peer_is_the_one_whose_median_is_best():
    ratio = the_ratio(
        outcome("snakepit", rates(100, 100, 100)),
        outcome("uvicorn", rates(80, 80, 900)),
        outcome("granian", rates(120, 125, 130)),
        outcome("gunicorn", rates(90, 90, 90)),
    )
    assert (ratio.peer, ratio.theirs) == ("granian", 125)


def test_the_best_by_cost_is_the_cheapest():
    ratio = the_ratio(outcome("snakepit", costs(10)), outcome("uvicorn", costs(30)), outcome("granian", costs(20)))
    assert ratio.peer == "granian"


def test_who_is_no_rival_is_not_compared_with():
    found = comparison(outcome("snakepit", rates(1)), outcome("pounce, processes", rates(9)))
    assert ratios(found, snakepits(found)[0]) == []


def test_a_peer_with_errors_is_no_example():
    wrong = [{"per_second": 500.0, "requests": 1000, "errors": 2}]
    ratio = the_ratio(outcome("snakepit", rates(100)), outcome("uvicorn", wrong), outcome("gunicorn", rates(80)))
    assert ratio.peer == "gunicorn"


def test_one_error_in_a_thousand_is_overlooked():
    assert outcome("uvicorn", [{"requests": 1000, "errors": 1}]).is_sound
    assert not outcome("uvicorn", [{"requests": 1000, "errors": 0}, {"requests": 999, "errors": 1}]).is_sound


def test_a_peer_that_could_not_be_measured_is_left_out():
    ratio = the_ratio(outcome("snakepit", rates(100)), outcome("uvicorn", []), outcome("granian", rates(50)))
    assert ratio.peer == "granian"


def test_each_python_has_a_best_peer_of_its_own():
    found = comparison(
        outcome("snakepit", rates(100)),
        outcome("uvicorn", rates(50)),
        outcome("snakepit", rates(100), NEWER),
        outcome("granian", rates(400), NEWER),
    )
    assert [(ratio.python, ratio.peer, ratio.median) for each in snakepits(found) for ratio in ratios(found, each)] == [
        ("", "uvicorn", 2),
        ("3.15", "granian", 0.25),
    ]


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [((110, 120, 130), "better"), ((90, 80, 70), "worse"), ((90, 120, 130), "even"), ((200,), "one round")],
)
def test_the_verdict_is_that_of_all_rounds(ours, verdict):
    assert the_ratio(outcome("snakepit", rates(*ours)), outcome("uvicorn", rates(100, 100, 100))).verdict == verdict


def test_a_time_too_short_to_be_measured_makes_no_ratio():
    found = comparison(outcome("snakepit", costs(0)), outcome("uvicorn", costs(10)))
    assert ratios(found, snakepits(found)[0]) == []


def test_figures_are_medians_but_where_a_column_says_otherwise():
    rounds = [{"fast_p99_ms": p99, "errors": errors} for p99, errors in ((1, 0), (9, 5), (2, 0))]
    found = comparison(outcome("snakepit", rounds), case="mixed").figures("snakepit")
    assert found == {"fast_p99_ms": 2, "errors": 5}


def test_own_time_is_what_is_beyond_the_app_on_the_same_python():
    found = comparison(outcome("snakepit", costs(30, 50, 40)), outcome("snakepit", costs(30), NEWER))
    found.bare_us = {"": [11, 10, 12], "3.15": [5]}
    assert found.figures("snakepit")["own_us"] == 29
    assert found.figures("snakepit [3.15]")["own_us"] == 25


def test_the_most_that_each_can_take():
    found = comparison(
        outcome("snakepit", rates(100, 300, 200)), outcome("uvicorn", rates(150)), outcome("granian", [])
    )
    assert found.most_per_second() == {"snakepit": 200, "uvicorn": 150}
