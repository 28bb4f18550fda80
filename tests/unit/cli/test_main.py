"""snakepit.cli.main: every option is there, what is given is handed on, and what can't be ends with status 2."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from waiting import PATIENCE

from snakepit import __version__
from snakepit.cli.main import CHECKED, cli
from snakepit.config.options import OPTIONS
from snakepit.supervisor.first_look import ASK


@pytest.fixture
def runs(monkeypatch):
    """What the command line would have run."""
    calls = []

    def run_command(app, config_file, no_config, **given):
        calls.append((app, given) if config_file is None and not no_config else (app, given, config_file, no_config))

    monkeypatch.setattr("snakepit.server.run.run_command", run_command)
    for option in OPTIONS:
        monkeypatch.delenv(option.env, raising=False)
    return calls


def invoke(*arguments):
    return CliRunner().invoke(cli, arguments, prog_name="snakepit")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_option_with_its_variable(flag):
    result = invoke("run", flag)
    assert result.exit_code == 0
    words = result.output.split()
    flags = {part for word in words for part in word.strip(",").split("/")}
    for option in OPTIONS:
        assert option.flag in flags
        assert any(f"[{option.env}{end}" in words for end in (";", "]", ","))
        assert {variable.rstrip(";,]").lstrip("[") for variable in words} >= set(option.variables)
        if option.short is not None:
            assert option.short in flags


def test_help_shows_defaults():
    text = " ".join(invoke("run", "--help").output.split())
    assert "[SNAKEPIT_PORT; default: 8000; with --domain 443]" in text
    assert "[SNAKEPIT_INTERPRETERS, SNAKEPIT_WORKERS, WEB_CONCURRENCY; default: usable CPUs]" in text
    assert "[SNAKEPIT_UDS]" in text


def test_help_without_a_command():
    result = invoke("--help")
    assert result.exit_code == 0
    assert "run" in result.output.split()


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["run", "--version"], ["run", "main:app", "--version"]])
def test_version(runs, arguments):
    result = invoke(*arguments)
    assert result.output == f"snakepit {__version__}\n"
    assert runs == []


def test_only_what_is_given_is_handed_on(runs):
    assert invoke("run", "main:app").exit_code == 0
    assert runs == [("main:app", {})]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["-n", "4"], {"interpreters": 4}),
        (["--interpreters", "4"], {"interpreters": 4}),
        (["--workers", "4"], {"interpreters": 4}),
        (["-w", "4"], {"interpreters": 4}),
        (["-w4", "--header", "A:1", "--header", "B:2"], {"interpreters": 4, "header": ("A:1", "B:2")}),
        (["--use-colors", "--reset-contextvars"], {"use_colors": True, "reset_contextvars": True}),
        (["--no-use-colors", "--reload-delay", "0.25"], {"use_colors": False, "reload_delay": 0.25}),
        (["--port", "0"], {"port": 0}),
        (["--timeout-keep-alive", "2.5"], {"timeout_keep_alive": 2.5}),
        (["--log-level", "debug"], {"log_level": "debug"}),
        (["--factory"], {"factory": True}),
        (["--access-log"], {"access_log": True}),
        (["--no-access-log"], {"access_log": False}),
        (["--no-date-header", "--no-server-header"], {"date_header": False, "server_header": False}),
        (["--root-path", ""], {"root_path": ""}),
        (["--env-file", "x.env", "--app-dir", "src"], {"env_file": "x.env", "app_dir": "src"}),
    ],
)
def test_given(runs, arguments, given):
    result = invoke("run", *arguments, "main:app")
    assert result.exit_code == 0, result.output
    assert runs == [("main:app", given)]


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.kind is not bool], ids=lambda o: o.name)
def test_every_option_takes_a_value(runs, option):
    value = option.choices[-1] if option.choices else option.kind(option.least or 1)
    result = invoke("run", "main:app", option.flag, str(value))
    assert result.exit_code == 0, result.output
    assert runs == [("main:app", {option.name: (value,) if option.several else value})]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["main:app", "--port", "http"], "--port"),
        (["main:app", "--port", "65536"], "--port"),
        (["main:app", "-n", "-1"], "--interpreters"),
        (["main:app", "--interpreters", "1.5"], "--interpreters"),
        (["main:app", "--lifespan", "maybe"], "--lifespan"),
        (["main:app", "--timeout-request-head", "0"], "--timeout-request-head"),
        (["main:app", "--no-factory"], "--no-factory"),
        (["main:app", "--prot", "1"], "--port"),
        (["main:app", "second:app"], "second:app"),
    ],
)
def test_what_click_refuses(runs, arguments, named):
    result = invoke("run", *arguments)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output
    assert runs == []


def test_options_of_other_servers_are_answered_all_at_once(runs):
    result = invoke("run", "main:app", "-k", "gevent", "-w", "4", "--timeout", "30", "--interface", "asgi3")
    assert result.exit_code == 2
    lines = result.stderr.partition("Error: ")[2].splitlines()
    assert lines[0] == "Options of other servers were given:"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "  -k (of gunicorn and hypercorn)",
        "  --timeout (of gunicorn)",
        "  --interface asgi3",
    ]
    assert runs == []


def test_an_app_in_place_of_a_command():
    result = invoke("main:app", "--workers", "4")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: No such command 'main:app'. To serve it: snakepit run main:app\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["main:app", "--header", "x"], "Error: header must look like NAME:VALUE, as in X-Frame-Options:DENY, not 'x'"),
        (["main:app", "--uds", "x", "--fd", "3"], "Error: uds and fd can't be used together\n"),
        (["main:app", "--root-path", "api"], "Error: root_path must start with a slash, not be 'api'\n"),
        (["main:app", "--timeout-keep-alive", "nan"], "Error: timeout_keep_alive must be at least 0, not nan\n"),
        (["main:app", "--env-file", "/does/not/exist"], "Error: env file '/does/not/exist' can't be read:"),
    ],
)
def test_what_the_config_refuses(arguments, message):
    result = invoke("run", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stdout == ""


def test_bad_variable(monkeypatch):
    monkeypatch.setenv("SNAKEPIT_PORT", "http")
    result = invoke("run", "main:app")
    assert result.exit_code == 2
    assert result.stderr == "Error: SNAKEPIT_PORT must be a whole number, not 'http'\n"


@pytest.fixture
def checks(monkeypatch):
    """What the command line would have checked; the last one's status is 3."""
    calls = []

    def main(app, **given):
        calls.append((app, given))
        return 3

    monkeypatch.setattr("snakepit.check.command.main", main)
    return calls


