"""server.exchanges.request_start: for how long a request was with proxies."""

import pytest

from snakepit.server.exchanges.request_start import seconds_before

NOW = 1_800_000_000.75


@pytest.mark.parametrize(
    "value",
    [
        b"t=1800000000.500", b"1800000000.5", b"t=1800000000500", b"1800000000500", b"1800000000500000",
        b"1800000000500000000", b" t=1800000000.500000 ", b"1800000000500.25",
    ],
)  # fmt: skip
def test_forms(value):
    assert seconds_before([(b"host", b"t"), (b"x-request-start", value)], NOW) == pytest.approx(0.25, abs=1e-5)


def test_whole_seconds():
    assert seconds_before([(b"x-request-start", b"t=1800000000")], NOW) == pytest.approx(0.75)


def test_the_first_proxy_counts():
    headers = [(b"x-request-start", b"1800000000.25"), (b"x-request-start", b"1800000000.5")]
    assert seconds_before(headers, NOW) == pytest.approx(0.5)


def test_a_clock_that_is_a_little_ahead():
    assert seconds_before([(b"x-request-start", b"1800000001.5")], NOW) == 0.0


@pytest.mark.parametrize(
    "value",
    [
        b"", b"t=", b"now", b"-1", b"1.8e9", b"180000000", b"1800000000,5", b"t=1800000000.",
        b"18000000005000000000000", b"1800000000.0000000000", b"1799990000", b"1800000002", b"t=t=1800000000",
        b"\xb2" * 10,
    ],
)  # fmt: skip
def test_what_can_not_be_true(value):
    assert seconds_before([(b"x-request-start", value)], NOW) is None


def test_without_it():
    assert seconds_before([(b"host", b"t")], NOW) is None
