"""The JSON Schema: up to date, and of the same opinion as the code that reads files."""

import json
import re
import tomllib
from pathlib import Path

import config_schema
import pytest
from jsonschema import Draft202012Validator

from snakepit.config import file as config_file
from snakepit.config import schema, starter
from snakepit.config.app_search import FoundApp
from snakepit.config.options import OPTIONS
from snakepit.errors import ConfigError

VALIDATOR = Draft202012Validator(json.loads(schema.text()))

GOOD = [
    "",
    "app = 'main:app'\nport = 80\n",
    "workers = 2\napp-dir = 'src'\nlog_level = 'debug'\n",
    "timeout-request = 3\ntimeout_waiting = 2.5\nreload = true\nheader = ['A: 1']\n",
    "forwarded-allow-ips = '*'\ntrusted_proxy_headers = ['forwarded', 'x-forwarded-for']\n",
    "env = ['A=1', 'B=']\n",
    "[env]\nA = '1'\nb-c = ''\n",
    "[timeouts]\nkeep-alive = 1\n[limits]\nrequest_body = 3\n[websocket]\nmax-size = 9\nws_max_queue = 2\n"
    "[logging]\nlevel = 'info'\naccess-log = false\n",
    "[[static]]\nroute = '/'\ndir = 'public'\nfallback = 'index.html'\ncache-control = 'no-cache'\n"
    "[[static]]\nroute = '/files'\ndir = 'public'\nhost = 'a.test'\nprecompressed = false\nlisting = true\n",
]
BAD = [
    "prot = 1",
    "port = '80'",
    "port = 70000",
    "port = -1",
    "app = 'main'",
    "app = 3",
    "reload = 'yes'",
    "reload = 1",
    "header = 'A: 1'",
    "header = [1]",
    "log-level = 'loud'",
    "timeouts = 3",
    "[timeouts]\nport = 1",
    "[timeouts]\nkeep-alive = -1",
    "[logging]\nlevel = 'loud'",
    "[unknown]",
    "env = 'A=1'",
    "[env]\nA = 1",
    "static = 'public'",
    "[static]\nroute = '/'\ndir = 'public'",
    "[[static]]\nroute = '/'",
    "[[static]]\ndir = 'public'",
    "[[static]]\nroute = '/'\ndir = 'public'\nprot = 1",
    "[[static]]\nroute = '/'\ndir = 'public'\nlisting = 'yes'",
]


def test_it_is_up_to_date():
    assert schema.text() == config_schema.schema(), "run: python tools/config_schema.py --write"
    Draft202012Validator.check_schema(VALIDATOR.schema)


def test_it_has_each_option_in_both_spellings():
    for option in OPTIONS:
        for name in (option.name, option.name.replace("_", "-")):
            assert VALIDATOR.schema["properties"][name] == {"$ref": f"#/$defs/{option.name}"}


def accepts(tmp_path, text):
    path = tmp_path / "snakepit.toml"
    (tmp_path / "public").mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        config_file.read(str(path))
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("text", GOOD)
def test_good(tmp_path, text):
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []
    assert accepts(tmp_path, text)


@pytest.mark.parametrize("text", BAD)
def test_bad(tmp_path, text):
    assert not VALIDATOR.is_valid(tomllib.loads(text))
    assert not accepts(tmp_path, text)


ROOT = Path(__file__).resolve().parents[3]


PAGES = (
    "docs/reference/config-file.md",
    *(f"docs/how-to/{name}.md" for name in ("many-apps", "static-files", "virtual-environments")),
    *(f"docs/how-to/{name}.md" for name in ("branch-previews", "switch-from-caddy-snake")),
)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_the_documentation(tmp_path, page):
    examples = re.findall(r"^```toml\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert examples
    for text in examples:
        assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []
        assert accepts(tmp_path, text)


APPS = [
    [],
    [FoundApp("main:app")],
    [FoundApp("shop.main:create_app", factory=True, app_dir="src"), FoundApp("a:app"), FoundApp("b:app")],
]


@pytest.mark.parametrize("apps", APPS)
def test_the_file_to_begin_with(tmp_path, apps):
    text = starter.text(apps)
    values = tomllib.loads(text)
    assert VALIDATOR.is_valid(values)
    assert accepts(tmp_path, text)
    assert values.get("app") == (apps[0].reference if apps else None)
    assert values.get("factory", False) == (apps[0].factory if apps else False)
    assert values.get("app-dir", "") == (apps[0].app_dir if apps else "")
    assert len(apps) < 2 or "# Also found: a:app, b:app\n" in text


def test_what_its_comments_propose_is_right(tmp_path):
    lines = starter.text([]).splitlines()
    code = [line for line in lines if line.startswith("# [") or (" = " in line and ". " not in line)]
    text = "\n".join(line.removeprefix("# ") for line in code)
    values = tomllib.loads(text)
    assert {"app", "interpreters", "threads", "reload", "header", "timeouts", "limits", "logging"} <= set(values)
    assert VALIDATOR.is_valid(values)
    assert accepts(tmp_path, text)