def test_check(checks):
    assert invoke("check", "main:app").exit_code == 3
    assert checks == [("main:app", {"as_json": False, "verbose": False, "timeout": 120.0, "given": {}, "file": None})]


def test_check_with_options(checks):
    options = ["--json", "-v", "--timeout", "5", "--factory", "--app-dir", "src", "--extensions", "all"]
    assert invoke("check", *options, "--interface", "asgi", "--env-file", "x.env", "main:app").exit_code == 3
    ((_, given),) = checks
    assert given == {
        "as_json": True,
        "verbose": True,
        "timeout": 5.0,
        "given": {
            "factory": True,
            "app_dir": "src",
            "extensions": "all",
            "interface": "asgi",
            "env_file": "x.env",
        },
        "file": None,
    }


def test_check_help_lists_its_options():
    words = invoke("check", "--help").output.split()
    assert {f"--{name.replace('_', '-')}" for name in CHECKED} | {"--json", "--verbose", "--timeout"} <= set(words)
    assert "--port" not in words


@pytest.mark.parametrize("arguments", [["--port", "1"], ["--timeout", "0"], ["--timeout", "soon"]])
def test_what_check_refuses(checks, arguments):
    result = invoke("check", "main:app", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output
    assert checks == []


@pytest.fixture
def commands(monkeypatch):
    """What the command line would have asked a running server."""
    calls = []
    for name in ("status", "reload", "scale", "stop", "upgrade"):
        monkeypatch.setattr(f"snakepit.control.commands.{name}", lambda *given, name=name: calls.append((name, *given)))
    monkeypatch.delenv("SNAKEPIT_NAME", raising=False)
    return calls


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["status"], ("status", None, None, False)),
        (["status", "--json", "--name", "shop"], ("status", "shop", None, True)),
        (["reload"], ("reload", None, None)),
        (["reload", "--pid", "12"], ("reload", None, 12)),
        (["scale", "4"], ("scale", 4, None, None)),
        (["scale", "--name", "shop", "1"], ("scale", 1, "shop", None)),
        (["stop"], ("stop", None, None)),
        (["upgrade"], ("upgrade", None, None)),
    ],
)
def test_commands_for_a_running_server(commands, arguments, call):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert commands == [call]


@pytest.mark.parametrize("worker", [3, "main"])
@pytest.mark.parametrize("command", ["stacks", "profile"])
def test_which_worker_is_looked_at(monkeypatch, command, worker):
    given = []
    monkeypatch.setattr(f"snakepit.control.inspection.{command}", lambda *arguments: given.extend(arguments))
    assert invoke(command, "--worker", str(worker)).exit_code == 0
    assert worker in given
    refused = invoke(command, "--worker", "Main")
    assert refused.exit_code == 2
    assert "not a valid number of a worker, or main" in refused.output


def test_the_name_from_the_environment(commands, monkeypatch):
    monkeypatch.setenv("SNAKEPIT_NAME", "shop")
    for arguments in (["reload"], ["reload", "--name", "other"], ["reload", "--pid", "12"]):
        assert invoke(*arguments).exit_code == 0
    assert commands == [("reload", "shop", None), ("reload", "other", None), ("reload", None, 12)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["scale"], "WORKERS"),
        (["scale", "0"], "WORKERS"),
        (["scale", "1025"], "WORKERS"),
        (["scale", "two"], "WORKERS"),
        (["stop", "--pid", "x"], "--pid"),
        (["stop", "--pid", "0"], "--pid"),
        (["stop", "--pid", "1", "--name", "shop"], "--name and --pid can't be used together"),
        (["reload", "--json"], "--json"),
        (["status", "main:app"], "main:app"),
    ],
)
def test_what_commands_refuse(commands, arguments, named):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert named in result.output
    assert commands == []


