"""snakepit.errors: whose fault an error is decides the exit status, and a fault is the whole traceback as text."""

import importlib.util
import marshal
from pathlib import Path
from unittest.mock import Mock

import pytest

from snakepit import errors
from snakepit.errors import fault


def load_app(name):
    """Import one of the apps of the end-to-end tests."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "apps" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


hostile = load_app("hostile")


@pytest.mark.parametrize("name", hostile.ERRORS)
def test_fault_of_whatever_an_app_raises(name):
    try:
        hostile.ERRORS[name]()
    except BaseException as error:
        text = fault(error)
    assert marshal.loads(marshal.dumps(text)) == text
    assert text.encode()
    assert len(text) < errors.FAULT_LIMIT + 100


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("textless", "Textless: <exception str() failed>"),
        ("endless", "Endless: <exception str() failed>"),
        ("tracebackless", "Tracebackless: t\n(it can't be formatted as a whole)"),
        ("guarded", "Guarded: g\n(it can't be formatted as a whole)"),
        ("attribute", "AttributeError: 'Crowd' object has no attribute 'foo'\n(it can't be formatted as a whole)"),
        ("nameless", "OfNameless (its text can't be formatted)"),
    ],
)
def test_fault_without_what_cannot_be_formatted(name, end):
    try:
        hostile.ERRORS[name]()
    except BaseException as error:
        text = fault(error)
    assert text.startswith("Traceback (most recent call last):\n")
    assert "in test_fault_without_what_cannot_be_formatted" in text  # where it was raised is told all the same
    assert text.endswith(end)


def test_fault_where_nothing_works(monkeypatch):
    monkeypatch.setattr(errors.traceback, "format_exception", Mock(side_effect=MemoryError))
    monkeypatch.setattr(errors.traceback, "format_tb", Mock(side_effect=MemoryError))
    assert fault(ValueError("v")) == "ValueError (it can't be formatted)"
    monkeypatch.setattr(errors, "_name", Mock(side_effect=MemoryError))
    assert fault(ValueError("v")) == "an exception that can't be formatted"


def test_a_long_fault_keeps_its_ends():
    text = fault(ValueError("x" * 200_000))
    assert text.startswith("ValueError: xxx")
    assert text.endswith("xxx")
    assert f"\n[{200_000 + len('ValueError: ') - errors.FAULT_LIMIT} characters left out]\n" in text
    assert "left out" not in fault(ValueError("x" * (errors.FAULT_LIMIT - len("ValueError: "))))
