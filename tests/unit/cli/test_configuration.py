"""cli.configuration: `snakepit config` and `snakepit init`."""

import json
from pathlib import Path

from click.testing import CliRunner

from snakepit.cli.main import cli
from snakepit.config.options import OPTIONS

DOCS = Path(__file__).parents[3] / "docs"


def invoke(*arguments):
    return CliRunner().invoke(cli, arguments, prog_name="snakepit")


def test_config_shows_values_and_where_they_come_from(folder, monkeypatch):
    (folder / "snakepit.toml").write_text("app = 'main:app'\n[timeouts]\nkeep-alive = 3\n")
    monkeypatch.setenv("SNAKEPIT_THREADS", "2")
    result = invoke("config", "--port", "1")
    assert result.exit_code == 0, result.output
    first, *lines = result.stdout.splitlines()
    assert first == f"Configuration file: {folder / 'snakepit.toml'}"
    found = {line.split("  ")[0]: [part.strip() for part in line.split("  ")[1:] if part.strip()] for line in lines}
    assert found["app"] == ['"main:app"', "snakepit.toml:1"]
    assert found["port"] == ["1", "command line"]
    assert found["threads"] == ["2", "environment variable SNAKEPIT_THREADS"]
    assert found["timeout_keep_alive"] == ["3", "snakepit.toml:3"]
    assert found["host"] == ['"127.0.0.1"', "default"]
    assert found["limit_concurrency"] == ["default"]
    assert list(found) == ["app", *(option.name for option in OPTIONS)]


def test_config_as_json(folder):
    (folder / "snakepit.toml").write_text("reload-include = ['*.py']\nenv-file = 'x.env'\n")
    (folder / "x.env").write_text("SNAKEPIT_THREADS=2\n")
    result = invoke("config", "other:app", "--json")
    found = json.loads(result.stdout)
    path = str(folder / "snakepit.toml")
    assert found["file"] == path
    options = found["options"]
    assert options["app"] == {"value": "other:app", "source": "command line"}
    assert options["reload_include"] == {"value": ["*.py"], "source": "file", "path": path, "line": 1}
    assert options["threads"] == {
        "value": 2,
        "source": "environment",
        "variable": "SNAKEPIT_THREADS",
        "env_file": str(folder / "x.env"),
    }
    assert options["uds"] == {"value": None, "source": "default"}


def test_config_without_anything(folder):
    assert invoke("config").stdout.splitlines()[:2] == [
        "Configuration file: none",
        f"{'app':<29}  {'':<24}  default",
    ]
    assert json.loads(invoke("config", "--json").stdout)["file"] is None


def test_config_check(folder):
    assert invoke("config", "--check").output == "There is no configuration file\n"
    (folder / "snakepit.toml").write_text("port = 1\n")
    result = invoke("config", "--check")
    assert (result.exit_code, result.output) == (0, "snakepit.toml: no mistakes\n")
    (folder / "snakepit.toml").write_text("port = -1\nprot = 1\n")
    for flags in (["--check"], ["--json"], []):
        result = invoke("config", *flags)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            "Error: 2 mistakes:\n"
            "  snakepit.toml:1: port must be at least 0, not -1\n"
            "  snakepit.toml:2: prot: there is no such option; did you mean port?\n"
        )
    assert invoke("config", "--check", "--config", "none.toml").exit_code == 2
    assert invoke("config", "--check", "--no-config").exit_code == 0


def test_what_the_docs_show_of_mistakes(folder):
    (folder / "snakepit.toml").write_text(
        "app = 'main:app'\nprot = 8000\nworkers = '4'\n\nworker-class = 'gevent'\n\n[timeouts]\nrequest = 0\n"
    )
    shown = (DOCS / "reference" / "config-file.md").read_text(encoding="utf-8")
    assert f"$ snakepit config --check\n{invoke('config', '--check').stderr}```" in shown
    given = ["-w", "4", "-k", "uvicorn_worker.UvicornWorker", "-b", "0.0.0.0:8000", "--timeout", "30"]
    told = invoke("run", "main:app", *given).stderr
    shown = (DOCS / "how-to" / "switch.md").read_text(encoding="utf-8")
    assert f"snakepit run main:app {' '.join(given)}\n" in shown
    assert f"```\n{told[told.index('Error: ') :]}```" in shown


def test_config_check_finds_folders_that_do_not_exist(folder):
    (folder / "snakepit.toml").write_text("app = 'main:app'\napp-dir = 'missing'\n")
    result = invoke("config", "--check")
    assert result.exit_code == 2
    told = f"Error: app_dir: there is no folder {folder / 'missing'} (app_dir: snakepit.toml:2)\n"
    assert result.stderr == told


def test_config_schema():
    assert json.loads(invoke("config", "--schema").stdout)["type"] == "object"


def test_init(folder):
    (folder / "main.py").write_text("raise SystemExit('imported')\napp = Flask(__name__)\n")
    result = invoke("init")
    assert (result.exit_code, result.stdout) == (
        0,
        "Wrote snakepit.toml, for the app main:app. To serve it: snakepit run\n",
    )
    assert '\napp = "main:app"\n' in (folder / "snakepit.toml").read_text()
    assert invoke("config", "--check").exit_code == 0


def test_init_overwrites_nothing_unasked(folder):
    path = folder / "snakepit.toml"
    path.write_text("port = 1\n")
    result = invoke("init")
    assert (result.exit_code, result.stderr) == (2, "Error: snakepit.toml is there already; --force overwrites it\n")
    assert path.read_text() == "port = 1\n"
    assert invoke("init", "--force").stdout == (
        "Wrote snakepit.toml. No app was found here: put its name into the line that begins with app\n"
    )
    assert '# app = "main:app"\n' in path.read_text()


def test_init_where_nothing_can_be_written(folder):
    (folder / "snakepit.toml").mkdir()
    result = invoke("init", "--force")
    assert result.exit_code == 2
    assert "snakepit.toml can't be written: " in result.stderr
