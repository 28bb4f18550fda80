"""supervisor.first_look: which commands get a supervisor at once, and for which the options have to be parsed."""

import sys

import pytest

from snakepit.supervisor.first_look import ASK, DECIDED, NO, SUPERVISE, decision, look, take_decision
from snakepit.supervisor.link import ENVIRONMENT
from snakepit.system import jit


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, without a configuration file; this Python has a JIT compiler."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setattr(jit, "is_available", lambda: True)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ("run main:app", {}, SUPERVISE),
        ("run", {}, SUPERVISE),
        ("run main:app --reload --interpreters 4 --threads 3 --limit-max-requests-jitter 3", {}, SUPERVISE),
        ("run main:app --runtime process", {}, SUPERVISE),
        ("run main:app --runtime=process", {"SNAKEPIT_RUNTIME": "process"}, SUPERVISE),
        ("run main:app --runtime", {}, SUPERVISE),  # the server process says what is wrong with it
        ("run main:app --config none.toml", {}, ASK),  # which can't be read
        ("run main:app", {"SNAKEPIT_CONFIG": "none.toml"}, ASK),
        ("run main:app", {"SNAKEPIT_ENV_FILE": "none.env"}, ASK),
        ("run main:app --supervise", {}, ASK),
        ("run main:app --no-supervise", {}, ASK),
        ("run main:app --runtime thread", {}, ASK),
        ("run main:app --runtime=thread", {}, ASK),
        ("run main:app --jit", {}, ASK),
        ("run main:app --no-jit", {}, ASK),
        ("run main:app", {"SNAKEPIT_JIT": "0"}, ASK),
        ("run main:app", {"SNAKEPIT_RUNTIME": "thread"}, ASK),
        ("run main:app", {"SNAKEPIT_SUPERVISE": "true"}, ASK),
        ("run main:app", {"SNAKEPIT_SUPERVISE": ""}, SUPERVISE),
        ("run main:app --no-supervise", {DECIDED: "with"}, SUPERVISE),
        ("run --help", {}, ASK),
        ("run -h", {}, ASK),
        ("run --version", {}, ASK),
        ("run main:app --no-supervise", {ENVIRONMENT: "5 1 0 0 0"}, NO),  # it has one
        ("check main:app", {}, NO),
        ("--version", {}, NO),
        ("", {}, NO),
    ],
)
def test_arguments_and_environment(arguments, environ, expected):
    assert look(arguments.split(), environ) == expected


def test_without_a_jit_compiler_its_option_does_not_matter(folder, monkeypatch):
    monkeypatch.setattr(jit, "is_available", lambda: False)
    (folder / "snakepit.toml").write_text("jit = true\n")
    assert look(["run", "main:app", "--jit"], {"SNAKEPIT_JIT": "1"}) == SUPERVISE


FILES = [
    ('app = "main:app"\nthreads = 4\n', SUPERVISE),
    ("# supervise = false\n  # env-file = '.env'\n", SUPERVISE),
    ("supervise = false\n", ASK),
    ('runtime = "thread"\n', ASK),
    ("runtime = 'thread'\n", ASK),
    ("jit = false\n", ASK),
    ('env-file = ".env"\n', ASK),
    ('env_file = ".env"\n', ASK),
    ("port = 'not closed\n", SUPERVISE),  # the server process says what is wrong with it
]


@pytest.mark.parametrize(("text", "expected"), FILES)
@pytest.mark.parametrize("how", ["here", "above", "pyproject", "option", "equals", "variable"])
def test_files(folder, monkeypatch, how, text, expected):
    arguments, environ = ["run", "main:app"], {}
    if how in ("here", "above"):
        (folder / "snakepit.toml").write_text(text)
    elif how == "pyproject":
        (folder / "pyproject.toml").write_text(f"[tool.snakepit]\n{text}")
    else:
        path = folder / "other.toml"
        path.write_text(text)
        arguments += {"option": ["--config", str(path)], "equals": [f"--config={path}"]}.get(how, [])
        environ = {"SNAKEPIT_CONFIG": str(path)} if how == "variable" else {}
    if how == "above":
        below = folder / "a" / "b"
        below.mkdir(parents=True)
        monkeypatch.chdir(below)
        monkeypatch.setenv("PWD", str(below))
    assert look(arguments, environ) == expected


def test_a_pyproject_of_other_tools(folder):
    text = "[project.scripts]\nsnakepit = 'snakepit:main'\n[tool.other]\nsupervise = false\npackages = ['snakepit']\n"
    (folder / "pyproject.toml").write_text(text)
    assert look(["run"], {}) == SUPERVISE


def test_files_above_the_nearest_do_not_count(folder, monkeypatch):
    (folder / "snakepit.toml").write_text("supervise = false\n")
    below = folder / "below"
    below.mkdir()
    (below / "snakepit.toml").write_text("port = 1\n")
    monkeypatch.chdir(below)
    monkeypatch.setenv("PWD", str(below))
    assert look(["run"], {}) == SUPERVISE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("SNAKEPIT_PORT=1\n", SUPERVISE), ("SNAKEPIT_SUPERVISE=0\n", ASK), ("SNAKEPIT_RUNTIME=thread\n", ASK)],
)
def test_env_files(folder, text, expected):
    (folder / "x.env").write_text(text)
    assert look(["run", "--env-file", "x.env"], {}) == expected
    assert look(["run", "--env-file=x.env"], {}) == expected
    assert look(["run"], {"SNAKEPIT_ENV_FILE": "x.env"}) == expected


def test_a_python_that_does_not_know_its_own_path(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert look(["run", "main:app"], {}) == NO


@pytest.mark.parametrize("jit", [None, True, False])
def test_a_decision_is_taken_once(jit):
    environ = {"A": "1", DECIDED: decision(jit)}
    assert take_decision(environ) is jit
    assert environ == {"A": "1"}
    assert take_decision(environ) is None
