"""snakepit.config.apps: the apps that all sources name, and their options."""

from dataclasses import replace

import pytest

from snakepit.config import apps
from snakepit.config import file as config_file
from snakepit.config.options import OPTIONS, Config
from snakepit.config.route import Route
from snakepit.config.sources import SET_BY_ENV_FILES
from snakepit.errors import ConfigError
from snakepit.system.cpus import usable_cpus


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """A function that makes a Config of a file's text, and of what is given beside it."""
    monkeypatch.chdir(tmp_path)
    for variable in ("SNAKEPIT_THREADS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)

    def make(text="", app=None, **given):
        (tmp_path / "snakepit.toml").write_text(text, encoding="utf-8")
        return Config.resolve(app, given, config_file.wanted())

    return make


def mistakes(resolve, text, **given):
    with pytest.raises(ConfigError) as caught:
        resolve(text, **given)
    return str(caught.value)


def test_options_per_app_exist():
    assert {option.name for option in OPTIONS} >= apps.PER_APP


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ('interpreters = "1-8"', {}),
        ('workers = "1-8"', {}),
        ('app = "a:app"\n[[apps]]\npath = "/b"\napp = "b:app"\ninterpreters = "1-8"', {}),
        ("", {"interpreters": "1-8"}),
        ("max-interpreters = 3", {"workers": "1 - 8"}),
    ],
)
def test_at_least_and_at_most_so_many_workers(resolve, text, given):
    config = resolve(text if "app" in text else f'app = "main:app"\n{text}', **given)
    app = config.routed[-1].config
    assert (app.interpreters, app.max_interpreters) == (1, 8)


def test_no_apps(resolve):
    config = resolve("app = 'main:app'")
    assert config.apps == ()
    (only,) = config.routed
    assert (only.name, only.route, only.config) == ("main:app", Route(), config)


def test_each_has_its_own_options_and_the_servers(resolve, tmp_path):
    (tmp_path / "api").mkdir()
    config = resolve(
        """
        threads = 2
        interpreters = 3
        port = 9000
        timeouts.request = 7

        [[apps]]
        app = "shop:app"
        host = "Shop.example.com"

        [[apps]]
        app = "api.main:app"
        path = "/api/"
        name = "the-api"
        threads = 4
        app_dir = "api"

        [apps.timeouts]
        request = 3
        """
    )
    shop, api = config.apps
    assert config.app is None
    assert (shop.name, shop.route) == ("shop.example.com", Route("shop.example.com"))
    assert (shop.config.app, shop.config.threads, shop.config.timeout_request) == ("shop:app", 2, 7)
    assert (api.name, api.route) == ("the-api", Route("", "/api"))
    assert (api.config.app, api.config.threads, api.config.timeout_request) == ("api.main:app", 4, 3)
    assert [each.config.interpreters for each in config.apps] == [3, 3]
    assert [each.config.port for each in config.apps] == [9000, 9000]
    assert [each.config.app_dir for each in config.apps] == [str(tmp_path), str(tmp_path / "api")]


def test_the_command_line_and_variables_take_precedence(resolve, monkeypatch):
    text = "[[apps]]\napp = 'a:app'\nthreads = 4\ninterpreters = 5"
    assert resolve(text, threads=6).apps[0].config.threads == 6
    monkeypatch.setenv("SNAKEPIT_THREADS", "7")
    assert resolve(text).apps[0].config.threads == 7
    monkeypatch.setenv("WEB_CONCURRENCY", "8")  # it counts where nothing else says how many
    assert resolve(text).apps[0].config.interpreters == 5
    assert resolve("[[apps]]\napp = 'a:app'").apps[0].config.interpreters == 8


def test_mounts(resolve):
    config = resolve(app="main:app", mount=["/api=api.main:app", "api.example.com=api.main:app"])
    assert [(each.name, each.config.app) for each in config.apps] == [
        ("/", "main:app"),
        ("/api", "api.main:app"),
        ("api.example.com", "api.main:app"),
    ]
    assert [each.name for each in resolve("mount = ['/api=api.main:app']").apps] == ["/api"]


def test_an_app_on_the_command_line_is_served_instead_of_those_of_the_file(resolve):
    assert resolve("[[apps]]\napp = 'a:app'", app="main:app").apps == ()


