"""snakepit.worker.wsgi.disconnect: what the error is to frameworks, where they are loaded."""

import sys

import pytest

from snakepit.errors import ClientDisconnected
from snakepit.worker.wsgi.disconnect import client_disconnected


@pytest.fixture
def only(monkeypatch):
    """Have one of the frameworks loaded and the others not."""

    def load(name):
        for module in ("werkzeug.exceptions", "bottle"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        if name is None:
            return None
        monkeypatch.setitem(sys.modules, name, pytest.importorskip(name))
        return sys.modules[name]

    return load


def assert_is_ours(error):
    assert isinstance(error, ClientDisconnected)
    assert isinstance(error, OSError)
    assert type(error).__name__ == "ClientDisconnected"
    assert error.args == ("the client has closed the connection",)
    assert str(error) == "the client has closed the connection"
    assert error.errno is None


def test_without_such_a_framework(only):
    only(None)
    error = client_disconnected()
    assert_is_ours(error)
    assert type(error) is ClientDisconnected


def test_werkzeug(only):
    werkzeug = only("werkzeug.exceptions")
    error = client_disconnected()
    assert_is_ours(error)
    assert isinstance(error, werkzeug.ClientDisconnected)
    assert error.get_response().status_code == 400
    assert type(client_disconnected()) is type(error)


def test_bottle(only):
    bottle = only("bottle")
    error = client_disconnected()
    assert_is_ours(error)
    assert isinstance(error, bottle.HTTPError)
    assert error.status_code == 400


def test_a_module_that_is_only_called_like_that(only, monkeypatch):
    only(None)
    monkeypatch.setitem(sys.modules, "bottle", sys)
    assert type(client_disconnected()) is ClientDisconnected
