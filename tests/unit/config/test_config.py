"""config.options: every value is checked, every source is read, and messages name the option and the remedy."""

import os
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.config import options
from snakepit.config.choices import LOG_LEVELS
from snakepit.config.option import ENV_PREFIX
from snakepit.config.options import OPTIONS, Config
from snakepit.config.sources import ignored_variables, load_env_file
from snakepit.errors import ConfigError
from snakepit.system.cpus import Cpus, usable_cpus

APP = "main:app"
BY_NAME = {option.name: option for option in OPTIONS}
each_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


@pytest.fixture(autouse=True)
def environment():
    """The environment without Snakepit's variables, and as it was afterwards."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(ENV_PREFIX) or name in ("FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"):
            del os.environ[name]
    yield os.environ
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def env_file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "settings.env"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


# -- the declaration -------------------------------------------------------------------------------------------------


def test_options_are_the_fields_but_the_app():
    names = {item.name for item in fields(Config) if item.init}
    assert {"app", *(option.name for option in OPTIONS), "apps", "static", "tls"} == names
    assert OPTIONS[0].name == "interpreters"


@each_option
def test_option_describes_itself(option):
    assert option.help.endswith(".")
    assert option.flag == "--" + option.name.replace("_", "-")
    assert option.env == "SNAKEPIT_" + option.name.upper()
    assert option.kind in (int, float, bool, str)
    option.check(option.default)


def test_flags_and_short_flags_are_unique():
    flags = [flag for option in OPTIONS for flag in option.flags]
    assert len(set(flags)) == len(flags) > len(OPTIONS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "8000; with --domain 443"),
        ("timeout_keep_alive", "5"),
        ("access_log", "on"),
        ("factory", "off"),
        ("uds", None),
        ("root_path", None),
        ("interpreters", "usable CPUs"),
        ("max_interpreters", "as many as --interpreters"),
        ("limit_concurrency", "no limit"),
        ("log_level", "info"),
    ],
)
def test_default_text(name, text):
    assert BY_NAME[name].default_text == text


def test_log_levels_are_those_of_the_option():
    assert tuple(LOG_LEVELS) == BY_NAME["log_level"].choices


# -- values ----------------------------------------------------------------------------------------------------------


def test_defaults():
    config = Config(APP)
    assert config.app == APP
    assert (config.host, config.port) == ("127.0.0.1", 8000)
    for option in OPTIONS:
        if option.name not in ("interpreters", "host", "port"):
            assert getattr(config, option.name) == option.default


def test_0_interpreters_are_as_many_as_there_are_cpus():
    assert Config(APP).interpreters == Config(APP, interpreters=0).interpreters == usable_cpus().count >= 1
    assert Config(APP, interpreters=3).interpreters == 3


def test_most_interpreters():
    assert Config(APP, max_interpreters=1).interpreters == 1
    assert Config(APP, interpreters=2, max_interpreters=2).max_interpreters == 2
    with pytest.raises(ConfigError, match="max_interpreters is 2, below interpreters, 3"):
        Config(APP, interpreters=3, max_interpreters=2)


def test_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Config(APP).port = 1


def test_options_are_given_by_name_only():
    with pytest.raises(TypeError):
        Config(APP, 4)


WRONG = {int: ["1", 1.5, True, b"1", [1]], float: ["1", True, b"1"], bool: [0, 1, "on"], str: [1, b"x", True]}
WRONG_SEVERAL = [1, b"x", True, "*.py", ("*.py", 1)]
MEANT = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, value, id=f"{option.name}={value!r}")
        for option in OPTIONS
        for value in [*(WRONG_SEVERAL if option.several else WRONG[option.kind]), *([] if option.optional else [None])]
    ],
)
def test_wrong_type(option, value):
    with pytest.raises(ConfigError) as caught:
        Config(APP, **{option.name: value})
    meant = "a list of texts" if option.several else MEANT[option.kind]
    if option.choices:
        meant = f"one of {', '.join(option.choices)}"
    assert str(caught.value) == f"{option.name} must be {meant}, not {'***' if option.secret else repr(value)}"


@each_option
def test_none_where_the_option_may_be_left_out(option):
    if option.name in ("host", "port"):
        assert getattr(Config(APP, **{option.name: None}), option.name) in ("127.0.0.1", 8000)
    elif option.optional:
        assert getattr(Config(APP, **{option.name: None}), option.name) is None
    else:
        with pytest.raises(ConfigError, match=option.name):
            Config(APP, **{option.name: None})


@pytest.fixture
def with_certificate(tmp_path):
    """Options without which those for TLS mean nothing. That the files hold no certificate is found out later."""
    file = tmp_path / "certificate.pem"
    file.write_text("")

    def of(option):
        of_tls = option.name in ("redirect_http", "hsts", "ssl_cert_reqs")
        return {"ssl_certfile": str(file), "ssl_ca_certs": str(file)} if of_tls else {}

    return of


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.least is not None], ids=lambda o: o.name)
def test_least(option, with_certificate):
    Config(APP, **{option.name: option.kind(option.least)}, **with_certificate(option))
    too_small = option.kind(option.least) - 1
    with pytest.raises(ConfigError) as caught:
        Config(APP, **{option.name: too_small})
    assert str(caught.value) == f"{option.name} must be at least {option.least:g}, not {too_small!r}"


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.most is not None], ids=lambda o: o.name)
def test_most(option, with_certificate):
    Config(APP, **{option.name: option.kind(option.most)}, **with_certificate(option))
    too_big = option.kind(option.most) + 1
    with pytest.raises(ConfigError) as caught:
        Config(APP, **{option.name: too_big})
    assert str(caught.value) == f"{option.name} must be at most {option.most:g}, not {too_big!r}"


def test_every_number_has_a_lower_bound():
    assert [option.name for option in OPTIONS if option.kind in (int, float) and option.least is None] == []


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.kind is float], ids=lambda o: o.name)
def test_not_a_number_is_no_number_of_seconds(option):
    with pytest.raises(ConfigError, match=option.name):
        Config(APP, **{option.name: float("nan")})


def test_seconds_may_be_whole():
    assert Config(APP, timeout_keep_alive=3).timeout_keep_alive == 3


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.choices], ids=lambda option: option.name)
def test_choices(monkeypatch, option, with_certificate):
    monkeypatch.setattr(options, "LAZY_IMPORTS_EXIST", True)
    for choice in option.choices:
        config = Config(APP, **{option.name: choice}, **with_certificate(option))
        assert getattr(config, option.name) == choice
    with pytest.raises(ConfigError) as caught:
        Config(APP, **{option.name: "sometimes"})
    assert str(caught.value) == f"{option.name} must be one of {', '.join(option.choices)}, not 'sometimes'"


def test_uds_and_fd_exclude_each_other():
    with pytest.raises(ConfigError, match="uds and fd"):
        Config(APP, uds="/tmp/x", fd=3)


@pytest.mark.parametrize(("given_path", "kept"), [("", ""), ("/", ""), ("/api", "/api"), ("/api/", "/api")])
def test_root_path(given_path, kept):
    assert Config(APP, root_path=given_path).root_path == kept


@pytest.mark.parametrize("name", [None, "shop", "Shop-2_b.example", "x" * 64])
def test_name(name):
    assert Config(APP, name=name).name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "grün", "a\n", "a:b"])
def test_what_can_not_be_a_name(name):
    with pytest.raises(ConfigError, match="name must be of letters, digits,"):
        Config(APP, name=name)


def test_root_path_must_start_with_a_slash():
    with pytest.raises(ConfigError, match="root_path must start with a slash, not be 'api'"):
        Config(APP, root_path="api")


# -- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("port", "9000", 9000),
        ("timeout_keep_alive", "2.5", 2.5),
        ("timeout_keep_alive", "3", 3.0),
        ("host", "::1", "::1"),
        ("uds", "/run/app.sock", "/run/app.sock"),
        ("fd", "3", 3),
        ("limit_request_body", "10", 10),
        ("log_level", "debug", "debug"),
    ],
)
def test_environment_variable(environment, name, text, value):
    environment[BY_NAME[name].env] = text
    got = getattr(Config.resolve(APP, {}), name)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("text", ["1", "true", "True", "YES", "on", " on "])
def test_true_in_an_environment_variable(environment, text):
    environment["SNAKEPIT_FACTORY"] = text
    assert Config.resolve(APP, {}).factory is True


@pytest.mark.parametrize("text", ["0", "false", "False", "NO", "off", " off "])
def test_false_in_an_environment_variable(environment, text):
    environment["SNAKEPIT_ACCESS_LOG"] = text
    assert Config.resolve(APP, {}).access_log is False


@pytest.mark.parametrize(
    ("variable", "text", "meant"),
    [
        ("SNAKEPIT_PORT", "http", "a whole number"),
        ("SNAKEPIT_PORT", "1.5", "a whole number"),
        ("SNAKEPIT_TIMEOUT_KEEP_ALIVE", "long", "a number"),
        ("SNAKEPIT_ACCESS_LOG", "maybe", "true or false"),
    ],
)
def test_bad_environment_variable(environment, variable, text, meant):
    environment[variable] = text
    with pytest.raises(ConfigError) as caught:
        Config.resolve(APP, {})
    assert str(caught.value) == f"{variable} must be {meant}, not {text!r}"


@pytest.mark.parametrize(
    ("variable", "text", "match"),
    [
        ("SNAKEPIT_PORT", "70000", "port must be at most 65535, not 70000"),
        ("SNAKEPIT_THREADS", "0", "threads must be at least 1, not 0"),
        ("SNAKEPIT_LIFESPAN", "maybe", "lifespan must be one of auto, on, off, not 'maybe'"),
    ],
)
def test_environment_variables_are_checked_too(environment, variable, text, match):
    environment[variable] = text
    with pytest.raises(ConfigError, match=match):
        Config.resolve(APP, {})


def test_precedence(environment, env_file):
    path = env_file("SNAKEPIT_PORT=1\nSNAKEPIT_HOST=file\nSNAKEPIT_THREADS=7\n")
    environment["SNAKEPIT_PORT"] = "2"
    environment["SNAKEPIT_HOST"] = "environment"
    config = Config.resolve(APP, {"port": 3, "env_file": path})
    assert config.port == 3, "what is given comes before the environment"
    assert config.host == "environment", "the environment comes before the env file"
    assert config.threads == 7, "the env file comes before the defaults"
    assert config.backlog == BY_NAME["backlog"].default


def test_who_is_trusted_by_the_variable_of_other_servers(environment, env_file):
    assert Config.resolve(APP, {}).forwarded_allow_ips == "127.0.0.1,::1,unix:"
    path = env_file("FORWARDED_ALLOW_IPS=10.0.0.1\n")
    assert Config.resolve(APP, {"env_file": path}).forwarded_allow_ips == "10.0.0.1"
    environment["FORWARDED_ALLOW_IPS"] = ""
    assert Config.resolve(APP, {}).forwarded_allow_ips == ""
    environment["SNAKEPIT_FORWARDED_ALLOW_IPS"] = "10.0.0.0/8"
    assert Config.resolve(APP, {}).forwarded_allow_ips == "10.0.0.0/8"
    assert Config.resolve(APP, {"forwarded_allow_ips": "*"}).forwarded_allow_ips == "*"


def test_who_is_trusted_must_be_addresses():
    with pytest.raises(ConfigError, match=r"forwarded_allow_ips must be IP addresses, .* 'nginx' is none of these"):
        Config(APP, forwarded_allow_ips="127.0.0.1,nginx")
    with pytest.raises(ConfigError, match="trusted_proxy_headers: 'x-real-ip' can't be read"):
        Config(APP, trusted_proxy_headers="X-Real-IP")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
@pytest.mark.parametrize("text", ["", "tcp://10.0.0.1:8000", "udp://[fd00::1]:53"])
def test_variables_that_can_not_be_meant(environment, option, text):
    environment[option.env] = text
    assert Config.resolve("m:a", {}) == Config("m:a")
    (sentence,) = ignored_variables(OPTIONS, environment)
    assert sentence.startswith(f"The environment variable {option.env} is ignored: ")
    assert ("enableServiceLinks: false" in sentence) is bool(text)


def test_a_variable_of_other_servers_is_empty(environment):
    environment["WEB_CONCURRENCY"] = ""
    config = Config.resolve(APP, {})
    assert (config.interpreters, config.workers_source) == (usable_cpus().count, usable_cpus().source)
    assert ignored_variables(OPTIONS, environment) == [
        "The environment variable WEB_CONCURRENCY is ignored: it is empty"
    ]


def test_other_variables_are_not_told_of(environment):
    environment["SNAKEPIT_PORT_8000_TCP"] = "tcp://10.0.0.1:8000"
    environment["SNAKEPIT_SERVICE_PORT"] = ""
    environment["SNAKEPIT_PORT"] = "80"
    environment["FORWARDED_ALLOW_IPS"] = ""  # no proxy is trusted
    assert ignored_variables(OPTIONS, environment) == []


def test_given_none_comes_before_the_environment(environment):
    environment["SNAKEPIT_UDS"] = "/run/app.sock"
    assert Config.resolve(APP, {"uds": None}).uds is None


def test_a_bad_variable_does_not_matter_where_the_option_is_given(environment):
    environment["SNAKEPIT_PORT"] = "nonsense"
    assert Config.resolve(APP, {"port": 1}).port == 1


def test_env_file_by_environment_variable(environment, env_file):
    environment["SNAKEPIT_ENV_FILE"] = env_file("SNAKEPIT_PORT=1234\n")
    config = Config.resolve(APP, {})
    assert config.port == 1234
    assert config.env_file == environment["SNAKEPIT_ENV_FILE"]


def test_given_env_file_comes_before_the_environments(environment, env_file):
    environment["SNAKEPIT_ENV_FILE"] = "/does/not/exist"
    assert Config.resolve(APP, {"env_file": env_file("SNAKEPIT_PORT=12\n")}).port == 12


def test_env_file_sets_the_apps_variables_too(environment, env_file):
    path = env_file("# a comment\nDATABASE='sqlite:///x y'\nexport NAME=Ünïcode\n\n")
    Config.resolve(APP, {"env_file": path})
    assert environment["DATABASE"] == "sqlite:///x y"
    assert environment["NAME"] == "Ünïcode"


def test_env_file_leaves_what_is_set_alone(environment, env_file):
    environment["DATABASE"] = "mine"
    load_env_file(env_file("DATABASE=theirs\n"))
    assert environment["DATABASE"] == "mine"


def test_env_file_that_is_not_there():
    with pytest.raises(ConfigError, match=r"env file '/does/not/exist' can't be read: No such file"):
        Config.resolve(APP, {"env_file": "/does/not/exist"})


def test_env_file_that_is_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        Config.resolve(APP, {"env_file": str(tmp_path)})


def test_env_file_that_is_not_utf8(env_file):
    with pytest.raises(ConfigError, match=r"settings\.env' can't be read.*utf-8"):
        Config.resolve(APP, {"env_file": env_file("NAME=ü\n", "latin-1")})


def test_env_file_with_a_key_without_a_value(env_file):
    with pytest.raises(ConfigError, match=r"'NAME' has no value; write NAME=\.\.\."):
        Config.resolve(APP, {"env_file": env_file("NAME\n")})


def test_env_file_of_a_wrong_type():
    with pytest.raises(ConfigError, match="env_file must be text, not 5"):
        Config.resolve(APP, {"env_file": 5})


@pytest.mark.parametrize("name", ["prot", "app_directory", ""])
def test_unknown_option(name):
    with pytest.raises(ConfigError, match=f"there is no option {name!r}"):
        Config.resolve(APP, {name: 1})


@given(st.sampled_from(OPTIONS), st.text(max_size=20) | st.integers().map(str) | st.floats().map(str))
def test_any_text_in_the_environment_is_a_value_or_a_config_error(option, text):
    message = None
    try:
        value = option.parse(text)
        option.check(value)
    except ConfigError as error:
        message = str(error)
    if message is None:
        assert isinstance(value, tuple if option.several else option.kind)
    else:
        assert option.name in message or option.env in message


# -- other names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "given_options", "expected"),
    [
        ({"WEB_CONCURRENCY": "5"}, {}, (5, "from WEB_CONCURRENCY")),
        ({"WEB_CONCURRENCY": "5", "SNAKEPIT_WORKERS": "6"}, {}, (6, "")),
        ({"WEB_CONCURRENCY": "5", "SNAKEPIT_WORKERS": "6", "SNAKEPIT_INTERPRETERS": "7"}, {}, (7, "")),
        ({"WEB_CONCURRENCY": "5"}, {"interpreters": 3}, (3, "")),
        ({"WEB_CONCURRENCY": "5"}, {"workers": 3}, (3, "")),
        ({"WEB_CONCURRENCY": "nonsense"}, {"workers": 3}, (3, "")),
        ({"WEB_CONCURRENCY": "5"}, {"runtime": "thread"}, (1, "")),
    ],
)
def test_what_says_how_many_workers_there_are(environment, variables, given_options, expected):
    environment.update(variables)
    config = Config.resolve(APP, given_options)
    assert (config.interpreters, config.workers_source) == expected


def test_0_workers_are_as_many_as_there_are_cpus_wherever_that_is_said(environment):
    environment["WEB_CONCURRENCY"] = "0"
    config = Config.resolve(APP, {})
    assert (config.interpreters, config.workers_source) == (usable_cpus().count, usable_cpus().source)


@pytest.mark.parametrize("variable", ["SNAKEPIT_INTERPRETERS", "SNAKEPIT_WORKERS", "WEB_CONCURRENCY"])
def test_a_variable_says_at_least_and_at_most_so_many_workers(environment, variable):
    environment[variable] = "2-8"
    config = Config.resolve(APP, {})
    assert (config.interpreters, config.max_interpreters) == (2, 8)


def test_at_most_so_many_workers_is_said_twice(environment):
    with pytest.raises(ConfigError, match=r"^interpreters 2-8 sets max_interpreters, too: give one of them$"):
        Config.resolve(APP, {"interpreters": "2-8", "max_interpreters": 4})


def test_web_concurrency_that_is_no_number(environment):
    environment["WEB_CONCURRENCY"] = "many"
    with pytest.raises(ConfigError, match=r"^WEB_CONCURRENCY must be a whole number, not 'many'$"):
        Config.resolve(APP, {})


def test_another_number_of_workers_comes_from_nowhere_else():
    assert replace(Config(APP), interpreters=3).workers_source == ""


def test_a_quota_is_heeded(monkeypatch):
    monkeypatch.setattr("snakepit.config.options.usable_cpus", lambda: Cpus(2, "the CPU quota here is 1.5"))
    config = Config(APP)
    assert (config.interpreters, config.workers_source) == (2, "the CPU quota here is 1.5")
    assert Config(APP, interpreters=5).interpreters == 5


def test_one_option_by_both_of_its_names():
    with pytest.raises(ConfigError, match=r"^workers is another name for interpreters: give one of them$"):
        Config.resolve(APP, {"workers": 3, "interpreters": 3})


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("http2", "there is no HTTP/2"), ("headers", "use header="), ("h11_max_incomplete_event_size", "use --limit")],
)
def test_a_keyword_of_uvicorn(name, remedy):
    with pytest.raises(ConfigError, match=rf"^there is no option '{name}'; .*{remedy}"):
        Config.resolve(APP, {name: 1})


def test_fields_from_the_environment(environment):
    environment["SNAKEPIT_HEADER"] = "X-A: 1\nX-B: http://example.org\n"
    assert Config.resolve(APP, {}).header == ("X-A: 1", "X-B: http://example.org")


def test_bad_fields():
    with pytest.raises(ConfigError, match="header must look like NAME:VALUE"):
        Config(APP, header=("X-A: 1", "X-B"))


# -- several values --------------------------------------------------------------------------------------------------


def test_several_values_from_the_environment(environment):
    environment["SNAKEPIT_RELOAD_DIR"] = os.pathsep.join(["src", "", "../lib"])
    config = Config.resolve(APP, {})
    assert config.reload_dir == ("src", "../lib")
    assert config.reload_include == ("*.py",)
    assert Config.resolve(APP, {"reload_dir": ("given",)}).reload_dir == ("given",)


def test_default_text_of_several_values():
    assert BY_NAME["reload_include"].default_text == "*.py"
    assert BY_NAME["reload_exclude"].default_text is None
    assert [option.name for option in OPTIONS if option.several] == [
        "bind",
        "domain",
        "acme_directory",
        "acme_eab",
        "mount",
        "env",
        "static_path",
        "static_route",
        "header",
        "reload_dir",
        "reload_include",
        "reload_exclude",
    ]


def test_pages_reload_themselves_only_where_something_is_reloaded():
    with pytest.raises(ConfigError, match=r"^reload_browser needs reload$"):
        Config(APP, reload_browser=True)
    assert Config(APP, reload=True, reload_browser=True).reload_browser


@pytest.mark.parametrize("name", ["reload", "limit_max_requests", "workers_lifetime", "workers_max_rss"])
def test_nothing_is_replaced_in_a_thread(name):
    given = {name: True if name == "reload" else 5}
    with pytest.raises(
        ConfigError, match=f"^{name} can't be used with runtime thread, where modules are imported once$"
    ):
        Config(APP, runtime="thread", **given)
    for runtime in ("interpreter", "process"):
        Config(APP, runtime=runtime, **given)


def test_lazy_imports_need_a_python_that_has_them(monkeypatch):
    monkeypatch.setattr(options, "LAZY_IMPORTS_EXIST", False)
    with pytest.raises(ConfigError, match=r"^lazy_imports can't be on before Python 3\.15; leave it out, or use"):
        Config(APP, lazy_imports="on")
    assert [Config(APP, lazy_imports=value).lazy_imports for value in ("auto", "off")] == ["auto", "off"]
    monkeypatch.setattr(options, "LAZY_IMPORTS_EXIST", True)
    assert Config(APP, lazy_imports="on").lazy_imports == "on"
