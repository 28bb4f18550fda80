"""snakepit.errors: whose fault an error is decides the exit status, and a fault is the whole traceback as text."""

import marshal

import pytest

from snakepit import errors
from snakepit.errors import fault


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError, 2),
        (errors.AppError, 3),
        (errors.AppImportError, 3),
        (errors.LifespanError, 3),
        (errors.WorkerLost, 3),
        (errors.InternalError, 1),
        (errors.LocalProtocolError, 1),
    ],
)
def test_exit_status(error, status):
    assert error("x").exit_status == status
    assert isinstance(error("x"), errors.SnakepitError)


def test_remote_protocol_error():
    error = errors.RemoteProtocolError("too much", 413, ((b"a", b"b"),))
    assert (str(error), error.reason, error.status, error.headers) == ("too much", "too much", 413, ((b"a", b"b"),))
    assert errors.RemoteProtocolError("bad").status == 400
    assert errors.RemoteProtocolError("bad").headers == ()


def test_client_disconnected_is_an_os_error():
    # ASGI's HTTP specification 2.4: send raises a subclass of OSError
    assert issubclass(errors.ClientDisconnected, OSError)
    assert not issubclass(errors.ClientDisconnected, errors.SnakepitError)


def test_internal_error_asks_for_a_report():
    assert str(errors.InternalError("no way")) == "no way: this is a bug in snakepit; please report it"


def deep():
    raise ValueError("the cause")


def test_fault_is_the_traceback():
    try:
        try:
            deep()
        except ValueError as error:
            raise RuntimeError("the effect") from error
    except RuntimeError as error:
        text = fault(error)
    assert text.startswith("Traceback (most recent call last):")
    assert "in deep" in text
    assert "ValueError: the cause" in text
    assert text.endswith("RuntimeError: the effect")
    assert marshal.loads(marshal.dumps(text)) == text


def test_fault_of_an_error_that_was_never_raised():
    assert fault(SystemExit(3)) == "SystemExit: 3"


def test_fault_of_an_error_that_cannot_be_shown():
    class Unshowable(Exception):
        def __str__(self):
            raise ValueError

    assert "Unshowable" in fault(Unshowable())
