"""snakepit.http.strict: requests that no parser may accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.strict import check_head, http_version, too_long


@pytest.mark.parametrize(("version", "text"), [(b"1.0", "1.0"), (b"1.1", "1.1")])
def test_known_version(version, text):
    assert http_version(version) == text


@given(st.binary(max_size=5).filter(lambda version: version not in (b"1.0", b"1.1")))
def test_any_other_version(version):
    with pytest.raises(RemoteProtocolError) as caught:
        http_version(version)
    assert caught.value.status == 505


def refusal(headers, method="GET", **limits):
    with pytest.raises(RemoteProtocolError) as caught:
        check_head(method, b"/", headers, Limits(**limits))
    return caught.value.status


def test_nothing_to_refuse():
    assert check_head("GET", b"/", [(b"host", b"a")], Limits()) is False


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-CONTINUE"])
def test_expects_continue(value):
    assert check_head("PUT", b"/", [(b"expect", value)], Limits()) is True


@pytest.mark.parametrize("value", [b"", b"tea", b"100-continue, tea", b"100"])
def test_other_expectations(value):
    assert refusal([(b"expect", value)]) == 417


def test_connect():
    assert refusal([], method="CONNECT") == 405


def test_fields():
    fields = [(b"x", b"y")] * 10
    check_head("GET", b"/", fields, Limits(fields=10))
    assert refusal(fields, fields=9) == 431


def test_announced_body():
    check_head("PUT", b"/", [(b"content-length", b"10")], Limits(body=10))
    check_head("PUT", b"/", [(b"content-length", b"10")], Limits())
    assert refusal([(b"content-length", b"11")], body=10) == 413


def test_both_lengths_in_either_order():
    fields = [(b"content-length", b"0"), (b"transfer-encoding", b"chunked")]
    assert refusal(fields) == refusal(fields[::-1]) == 400


def test_too_long_names_the_limit():
    error = too_long(17)
    assert error.status == 413
    assert "17 bytes" in error.reason


@pytest.mark.parametrize(("method", "target"), [("GET", b"/"), ("GET", b"HtTPs://a/b"), ("OPTIONS", b"*")])
def test_targets(method, target):
    check_head(method, target, [], Limits())


@pytest.mark.parametrize(
    ("method", "target"), [("GET", b"a"), ("GET", b"*"), ("GET", b"a:80"), ("GET", b"ftp://a/"), ("GET", b"http:/a")]
)
def test_targets_without_a_known_form(method, target):
    with pytest.raises(RemoteProtocolError) as raised:
        check_head(method, target, [], Limits())
    assert raised.value.status == 400
