"""What a run of the benchmark beside peers measures."""

from pathlib import Path

import pytest

from benchmarks.peers.cases import CASES, GLANCE, GLANCE_LATENCY
from benchmarks.peers.contenders import CONTENDERS, Start
from benchmarks.peers.plan import Plan, choose_cases, choose_connections, choose_contenders, choose_latency
from benchmarks.peers.pythons import Python


def installed(folder, *without):
    """An environment that has the programs of all contenders but these."""
    folder.mkdir()
    for contender in CONTENDERS:
        if contender.family not in without:
            Path(contender.command(Start(folder, "", "asgi", 0, 1))[0]).touch()
    return folder


def plan(*pythons, cases=("raw",), only=(), connections=(32,), latency=(), rounds=3):
    return Plan(cases, only, pythons, connections, frozenset(latency), rounds)


def labels(found, name):
    return [entry.label for entry in found.entries(name)]


def test_those_who_take_part_by_default(tmp_path):
    found = plan(Python("", installed(tmp_path / "bin")))
    pounces = ["pounce, processes", "pounce, subinterpreters"]
    assert labels(found, "raw") == ["snakepit", "uvicorn", "granian", "gunicorn", *pounces]
    assert labels(found, "flask") == ["snakepit", "granian", "gunicorn"]
    assert labels(found, "websocket")[:2] == ["snakepit", "uvicorn, websockets-sansio"]
    assert "gunicorn, preloaded" in labels(found, "idle-flask")


def test_those_who_are_asked_for(tmp_path):
    python = Python("", installed(tmp_path / "bin"))
    assert labels(plan(python, only=("waitress", "snakepit")), "flask") == [
        "snakepit",
        "snakepit, h11 + asyncio",
        "waitress, one process",
    ]
    everybody = [each.name for each in CONTENDERS if "asgi" in each.interfaces and "http" in each.kinds]
    assert labels(plan(python, only=("all",)), "raw") == everybody


def test_pythons_multiply(tmp_path):
    folder = installed(tmp_path / "bin")
    found = plan(Python("3.15", folder), Python("3.15-jit", folder), only=("uvicorn, wsproto", "granian"))
    assert labels(found, "raw") == ["granian [3.15]", "granian [3.15-jit]"]


def test_who_is_not_installed_is_left_out_with_a_line(tmp_path):
    older = Python("3.14", installed(tmp_path / "older"))
    newer = Python("3.15", installed(tmp_path / "newer", "granian", "gunicorn", "caddysnake"))
    found = plan(older, newer)
    assert found.left_out("raw") == ["Not installed on 3.15, and left out: granian, gunicorn."]
    assert "granian [3.14]" in labels(found, "raw")
    assert "granian [3.15]" not in labels(found, "raw")


def test_what_others_use_is_told_of_too(tmp_path):
    found = plan(Python("3.15", installed(tmp_path / "bin"), missing={"httptools>=0.6": "no wheel"}))
    assert found.missing() == ["3.15 does without httptools>=0.6: no wheel."]


def test_only_loads_have_several_numbers_of_connections(tmp_path):
    found = plan(Python("", tmp_path), connections=(1, 4))
    assert found.loads("raw") == (1, 4)
    assert found.loads("mixed") == (4,)


def test_how_long_it_takes(tmp_path):
    python = Python("", installed(tmp_path / "bin"))
    found = plan(python, only=("uvicorn, wsproto", "snakepit, h11 + asyncio"))
    assert found.minutes() == pytest.approx(3 * (6 + 3) / 60)  # a server for 6 s, the app by itself for 3
    both = plan(python, only=("snakepit, h11 + asyncio",), connections=(1, 4), latency=("raw",), rounds=1)
    assert both.minutes() == pytest.approx((6 + 6 + 6 + 3 + 3) / 60)


def test_a_glance_is_affordable(tmp_path):
    found = plan(Python("", installed(tmp_path / "bin")), cases=GLANCE, latency=GLANCE_LATENCY)
    assert found.minutes() < 40


def test_cases_by_name():
    assert choose_cases([]) == GLANCE
    assert choose_cases(["flask", "idle", "flask"]) == ("flask", *(each for each in CASES if each.startswith("idle-")))
    assert choose_cases(["all"]) == tuple(CASES)
    with pytest.raises(ValueError, match="there is no case nope; there are raw, "):
        choose_cases(["raw", "nope"])


def test_a_fixed_rate_is_for_named_cases_that_are_loads():
    assert choose_latency(None, ("raw", "mixed", "flask"), True, 1) == {"raw", "flask"}


def test_a_fixed_rate_is_for_few_cases_of_a_glance():
    assert choose_latency(None, GLANCE, False, 1) == set(GLANCE_LATENCY)


def test_a_fixed_rate_is_not_for_many_numbers_of_connections():
    assert choose_latency(None, ("raw",), True, 4) == frozenset()
    assert choose_latency("all", ("raw",), True, 4) == {"raw"}


def test_a_fixed_rate_by_name():
    assert choose_latency("none", ("raw",), True, 1) == frozenset()
    assert choose_latency("raw", ("raw", "flask"), True, 1) == {"raw"}
    for given in ("flask", "mixed"):
        with pytest.raises(ValueError, match=f"of {given} here"):
            choose_latency(given, ("raw", "mixed"), True, 1)


def test_numbers_of_connections():
    assert choose_connections("1,4,16,4") == (1, 4, 16)
    with pytest.raises(ValueError, match="a connection at least"):
        choose_connections("4,0")
    with pytest.raises(ValueError, match="x"):
        choose_connections("x")


def test_contenders_by_name():
    assert choose_contenders(None) == ()
    assert choose_contenders("uvicorn,snakepit, h11 + asyncio") == ("uvicorn", "snakepit, h11 + asyncio")
    with pytest.raises(ValueError, match="there is no nginx"):
        choose_contenders("uvicorn,nginx")
