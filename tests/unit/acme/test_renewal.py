"""snakepit.acme.renewal: when a certificate is renewed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from certificates import certificate
from playing_ca import Ca

from snakepit.acme.chains import described
from snakepit.acme.keys import AccountKey
from snakepit.acme.problems import AcmeError
from snakepit.acme.renewal import LOOK_AGAIN, ask_suggestion, due
from snakepit.acme.session import Session
from snakepit.acme.steps import Response

DAY = 86400.0
START = 1_700_000_000
CHAIN = described(certificate())
URL = f"https://ca.test/renewal/{CHAIN.identifier}"
NOW = START + 5 * DAY


def iso(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def window(start, end, **more):
    return {"suggestedWindow": {"start": start, "end": end}, **more}


def ask(ca, before=None, chain=CHAIN, now=NOW):
    session = Session("https://ca.test/dir", AccountKey.make())
    return ca.run(ask_suggestion(session, chain, before, now, lambda start, end: start + (end - start) / 4))


@pytest.mark.parametrize("days", [6, 90, 398])
def test_without_a_suggestion_when_one_third_is_left(days):
    found = {due(described(certificate(days=days, serial=serial)), None) for serial in range(1, 30)}
    left = [(START + days * DAY - one) / (days * DAY) for one in found]
    assert 1 / 3 <= min(left) < max(left) <= 1 / 3 + 1 / 30
    assert len(found) > 20  # not all at once


def test_a_random_moment_in_the_window():
    ca = Ca()
    start = START + 60 * DAY
    ca.at[URL] = ca.json(window(iso(start), iso(start + 4 * DAY), explanationURL="https://ca.test/why"))
    found = ask(ca)
    assert (found.start, found.end, found.chosen) == (start, start + 4 * DAY, start + DAY)
    assert found.look_again == NOW + LOOK_AGAIN
    assert found.explanation == "https://ca.test/why"
    assert due(CHAIN, found) == start + DAY
    assert ca.asked[-1].method == "GET"


def test_the_moment_is_kept_while_the_window_is():
    ca = Ca()
    start = START + 60 * DAY
    ca.at[URL] = ca.json(window(iso(start), iso(start + 4 * DAY)))
    found = replace(ask(ca), chosen=start + 2 * DAY)
    assert ask(ca, found).chosen == start + 2 * DAY
    ca.at[URL] = ca.json(window(iso(START), iso(START + DAY)))  # a mass revocation: renew at once
    moved = ask(ca, found)
    assert due(CHAIN, moved) < NOW


def test_a_suggestion_for_another_certificate_does_not_count():
    ca = Ca()
    ca.at[URL] = ca.json(window(iso(START), iso(START + DAY)))
    found = ask(ca)
    other = described(certificate(serial=7))
    assert due(other, found) == due(other, None)


def test_a_suggestion_after_the_end_does_not_count():
    ca = Ca()
    ca.at[URL] = ca.json(window("2300-01-01T00:00:00Z", "2300-01-02T00:00:00Z"))
    assert due(CHAIN, ask(ca)) == CHAIN.not_after - CHAIN.lifetime / 20


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, LOOK_AGAIN), (0.0, 60.0), (7200.0, 7200.0), (1e6, DAY)])
def test_when_it_is_asked_again(retry_after, seconds):
    ca = Ca()
    ca.at[URL] = ca.json(window("2300-01-01T00:00:00Z", "2300-01-02T00:00:00Z"), retry_after=retry_after)
    assert ask(ca).look_again == NOW + seconds


def test_where_there_is_none():
    assert ask(Ca(renewalInfo=None)) is None
    assert ask(Ca(), chain=described(certificate(authority=None))) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (window("2300-01-02T00:00:00Z", "2300-01-01T00:00:00Z"), "ends before it starts"),
        (window("2300-01-01T00:00:00Z", "2300-01-01T00:00:00Z"), "ends before it starts"),
        (window("tomorrow", "2300-01-01T00:00:00Z"), "'tomorrow', which is no time"),
        (window(1, 2), "is missing"),
        ({}, "the window of the renewal information is no JSON object"),
        ({"suggestedWindow": []}, "no JSON object"),
        ([], "no JSON object"),
    ],
)
def test_odd_information(found, reason):
    ca = Ca()
    ca.at[URL] = ca.json(found)
    with pytest.raises(AcmeError, match=reason):
        ask(ca)


def test_a_ca_that_does_not_know_the_certificate():
    ca = Ca()
    ca.at[URL] = Response(404, {}, b'{"detail": "unknown"}', 30.0)
    with pytest.raises(AcmeError, match="does not say when to renew: unknown") as raised:
        ask(ca)
    assert raised.value.retry_after == 30.0
