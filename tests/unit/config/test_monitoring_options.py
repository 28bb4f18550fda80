"""config.monitoring: the options for health checks and metrics."""

import pytest

from snakepit.config.bind import Bind
from snakepit.config.options import Config
from snakepit.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({}, ("", "", "")),
        ({"health": True}, ("/livez", "/readyz", "")),
        ({"health": True, "livez": "/alive"}, ("/alive", "/readyz", "")),
        ({"readyz": "/-/ready.txt"}, ("", "/-/ready.txt", "")),
        ({"metrics": "/m"}, ("", "", "/m")),
        ({"metrics_bind": "127.0.0.1:9100"}, ("", "", "/metrics")),
        ({"metrics_bind": "[::1]:9100", "metrics": "/m"}, ("", "", "/m")),
    ],
)
def test_paths(options, paths):
    config = Config("app:app", **options)
    assert (config.livez_path, config.readyz_path, config.metrics_path) == paths


def test_the_socket_for_metrics():
    assert Config("app:app").metrics_socket is None
    assert Config("app:app", metrics_bind="[::1]:9100").metrics_socket == Bind("::1", 9100)
    assert Config("app:app", metrics_bind=":9100").metrics_socket == Bind("", 9100)


@pytest.mark.parametrize("name", ["livez", "readyz", "metrics"])
@pytest.mark.parametrize("path", ["status", "/a?b", "/a#b", "/%41", "/a b", "http://a/b", "/ä"])
def test_what_is_no_path(name, path):
    with pytest.raises(ConfigError, match=f"{name} must be a path, such as /{name}, without escapes and query, not "):
        Config("app:app", **{name: path})


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "unix:/run/a.sock", "fd:3", "127.0.0.1:9100,tls", "9100", "a:b"])
def test_where_metrics_can_not_be(bind):
    with pytest.raises(ConfigError, match=r"metrics_bind must be HOST:PORT or \[ADDRESS\]:PORT, with a port above 0"):
        Config("app:app", metrics_bind=bind)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"health": True, "livez": "/readyz"}, "livez and readyz can't both be /readyz"),
        ({"health": True, "metrics": "/livez"}, "livez and metrics can't both be /livez"),
        ({"readyz": "/a", "metrics": "/a"}, "readyz and metrics can't both be /a"),
    ],
)
def test_one_path_for_two(options, names):
    with pytest.raises(ConfigError, match=names):
        Config("app:app", **options)
