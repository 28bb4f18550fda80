"""snakepit.acme.keeper: a certificate is issued if it is missing or due, and by one process only."""

import pytest
from certificates import pem

from snakepit.acme.issuers import Due, Issued
from snakepit.acme.keeper import AFTER_FAILURE, Keeper
from snakepit.acme.problems import AcmeError, AcmeStopped
from snakepit.acme.stopping import Stop
from snakepit.acme.store import CertificateStore

NAME = "example.com"
START = 1_700_000_000
DAY = 86400.0


class Issuer:
    """Issues what the test says, and finds due what is older than 60 days."""

    def __init__(self, clock):
        self.clock = clock
        self.outcome = None
        self.calls = []
        self.look_again = 6 * 3600.0

    def wait_due(self, stored):
        return Due(stored.chain.not_before + 60 * DAY, self.clock.now + self.look_again)

    def wait_issue(self, name, previous, attempt):
        self.calls.append((name, previous.chain.fingerprint if previous else None, attempt))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is not None:
            return Issued(self.outcome, "ca")
        return Issued(pem([name], start=int(self.clock.now), serial=len(self.calls)), "ca", "http-01")


class Clock:
    now = START + 10.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(clock):
    return Issuer(clock)


@pytest.fixture
def store(tmp_path):
    return CertificateStore(tmp_path / "acme")


@pytest.fixture
def keeper(store, issuer, clock):
    return Keeper(store, lambda name: issuer, Stop(), now=lambda: clock.now)


def test_what_is_missing_is_issued_and_then_kept(keeper, issuer, clock, store):
    visit = keeper.wait_visit(NAME, 3)
    assert (visit.issued, visit.fault, visit.again) == (True, None, clock.now + 6 * 3600)
    assert issuer.calls == [(NAME, None, 3)]
    assert keeper.load(NAME) == store.certificate(NAME) == visit.stored
    clock.now += DAY
    again = keeper.wait_visit(NAME, 0)
    assert (again.stored, again.issued, again.again) == (visit.stored, False, clock.now + 6 * 3600)


def test_the_time_of_renewal_is_not_missed(keeper, issuer, clock):
    issuer.look_again = 100 * DAY
    first = keeper.wait_visit(NAME, 0)
    assert first.again == first.stored.chain.not_before + 60 * DAY
    clock.now = first.again
    second = keeper.wait_visit(NAME, 0)
    assert second.issued
    assert issuer.calls[-1] == (NAME, first.stored.chain.fingerprint, 0)


def test_it_is_renewed_if_that_is_wanted(keeper):
    first = keeper.wait_visit(NAME, 0)
    assert keeper.wait_visit(NAME, 0, renew=True).stored.chain != first.stored.chain


@pytest.mark.parametrize("renew", [False, True])
def test_what_another_process_obtained_meanwhile_is_taken(keeper, issuer, store, monkeypatch, clock, renew):
    if renew:
        keeper.wait_visit(NAME, 0)
        clock.now += 61 * DAY
    calls = len(issuer.calls)
    locked = store.locked

    def others_first(name, stop):
        monkeypatch.setattr(store, "locked", locked)
        store.put(NAME, pem([NAME], start=int(clock.now), serial=99), "ca")
        return locked(name, stop)

    monkeypatch.setattr(store, "locked", others_first)
    visit = keeper.wait_visit(NAME, 0, renew=renew)
    assert (visit.issued, visit.fault) == (False, None)
    assert visit.stored.chain.not_before == int(clock.now)
    assert len(issuer.calls) == calls


def test_a_failure_leaves_the_old_one(keeper, issuer, clock):
    first = keeper.wait_visit(NAME, 0)
    clock.now += 61 * DAY
    issuer.outcome = AcmeError("no", 7.0)
    visit = keeper.wait_visit(NAME, 0)
    assert (visit.stored, visit.fault.retry_after, visit.issued) == (first.stored, 7.0, False)


def test_a_process_that_begins_anew_does_not_try_at_once(keeper, issuer, clock, store):
    issuer.outcome = AcmeError("no")
    assert str(keeper.wait_visit(NAME, 0).fault) == "no"
    again = Keeper(store, lambda name: issuer, Stop(), now=lambda: clock.now)
    clock.now += 20
    visit = again.wait_visit(NAME, 0)
    assert str(visit.fault) == "no (an attempt before this server began)"
    assert visit.fault.retry_after == AFTER_FAILURE - 20
    assert len(issuer.calls) == 1
    again.wait_visit(NAME, 0, renew=True)  # somebody says so
    assert len(issuer.calls) == 2
    clock.now += AFTER_FAILURE
    issuer.outcome = AcmeError("rate limit", 1000.0)
    again.wait_visit(NAME, 0)
    clock.now += 999
    assert "rate limit" in str(again.wait_visit(NAME, 0).fault)
    assert len(issuer.calls) == 3
    clock.now -= 30 * DAY  # a clock that was wrong must not matter for long
    issuer.outcome = None
    assert again.wait_visit(NAME, 0).issued
    assert store.failure(NAME) is None


def test_a_failure_that_can_t_be_stored(keeper, issuer, store, monkeypatch, caplog):
    def fail(*args):
        raise OSError(28, "No space left on device")

    issuer.outcome = AcmeError("no")
    monkeypatch.setattr(store, "put_failure", fail)
    assert str(keeper.wait_visit(NAME, 0).fault) == "no"
    assert "can't be stored: [Errno 28]" in caplog.text


def test_what_can_t_be_used_is_not_stored(keeper, issuer, clock):
    first = keeper.wait_visit(NAME, 0)
    for wrong in (b"", b"<html>", pem(["other.example"])):
        issuer.outcome = wrong
        visit = keeper.wait_visit(NAME, 0, renew=True)
        assert visit.stored == first.stored
        assert "what the CA issued can't be used" in str(visit.fault)


def test_a_new_certificate_that_is_due_at_once(keeper, issuer, clock):
    issuer.outcome = pem(start=START - int(80 * DAY))
    visit = keeper.wait_visit(NAME, 0)
    assert visit.stored is not None
    assert "is the clock of this machine right?" in str(visit.fault)


def test_a_store_that_fails(keeper, store, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "put", fail)
    assert "the store can't be used: [Errno 28]" in str(keeper.wait_visit(NAME, 0).fault)


def test_a_stop(keeper, issuer):
    issuer.outcome = AcmeStopped()
    with pytest.raises(AcmeStopped):
        keeper.wait_visit(NAME, 0)


def test_what_is_over_is_not_served_from_the_store(keeper, clock):
    keeper.wait_visit(NAME, 0)
    assert keeper.load(NAME) is not None
    clock.now += 91 * DAY
    assert keeper.load(NAME) is None