def test_cpus_are_divided(resolve, monkeypatch):
    found = usable_cpus()
    monkeypatch.setattr("snakepit.config.options.usable_cpus", lambda: type(found)(6, "of a test"))
    text = "[[apps]]\napp = 'a:app'\n[[apps]]\npath = '/b'\napp = 'b:app'\n[[apps]]\npath = '/t/{t}'\napp = 'c:app'"
    assert [each.config.interpreters for each in resolve(text).apps] == [3, 3, 1]
    assert resolve(text).with_workers(2).apps[1].config.interpreters == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[apps]]\npath = '/x'", 'snakepit.toml:1: [[apps]] has no app: write app = "main:app"'),
        ("[[apps]]\napp = 'main'", "snakepit.toml:2: app: the app must look like module:attribute, as in main:app"),
        (
            "[[apps]]\napp = 'a:app'\nport = 1",
            "snakepit.toml:3: port is the same for all apps of a server: put it above",
        ),
        ("[[apps]]\napp = 'a:app'\npth = '/x'", "snakepit.toml:3: pth: there is no such option; did you mean path?"),
        ("[[apps]]\napp = 'a:app'\npath = 'x'", "snakepit.toml:3: path must start with a slash, not be 'x'"),
        ("[[apps]]\napp = 'a:app'\nhost = 'a b'", "snakepit.toml:3: host must be like example.com"),
        ("[[apps]]\napp = 'a:app'\nname = 'a b'", "snakepit.toml:3: name must be of letters"),
        (
            "[[apps]]\napp = 'a:app'\napp-dir = '/nowhere'",
            "app_dir: there is no folder /nowhere (app /, snakepit.toml:1)",
        ),
        (
            "[[apps]]\npath = '/{t}'\napp = 'a:app'\napp-dir = '/nowhere/{t}'",
            "app_dir: there is no folder /nowhere (app /{t}, snakepit.toml:1)",
        ),
        ("[[apps]]\napp = 'a:app'\nhost = 1", "snakepit.toml:3: host must be text, not 1"),
        ("[[apps]]\napp = 'a:app'\nthreads = 0", "snakepit.toml:3: threads must be at least 1, not 0"),
        (
            "[apps]\napp = 'a:app'",
            "snakepit.toml:1: apps must be tables, not a table: write [[apps]], and below it app",
        ),
        ("apps = ['a:app']", 'snakepit.toml:1: apps must be tables, not ["a:app"]: write [[apps]]'),
        ("[[app]]\napp = 'a:app'", "snakepit.toml:1: [app]: there is no such table; did you mean apps?"),
        (
            "[[apps]]\napp = 'a:app'\ninterpreters = '1-8'\nmax-interpreters = 4",
            "snakepit.toml:4: max-interpreters sets what interpreters in line 3 sets: leave one of them out",
        ),
        (
            "[[apps]]\napp = 'a:app'\ninterpreters = '1-'",
            'snakepit.toml:3: interpreters must be a whole number, not "1-"',
        ),
        (
            "[[apps]]\napp = 'a:app'\ninterpreters = '1-9999'",
            "snakepit.toml:3: interpreters must be at most 1024, not 9999",
        ),
        ("[[apps]]\napp = 'a:app'\ninterpreters = '8-1'", "max_interpreters is 1, below interpreters, 8"),
        (
            "[[apps]]\napp = 'a:app'\nenv-file = '/nowhere/x.env'",
            "env_file: there is no file /nowhere/x.env (app /, snakepit.toml:1)",
        ),
        (
            "[[apps]]\npath = '/{a}/x'\napp = 'a:app'\n[[apps]]\npath = '/y/{b}'\napp = 'b:app'",
            "/y/{b} (snakepit.toml:4) would get some of the requests of /{a}/x, and neither is the more specific: ",
        ),
        ("[[aps]]\napp = 'a:app'", "snakepit.toml:1: [aps]: there is no such table; did you mean apps?"),
        (
            "[[apps]]\napp = 'a:app'\npath = '/{t}'\nhost = '{t}.a'",
            "snakepit.toml:1: {t} stands twice in {t}.a/{t}",
        ),
        (
            "[[apps]]\napp = 'a:app'\n[[apps]]\napp = 'b:app'",
            "/ (snakepit.toml:3) would get the same requests as /: change host or path",
        ),
        (
            "[[apps]]\napp = 'a:app'\nname = 'x'\n[[apps]]\npath = '/b'\napp = 'b:app'\nname = 'x'",
            "two apps are called x (snakepit.toml:4): give one of them another name",
        ),
        (
            "[[apps]]\npath = '/{a}'\napp = 'a:app'\n[[apps]]\npath = '/{b}'\napp = 'b:app'",
            "/{b} (snakepit.toml:4) would get the same requests as /{a}: change host or path",
        ),
        (
            "[[apps]]\npath = '/{a}'\napp = '{b}:app'",
            "{b} in '{b}:app' is no placeholder of the app's host and path: it has {a} (app /{a}, snakepit.toml:1)",
        ),
        (
            "runtime = 'thread'\n[[apps]]\napp = 'a:app'\n[[apps]]\npath = '/b'\napp = 'b:app'",
            "only one app can have runtime thread: there is one main interpreter",
        ),
        (
            "[[apps]]\napp = 'a:app'\nworkers_lifetime = 5\nruntime = 'thread'",
            "workers_lifetime can't be used with runtime thread, where modules are imported once (app /, ",
        ),
    ],
)
def test_mistakes(resolve, text, told):
    assert mistakes(resolve, text).startswith(told)


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        ("/api", "mount must be like /api=api.main:app or api.example.com=api.main:app, not '/api'"),
        ("=a:app", "mount must be like"),
        ("/api=api", "mount '/api=api': the app must look like module:attribute"),
        ("/a//b=a:app", "mount '/a//b=a:app': path must be like"),
    ],
)
def test_mistakes_in_mounts(resolve, mount, told):
    assert mistakes(resolve, "", mount=[mount]).startswith(told)