def test_bad_app_in_a_real_process():
    # not in this process, whose logging and sys.path would not be the same afterwards
    done = subprocess.run(
        [sys.executable, "-m", "snakepit", "run", "main.py:app"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: 'main.py:app' is a file; name the module, as in main:app")


def test_an_option_that_is_given_several_times(runs):
    result = invoke(
        "run", "main:app", "--reload", "--reload-dir", "src", "--reload-dir", "lib", "--reload-include", "*.html"
    )
    assert result.exit_code == 0, result.output
    assert runs == [("main:app", {"reload": True, "reload_dir": ("src", "lib"), "reload_include": ("*.html",)})]


# -- configuration files ---------------------------------------------------------------------------------------------


def test_run_without_an_app_hands_on_where_to_look(runs):
    assert invoke("run").exit_code == 0
    assert invoke("run", "--config", "x.toml", "--port", "1").exit_code == 0
    assert invoke("run", "--no-config", "main:app").exit_code == 0
    assert runs == [
        (None, {}),
        (None, {"port": 1}, "x.toml", False),
        ("main:app", {}, None, True),
    ]


def test_without_an_app_anywhere(folder):
    result = invoke("run")
    assert result.exit_code == 2
    assert result.stderr == (
        'Error: APP is missing: name it, as in snakepit run main:app, or by app = "main:app" in snakepit.toml, which '
        "snakepit init writes\n"
    )


def test_check_takes_the_app_of_the_file(folder, checks):
    (folder / "snakepit.toml").write_text("app = 'main:app'\n")
    assert invoke("check").exit_code == 3
    assert invoke("check", "--no-config", "other:app").exit_code == 3
    (app, given), (_, other) = checks
    assert (app, given["file"].app.value, other["file"]) == (None, "main:app", None)
    (folder / "snakepit.toml").write_text("prot = 1\n")
    result = invoke("check")
    assert (result.exit_code, result.stderr.partition(";")[0]) == (
        2,
        "Error: snakepit.toml:1: prot: there is no such option",
    )
    assert len(checks) == 2


def ask(*arguments):
    return CliRunner().invoke(cli, ["run", *arguments], prog_name="snakepit", obj=ASK)


@pytest.fixture
def supervisors(monkeypatch):
    """The values of --jit with which this would have become a supervisor."""
    found = []

    def begin_anew(jit):
        found.append((jit, os.environ.get("FROM_ENV_FILE")))
        raise SystemExit(0)

    monkeypatch.setattr("snakepit.supervisor.supervisor.begin_anew", begin_anew)
    return found


@pytest.mark.parametrize(
    ("arguments", "text", "expected"),
    [
        ("--supervise", "", [None]),
        ("--jit", "", [True]),
        ("", "jit = false\n", [False]),
        ("--jit", "jit = false\n", [True]),
        ("--no-supervise", "", []),
        ("--runtime=thread", "", []),
        ("", "supervise = false\n", []),
        ("", "runtime = 'thread'\n", []),
        ("--supervise", "supervise = false\n", [None]),
        ("--runtime interpreter", "runtime = 'thread'\n", [None]),
        ("--name thread", "", [None]),
        ("", "env-file = 'x.env'\n", [None]),
    ],
)
def test_the_options_decide_about_the_supervisor(folder, runs, supervisors, arguments, text, expected):
    (folder / "x.env").write_text("FROM_ENV_FILE=1\n")
    (folder / "snakepit.toml").write_text(text)
    assert ask("main:app", *arguments.split()).exit_code == 0
    assert supervisors == [(jit, None) for jit in expected]  # the server process reads the env file by itself
    assert len(runs) == (0 if expected else 1)


@pytest.mark.parametrize("variable", ["SNAKEPIT_SUPERVISE=off", "SNAKEPIT_RUNTIME=thread"])
def test_variables_decide_about_the_supervisor(folder, runs, supervisors, monkeypatch, variable):
    (folder / "x.env").write_text(f"{variable}\n")
    assert ask("main:app", "--env-file", "x.env").exit_code == 0
    monkeypatch.setenv(*variable.split("="))
    assert ask("main:app").exit_code == 0
    assert (supervisors, len(runs)) == ([], 2)


def test_mistakes_before_there_is_a_supervisor(folder, runs, supervisors):
    (folder / "snakepit.toml").write_text("supervise = 'x'\n")
    result = ask("main:app")
    assert (result.exit_code, result.stderr) == (
        2,
        'Error: snakepit.toml:1: supervise must be true or false, not "x"\n',
    )
    assert runs == supervisors == []
