"""config.file: which file is read, what its keys mean, and what is said of each kind of mistake."""

import os
import sys

import pytest

from snakepit.config import file as config_file
from snakepit.config.option import ENV_PREFIX
from snakepit.config.options import OPTIONS, Config
from snakepit.config.sources import gather
from snakepit.config.tables import GROUPS, keys_of_group, text
from snakepit.errors import ConfigError

BY_NAME = {option.name: option for option in OPTIONS}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory."""
    for name in [*os.environ]:
        if name.startswith(ENV_PREFIX) or name in ("FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"):
            monkeypatch.delenv(name)
    enter(monkeypatch, tmp_path)
    before = dict(os.environ)
    yield tmp_path
    os.environ.clear()  # an env file may have set some
    os.environ.update(before)


def enter(monkeypatch, path):
    path.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(path)
    monkeypatch.setenv("PWD", str(path))


def write(folder, content, name="snakepit.toml"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def settings(found):
    return {name: setting.value for name, setting in found.settings.items()}


def mistakes(content, folder):
    write(folder, content)
    with pytest.raises(ConfigError) as caught:
        config_file.wanted()
    return str(caught.value)


# -- which file ------------------------------------------------------------------------------------------------------


def test_no_file():
    assert config_file.wanted() is None


def test_the_nearest_counts(folder, monkeypatch):
    write(folder, "port = 1")
    enter(monkeypatch, folder / "a" / "b")
    assert settings(config_file.wanted()) == {"port": 1}
    write(folder / "a", "[tool.snakepit]\nport = 2", "pyproject.toml")
    assert settings(config_file.wanted()) == {"port": 2}
    write(folder / "a", "port = 3")
    assert settings(config_file.wanted()) == {"port": 3}
    write(folder / "a" / "b", "[project]\nname = 'snakepit'", "pyproject.toml")
    assert settings(config_file.wanted()) == {"port": 3}


@pytest.mark.parametrize(
    "content", ["[project]\nname = 'x'", "[tool.other]", "tool = 3 # snakepit", "not snakepit's TOML", b"\xff snakepit"]
)
def test_a_pyproject_without_the_table_is_passed_over(folder, monkeypatch, content):
    write(folder, "port = 1")
    enter(monkeypatch, folder / "a")
    write(folder / "a", content, "pyproject.toml")
    assert settings(config_file.wanted()) == {"port": 1}


def test_a_pyproject_with_the_table_that_can_not_be_parsed(folder):
    write(folder, "[project]\n[tool.snakepit]\nport = x\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"^pyproject.toml:3: not valid TOML: .*; write port = \"x\"$"):
        config_file.wanted()


def test_named(folder, monkeypatch):
    write(folder, "port = 1")
    other = write(folder, "port = 2", "other.toml")
    assert settings(config_file.wanted("other.toml")) == {"port": 2}
    monkeypatch.setenv("SNAKEPIT_CONFIG", str(other))
    assert settings(config_file.wanted()) == {"port": 2}
    assert settings(config_file.wanted("snakepit.toml")) == {"port": 1}
    assert config_file.wanted(none=True) is None
    monkeypatch.setenv("SNAKEPIT_CONFIG", "")
    assert settings(config_file.wanted()) == {"port": 1}


def test_a_pyproject_that_is_named_must_have_the_table(folder):
    write(folder, "[project]\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"^pyproject.toml has no table \[tool.snakepit\]$"):
        config_file.wanted("pyproject.toml")


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such owners")
@pytest.mark.parametrize("owner", ["stranger", "me", "root"])
def test_a_file_above_that_belongs_to_somebody_else(folder, monkeypatch, owner):
    path = write(folder, "port = 1")
    enter(monkeypatch, folder / "a")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    stat = os.stat
    uid = {"stranger": me + 2, "me": me + 1, "root": 0}[owner]

    class Owned:
        def __init__(self, found):
            self.found = found
            self.st_uid = uid

        def __getattr__(self, name):
            return getattr(self.found, name)

    monkeypatch.setattr(config_file.os, "stat", lambda each: Owned(stat(each)) if each == str(path) else stat(each))
    if owner == "stranger":
        with pytest.raises(ConfigError, match=r"belongs to another user \(uid \d+\); to use it: --config "):
            config_file.wanted()
        assert settings(config_file.wanted(str(path))) == {"port": 1}
    else:
        assert settings(config_file.wanted()) == {"port": 1}


# -- what it says ----------------------------------------------------------------------------------------------------


ACME = {
    "domain": ("example.com", "localhost"),
    "acme_email": "ops@example.com",
    "acme_directory": ("https://ca.example/dir",),
    "acme_eab": ("kid:key",),
    "acme_ask": "http://localhost:9000/ask",
}


def sample(option):
    if option.name == "mount":
        return ("/api=api.main:app", "example.com=shop:app")
    if option.name == "bind":
        return ("127.0.0.1:8000", "[::]:8443,tls")
    if option.name in ACME:
        return ACME[option.name]
    if option.several:
        return ("A=1", "B=2") if option.table else ("A: 1", "B: 2")
    if option.choices:
        return option.choices[-1]
    if option.form is not None:
        return {
            "name": "shop",
            "root_path": "/api",
            "trusted_proxy_headers": "forwarded",
            "uds_mode": "660",
            "umask": "027",
            "livez": "/alive",
            "readyz": "/ready",
            "metrics": "/metrics",
            "metrics_bind": "127.0.0.1:9100",
            "dashboard_token": "a-token-of-26-characters-x",
            "access_log_fields": "time,{user-agent}i",
        }.get(option.name, "10.0.0.1")
    return {bool: True, int: int(option.most or 1024), float: float(option.most or 2.5), str: "/abs"}[option.kind]


@pytest.mark.parametrize("spelling", ["-", "_"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_a_key(folder, option, spelling):
    value = sample(option)
    write(folder, f"{option.name.replace('_', spelling)} = {text(value)}")
    found = settings(config_file.wanted())
    expected = value
    if option.path:
        in_folder = tuple(
            os.path.normpath(os.path.join(folder, each)) for each in (value if option.several else [value])
        )
        expected = in_folder if option.several else in_folder[0]
    assert found == {option.name: expected}
    option.check(found[option.name])


@pytest.mark.parametrize("group", GROUPS)
def test_tables(folder, group):
    keys = keys_of_group(group, OPTIONS)
    assert len({option.name for option in keys.values()}) > 3
    for key, option in keys.items():
        write(folder, f"[{group}]\n{key.replace('_', '-')} = {text(sample(option))}")
        assert list(settings(config_file.wanted())) == [option.name]


def test_other_names_of_options(folder):
    write(folder, "workers = 3")
    assert settings(config_file.wanted()) == {"interpreters": 3}


def test_values(folder):
    write(
        folder,
        "reload = true\nreload-include = ['*.py', '*.html']\nforwarded-allow-ips = ['10.0.0.0/8', 'unix:']\n"
        "timeout-request = 3\nlimits.request-body = 1_000\napp = 'main:app'\n",
    )
    found = config_file.wanted()
    assert settings(found) == {
        "reload": True,
        "reload_include": ("*.py", "*.html"),
        "forwarded_allow_ips": "10.0.0.0/8,unix:",
        "timeout_request": 3,
        "limit_request_body": 1000,
    }
    assert (found.app.value, found.app.line) == ("main:app", 6)
    assert [found.settings[name].line for name in found.settings] == [1, 2, 3, 4, 5]


def test_variables_of_the_app_in_a_table(folder):
    write(folder, "[env]\nHOME_PAGE = '/a=b'\nempty-one = ''\n")
    assert settings(config_file.wanted()) == {"env": ("HOME_PAGE=/a=b", "empty-one=")}


def test_relative_paths_start_from_the_files_folder(folder, monkeypatch):
    write(folder, "app-dir = 'src'\nenv_file = '../x.env'\nuds = '/run/x'\nreload_dir = ['.', 'a/b']\nlog-config = 'l'")
    enter(monkeypatch, folder / "below")
    assert settings(config_file.wanted()) == {
        "app_dir": str(folder / "src"),
        "env_file": str(folder.parent / "x.env"),
        "uds": "/run/x" if sys.platform != "win32" else os.path.normpath(os.path.join(folder, "/run/x")),
        "reload_dir": (str(folder), str(folder / "a" / "b")),
        "log_config": str(folder / "l"),
    }


def test_line_endings_of_windows_and_a_byte_order_mark(folder):
    write(folder, b"\xef\xbb\xbfport = 1\r\n\r\nhost = 'x'\r\n")
    found = config_file.wanted()
    assert [(each.value, each.line) for each in found.settings.values()] == [(1, 1), ("x", 3)]


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # an unknown key
        ("prot = 1", "snakepit.toml:1: prot: there is no such option; did you mean port?"),
        ("\nlog-levle = 'info'", "snakepit.toml:2: log-levle: there is no such option; did you mean log-level?"),
        ("xyzzy = 1", "snakepit.toml:1: xyzzy: there is no such option"),
        ("no-access-log = true", "snakepit.toml:1: no-access-log: there is no such option; write access-log = false"),
        (
            "certfile = 'x'",
            "snakepit.toml:1: certfile: there is no such option; --certfile (of gunicorn and hypercorn): use "
            "--ssl-certfile FILE.",
        ),
        ("[timeout]\na = 1", "snakepit.toml:1: [timeout]: there is no such table; did you mean timeouts?"),
        ("[[sites]]\na = 1", "snakepit.toml:1: [sites]: there is no such table"),
        (
            "[timeouts]\nkeepalive = 1",
            "snakepit.toml:2: timeouts.keepalive: there is no such key in [timeouts]; did you mean keep-alive?",
        ),
        (
            "[timeouts]\nport = 1",
            "snakepit.toml:2: timeouts.port: port does not belong into [timeouts]: put it above the first table",
        ),
        # a wrong type
        ("port = '80'", 'snakepit.toml:1: port must be a whole number, not "80"; write port = 80'),
        ("port = 80.0", "snakepit.toml:1: port must be a whole number, not 80.0; write port = 80"),
        ("port = true", "snakepit.toml:1: port must be a whole number, not true"),
        ("host = 127", 'snakepit.toml:1: host must be text, not 127; write host = "127"'),
        ("reload = 'on'", 'snakepit.toml:1: reload must be true or false, not "on"; write reload = true'),
        ("reload = 0", "snakepit.toml:1: reload must be true or false, not 0; write reload = false"),
        ("header = 'A: 1'", 'snakepit.toml:1: header must be a list of texts, not "A: 1"; write header = ["A: 1"]'),
        ("header = [1]", "snakepit.toml:1: header must be a list of texts, not [1]"),
        ("[port]\na = 1", "snakepit.toml:1: port must be a whole number, not a table"),
        (
            "limits = 3",
            "snakepit.toml:1: limits must be a table, not 3: write [limits], and below it concurrency = ...",
        ),
        ("[timeouts]\nkeep-alive='x'", 'snakepit.toml:2: timeouts.keep-alive must be a number, not "x"'),
        (
            "[timeouts]\nkeep-alive='5'",
            'snakepit.toml:2: timeouts.keep-alive must be a number, not "5"; write keep-alive = 5.0',
        ),
        ("app = 3", 'snakepit.toml:1: app must be text, as in "main:app", not 3'),
        ("env = 'A=1'", 'snakepit.toml:1: env must be a list of texts, not "A=1"; write env = ["A=1"]'),
        ("port = 1\n[env]\nA = 1", 'snakepit.toml:3: env.A must be text, not 1; write A = "1"'),
        ("env = {A = ['x']}", 'snakepit.toml:1: env.A must be text, not ["x"]'),
        ("env = {'A=B' = 'x'}", 'snakepit.toml:1: env."A=B": the name of a variable can\'t have a ='),
        ("[enf]\nA = 'x'", "snakepit.toml:1: [enf]: there is no such table; did you mean env?"),
        # a value out of range, or of the wrong form
        ("port = 70000", "snakepit.toml:1: port must be at most 65535, not 70000"),
        ("limits.request_head = 1", "snakepit.toml:1: limits.request_head must be at least 1024, not 1"),
        ("timeout-waiting = nan", "snakepit.toml:1: timeout-waiting must be at least 0, not nan"),
        ("root-path = 'x'", "snakepit.toml:1: root-path: root_path must start with a slash, not be 'x'"),
        ("env = ['A']", "snakepit.toml:1: env must be NAME=VALUE, not 'A'"),
        ("app = 'main'", "snakepit.toml:1: app: the app must look like module:attribute, as in main:app, not 'main'"),
        # a bad choice
        (
            "log_level = 'debgu'",
            'snakepit.toml:1: log_level must be one of critical, error, warning, info, debug, trace, not "debgu"; '
            'did you mean "debug"?',
        ),
        (
            "interface = 'asgi3'",
            'snakepit.toml:1: interface must be one of auto, asgi, wsgi, not "asgi3"; use --interface asgi',
        ),
        # set twice
        (
            "log-level = 'info'\nlog_level = 'info'",
            "snakepit.toml:2: log_level sets what log-level in line 1 sets: leave one of them out",
        ),
        (
            "interpreters = 1\nworkers = 1",
            "snakepit.toml:2: workers sets what interpreters in line 1 sets: leave one of them out",
        ),
        (
            "ws_max_size = 1\n[websocket]\nmax-size = 1",
            "snakepit.toml:3: websocket.max-size sets what ws_max_size in line 1 sets: leave one of them out",
        ),
        # not TOML
        (
            "port = 1\napp = main:app\n",
            'snakepit.toml:2: not valid TOML: Invalid value, column 7; write app = "main:app"',
        ),
        ("reload = True", "snakepit.toml:1: not valid TOML: Invalid value, column 10; write reload = true"),
        (
            "port: 80",
            "snakepit.toml:1: not valid TOML: Expected '=' after a key in a key/value pair, column 5; write port = 80",
        ),
        (
            "port = 1\nport = 2\n",
            "snakepit.toml:2: not valid TOML: Cannot overwrite a value, column 9; port is there already",
        ),
        (
            "a = 1\nhost = 'x\nb = 2\n",
            'snakepit.toml:2: not valid TOML: Expected "\'"; a text ends with a quotation mark in the line that it '
            "begins in",
        ),
        (
            'a = 1\nhost = "x\nb = "2"\n',
            "snakepit.toml:2: not valid TOML: Illegal character '\\n', column 10; a text ends with a quotation mark in "
            "the line that it begins in",
        ),
        ("port = 1\nheader = [\n'A: 1'\n\n", "snakepit.toml:2: not valid TOML: Unclosed array"),
        (b"# x\nhost = '\xfc'", "snakepit.toml:2: the byte 0xfc is not UTF-8: save the file as UTF-8"),
    ],
)
def test_mistakes(folder, content, message):
    assert mistakes(content, folder) == message


def test_all_mistakes_at_once_in_the_order_of_their_lines(folder):
    assert mistakes("[limits]\nwaiting = -1\n[websocket]\nx = 1\n[logging]\nlevel = 'x'\n", folder) == (
        "3 mistakes:\n"
        "  snakepit.toml:2: limits.waiting must be at least 0, not -1\n"
        "  snakepit.toml:4: websocket.x: there is no such key in [websocket]\n"
        '  snakepit.toml:6: logging.level must be one of critical, error, warning, info, debug, trace, not "x"'
    )


def test_mistakes_in_a_pyproject(folder):
    write(folder, "[project]\nport = 1\n[tool.snakepit]\nprot = 1\n[tool.snakepit.limits]\nx = 1\n", "pyproject.toml")
    with pytest.raises(ConfigError) as caught:
        config_file.wanted()
    assert str(caught.value).splitlines()[1:] == [
        "  pyproject.toml:4: prot: there is no such option; did you mean port?",
        "  pyproject.toml:6: limits.x: there is no such key in [limits]",
    ]


def test_a_table_that_is_none(folder):
    write(folder, "[tool]\nsnakepit = 1\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"^pyproject.toml:2: tool.snakepit must be a table, not 1$"):
        config_file.wanted()


def test_a_file_that_does_not_exist(folder):
    with pytest.raises(ConfigError) as caught:
        config_file.wanted("none.toml")
    assert str(caught.value) == (
        f"the configuration file {folder / 'none.toml'} does not exist; snakepit init writes one"
    )


def test_a_file_that_can_not_be_read(folder):
    (folder / "other.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^the configuration file .*other.toml can't be read: "):
        config_file.wanted("other.toml")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="this user can read everything")
def test_a_file_without_permission(folder):
    write(folder, "port = 1").chmod(0)
    with pytest.raises(ConfigError, match=r"can't be read: Permission denied$"):
        config_file.wanted()


def test_a_file_of_gunicorn(folder):
    write(folder, "workers = 4", "gunicorn.conf.py")
    with pytest.raises(ConfigError, match=r"^gunicorn.conf.py is a Python file; options stand in TOML"):
        config_file.wanted("gunicorn.conf.py")


def test_no_file_and_a_named_one():
    with pytest.raises(ConfigError, match=r"^--config and --no-config can't be used together$"):
        config_file.wanted("x.toml", none=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\nreload-browser = true", "reload_browser needs reload (reload_browser: snakepit.toml:2)"),
        (
            "uds = 'x'\n\nfd = 3",
            "uds and fd can't be used together (uds: snakepit.toml:1, fd: snakepit.toml:3)",
        ),
    ],
)
def test_options_that_do_not_fit_each_other(folder, content, message):
    write(folder, content)
    with pytest.raises(ConfigError) as caught:
        Config.resolve("main:app", {}, config_file.wanted())
    assert str(caught.value) == message


# -- precedence ------------------------------------------------------------------------------------------------------


def test_precedence_and_where_values_come_from(folder, monkeypatch):
    write(folder, "app = 'main:app'\nport = 1\nbacklog = 1\nthreads = 1\nenv-file = 'x.env'\nlimits.waiting = 1\n")
    write(folder, "SNAKEPIT_THREADS=2\nSNAKEPIT_PORT=9\n", "x.env")
    monkeypatch.setenv("SNAKEPIT_BACKLOG", "2")
    monkeypatch.setenv("SNAKEPIT_PORT", "2")
    found = gather(OPTIONS, None, {"port": 3}, config_file.wanted())
    assert {name: (found.values[name], str(found.sources[name])) for name in found.values} == {
        "port": (3, "command line"),
        "backlog": (2, "environment variable SNAKEPIT_BACKLOG"),
        "threads": (2, "environment variable SNAKEPIT_THREADS of x.env"),
        "limit_waiting": (1, "snakepit.toml:6"),
        "env_file": (str(folder / "x.env"), "snakepit.toml:5"),
        "app_dir": (str(folder), "snakepit.toml:1"),
    }
    assert found.app == "main:app"


def test_variables_of_other_servers_count_where_nothing_else_does(folder, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    write(folder, "interpreters = 3\n")
    config = Config.resolve("main:app", {}, config_file.wanted())
    assert (config.interpreters, config.workers_source, config.forwarded_allow_ips) == (3, "", "*")
    monkeypatch.setenv("SNAKEPIT_WORKERS", "4")
    assert Config.resolve("main:app", {}, config_file.wanted()).interpreters == 4


def test_the_app_of_the_file_is_looked_for_beside_it(folder, monkeypatch):
    write(folder, "app = 'main:app'\n")
    enter(monkeypatch, folder / "below")
    found = config_file.wanted()
    assert Config.resolve(None, {}, found).app_dir == str(folder)
    assert Config.resolve(None, {"app_dir": "x"}, found).app_dir == str(folder / "below" / "x")
    other = Config.resolve("other:app", {}, found)
    assert (other.app, other.app_dir) == ("other:app", "")


def test_all_mistakes_in_the_environment_at_once(monkeypatch):
    monkeypatch.setenv("SNAKEPIT_PORT", "x")
    monkeypatch.setenv("SNAKEPIT_RELOAD", "y")
    with pytest.raises(ConfigError) as caught:
        Config.resolve("main:app", {})
    assert str(caught.value) == (
        "2 mistakes:\n  SNAKEPIT_PORT must be a whole number, not 'x'\n  SNAKEPIT_RELOAD must be true or false, not 'y'"
    )


def test_no_app():
    with pytest.raises(ConfigError, match=r"^APP is missing: .* snakepit run main:app, .* snakepit init writes$"):
        Config.resolve(None, {})