def test_all_mistakes_at_once(resolve):
    told = mistakes(resolve, "prot = 1\n[[apps]]\nthreads = 0\n[[apps]]\napp = 'b'")
    assert [line.strip().partition(": ")[0] for line in told.splitlines()] == [
        "4 mistakes:",
        "snakepit.toml:1",
        "snakepit.toml:2",
        "snakepit.toml:3",
        "snakepit.toml:5",
    ]


def test_a_filled_app(tmp_path):
    (tmp_path / "acme").mkdir()
    template = Config.resolve(None, {"mount": ["/t/{t}=main:app"], "app_dir": str(tmp_path / "{t}")}).apps[0]
    app = template.filled({"t": "acme"})
    assert (app.name, app.route, app.config.app_dir) == ("/t/acme", Route("", "/t/acme"), str(tmp_path / "acme"))
    assert template.filled({"t": "other"}) is None


def test_an_env_file_that_has_been_read_need_not_be_there_any_more(tmp_path, monkeypatch):
    app = Config.resolve(None, {"mount": ["/a=main:app"]}).apps[0]
    gone = str(tmp_path / "gone.env")
    app = replace(app, config=replace(app.config, env_file=gone))
    with pytest.raises(ConfigError, match=r"env_file: there is no file .*gone\.env"):
        app.check()
    monkeypatch.setitem(SET_BY_ENV_FILES, gone, {})
    app.check()


def test_placeholders_in_other_options(tmp_path):
    for name in ("acme", "beta"):
        (tmp_path / name).mkdir()
    (tmp_path / "acme" / ".env").write_text("A=1")
    options = {
        "mount": ["/t/{t}={t}.main:app"],
        "env": ["DATABASE=/data/{t}.sqlite", "FORMAT={levelname}"],
    }
    template = Config.resolve(None, options).apps[0]
    template = replace(template, config=replace(template.config, env_file=str(tmp_path / "{t}" / ".env")))
    config = template.filled({"t": "acme"}).config
    assert (config.app, config.env_file) == ("acme.main:app", str(tmp_path / "acme" / ".env"))
    assert config.env == ("DATABASE=/data/acme.sqlite", "FORMAT={levelname}")
    with pytest.raises(ConfigError, match=r"env_file: there is no .*beta.\.env, or it leads elsewhere"):
        template.filled({"t": "beta"})


@pytest.mark.parametrize("how", ["missing", "no venv"])
def test_a_tenants_virtual_environment(tmp_path, how):
    template = Config.resolve(None, {"mount": ["/t/{t}=main:app"], "venv": str(tmp_path / "{t}")}).apps[0]
    if how == "no venv":
        (tmp_path / "acme").mkdir()
    with pytest.raises(ConfigError, match=r"^venv: "):
        template.filled({"t": "acme"})
