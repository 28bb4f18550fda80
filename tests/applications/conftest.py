"""`make apps`: the options, and the table at the end."""

import sys
from pathlib import Path

import pytest
import table
from catalog import APPLICATIONS

sys.path.append(str(Path(__file__).parents[1] / "e2e"))


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="those only that are installed and tried in seconds")
    parser.addoption("--write", action="store_true", help=f"write {table.PAGE.name} and its data")


def pytest_generate_tests(metafunc):
    if "application" in metafunc.fixturenames:
        quick = metafunc.config.getoption("--quick")
        chosen = [application for application in APPLICATIONS if application.quick or not quick]
        metafunc.parametrize("application", chosen, ids=[application.name for application in chosen])


OUTCOMES = pytest.StashKey[list[table.Outcome]]()


def pytest_configure(config):
    config.stash[OUTCOMES] = []


@pytest.fixture
def outcome(application, request):
    """The outcome of an application, which the table shows even if its test fails."""
    if table.THIS_PYTHON in application.absent:
        pytest.skip(application.absent[table.THIS_PYTHON])
    outcome = table.Outcome(application.name, table.THIS_PYTHON)
    request.config.stash[OUTCOMES].append(outcome)
    return outcome


def pytest_terminal_summary(terminalreporter, config):
    outcomes = config.stash[OUTCOMES]
    if outcomes:
        terminalreporter.section("applications")
        terminalreporter.write_line(table.text(outcomes))
    if outcomes and config.getoption("--write"):
        table.write(outcomes)
