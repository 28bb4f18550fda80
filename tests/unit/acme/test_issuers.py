"""snakepit.acme.issuers: which CA is asked, by which challenge, and with which account."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from certificates import pem

from snakepit.acme import issuers
from snakepit.acme.issuers import AcmeIssuer, Authority, Due, LocalIssuer
from snakepit.acme.keys import AccountKey
from snakepit.acme.local_ca import LocalCa
from snakepit.acme.problems import AcmeError, AcmeStopped, CaRefused, CaUnreachable, ChallengeFailed, Problem
from snakepit.acme.renewal import LOOK_AGAIN, Suggestion, due
from snakepit.acme.stopping import Stop
from snakepit.acme.store import Account, CertificateStore

NAME = "example.com"
FIRST, SECOND = "https://one.test/dir", "https://two.test/dir"
START = 1_700_000_000
DAY = 86400.0


class Client:
    """What carries steps out: the outcome of each is what the test says."""

    def __init__(self):
        self.outcomes = []
        self.ran = []

    def wait_run(self, steps):
        if steps.gi_code.co_name == "directory":
            return SimpleNamespace(terms="https://ca.test/terms")
        self.ran.append(steps.gi_code.co_name)
        frame = steps.gi_frame.f_locals
        steps.close()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        self.asked = getattr(self, "asked", [])
        self.asked.append({name: frame.get(name) for name in ("kinds", "replaces", "contact")})
        return outcome


class Play:
    def __init__(self, path, authorities=(FIRST, SECOND), kinds=("http-01", "tls-alpn-01"), contact=""):
        self.now = START + 1.0
        self.store = CertificateStore(path)
        self.client = Client()
        self.issuer = AcmeIssuer(
            [Authority(one) for one in authorities],
            contact,
            kinds,
            self.store,
            self.client,
            Stop(),
            now=lambda: self.now,
        )
        for one in authorities:
            self.store.put_account(one, Account(AccountKey.make(), one + "/acct", contact))

    def stored(self, directory=FIRST, challenge="http-01"):
        return self.store.put(NAME, pem(), directory, challenge)


@pytest.fixture
def play(tmp_path):
    return Play(tmp_path / "acme")


def kinds(play):
    return [one["kinds"][0] for one in play.client.asked]


def test_the_first_ca_and_the_first_challenge(play):
    play.client.outcomes = [b"chain"]
    issued = play.issuer.wait_issue(NAME, None, 0)
    assert issued.pem.endswith(b"chain")
    assert issued.pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (issued.directory, issued.challenge) == (FIRST, "http-01")


def test_the_other_challenge_then_the_other_ca(play):
    play.client.outcomes = [ChallengeFailed("a"), ChallengeFailed("b"), b"chain"]
    assert play.issuer.wait_issue(NAME, None, 0).directory == SECOND


def test_another_challenge_is_of_no_use_where_the_ca_itself_fails(play):
    play.client.outcomes = [CaUnreachable("a"), b"chain"]
    issued = play.issuer.wait_issue(NAME, None, 0)
    assert (issued.directory, issued.challenge) == (SECOND, "http-01")


def test_what_worked_before_comes_first(play):
    play.client.outcomes = [b"chain"]
    play.issuer.wait_issue(NAME, play.stored(challenge="tls-alpn-01"), 0)
    assert kinds(play) == ["tls-alpn-01"]


@pytest.mark.parametrize(("attempt", "kind"), [(1, "tls-alpn-01"), (2, "http-01"), (3, "tls-alpn-01")])
def test_later_attempts_try_one_challenge_each(play, attempt, kind):
    play.client.outcomes = [b"chain"]
    play.issuer.wait_issue(NAME, None, attempt)
    assert kinds(play) == [kind]


def test_all_reasons_are_told(play):
    play.client.outcomes = [CaUnreachable("a"), ChallengeFailed("b"), ChallengeFailed("c")]
    with pytest.raises(AcmeError) as raised:
        play.issuer.wait_issue(NAME, None, 0)
    assert str(raised.value) == "one.test: a; two.test: b; two.test: c"
    assert raised.value.retry_after is None


def test_a_ca_that_wants_to_be_left_alone_is(play):
    limited = CaRefused(Problem("rateLimited", "too many"), 100.0)
    play.client.outcomes = [limited, b"chain"]
    assert play.issuer.wait_issue(NAME, None, 0).directory == SECOND
    play.client.outcomes = [CaRefused(Problem("rateLimited", "too many"), 500.0)]
    play.now += 40
    with pytest.raises(AcmeError, match=r"one\.test wants to be left alone for 60 more seconds") as raised:
        play.issuer.wait_issue(NAME, None, 1)
    assert raised.value.retry_after == 60.0  # the first of both
    play.now += 61
    play.client.outcomes = [b"chain"]
    assert play.issuer.wait_issue(NAME, None, 2).directory == FIRST


def test_a_stop_is_no_reason_to_ask_another(play):
    play.client.outcomes = [AcmeStopped()]
    with pytest.raises(AcmeStopped):
        play.issuer.wait_issue(NAME, None, 0)
    assert len(play.client.ran) == 1


def test_an_order_names_what_it_replaces_where_the_ca_knows_it(play):
    before = play.stored(SECOND)
    play.client.outcomes = [CaUnreachable("a"), b"chain"]
    play.issuer.wait_issue(NAME, before, 0)
    assert play.client.asked[-1]["replaces"] == before.chain.identifier
    play.client.outcomes = [b"chain"]
    play.issuer.wait_issue(NAME, before, 0)
    assert play.client.asked[-1]["replaces"] is None


def test_a_new_account_is_stored_before_the_ca_knows_it(tmp_path):
    play = Play(tmp_path / "acme", (), contact="ops@example.com")
    play.issuer = AcmeIssuer(
        [Authority(FIRST)], "ops@example.com", ["http-01"], play.store, play.client, Stop(), now=lambda: play.now
    )
    play.client.outcomes = [CaUnreachable("lost")]
    with pytest.raises(AcmeError):
        play.issuer.wait_issue(NAME, None, 0)
    first = play.store.account(FIRST)
    assert first.url == ""
    play.client.outcomes = ["https://one.test/acct/1", b"chain"]
    play.issuer.wait_issue(NAME, None, 1)
    found = play.store.account(FIRST)
    assert (found.key.public, found.url, found.contact) == (
        first.key.public,
        "https://one.test/acct/1",
        "ops@example.com",
    )
    assert play.client.ran == ["register", "register", "obtain"]


def test_an_account_that_is_forgotten(play):
    play.client.outcomes = [CaRefused(Problem("accountDoesNotExist", "?")), "https://one.test/acct/2", b"chain"]
    assert play.issuer.wait_issue(NAME, None, 0).directory == FIRST
    assert play.client.ran == ["obtain", "register", "obtain"]
    assert play.store.account(FIRST).url == "https://one.test/acct/2"


def test_another_contact(play, tmp_path):
    other = Play(tmp_path / "other", (FIRST,))
    other.store.put_account(FIRST, Account(AccountKey.make(), "https://one.test/acct/1", "old@example.com"))
    other.client.outcomes = [None, b"chain"]
    other.issuer.wait_issue(NAME, None, 0)
    assert other.client.ran == ["change_contact", "obtain"]
    assert other.store.account(FIRST).contact == ""


def test_when_it_is_due_without_details(play):
    stored = replace(play.stored(), details=None)
    assert play.issuer.wait_due(stored) == Due(due(stored.chain, None), play.now + LOOK_AGAIN)


def test_a_ca_that_is_not_used_any_more(play):
    assert play.issuer.wait_due(play.stored("https://staging.test/dir")) == Due(play.now, play.now)


def suggestion(stored, look_again):
    return Suggestion(stored.chain.fingerprint, START + DAY, START + 2 * DAY, START + 1.5 * DAY, look_again)


def test_the_suggestion_is_stored(play):
    stored = play.stored()
    found = suggestion(stored, play.now + 100)
    play.client.outcomes = [found]
    assert play.issuer.wait_due(stored) == Due(START + 1.5 * DAY, play.now + 100)
    again = play.store.certificate(NAME)
    assert again.details.suggestion == found
    assert play.issuer.wait_due(again) == Due(START + 1.5 * DAY, play.now + 100)
    assert play.client.ran == ["ask_suggestion"]


def test_a_ca_that_does_not_answer_leaves_the_last_suggestion(play):
    stored = play.stored()
    stored = replace(stored, details=replace(stored.details, suggestion=suggestion(stored, 0.0)))
    play.client.outcomes = [CaUnreachable("no")]
    assert play.issuer.wait_due(stored) == Due(START + 1.5 * DAY, play.now + LOOK_AGAIN)
    play.client.outcomes = [AcmeStopped()]
    with pytest.raises(AcmeStopped):
        play.issuer.wait_due(stored)


def test_a_suggestion_that_can_t_be_stored(play, monkeypatch, caplog):
    stored = play.stored()
    play.client.outcomes = [suggestion(stored, play.now + 100)]

    def fail(name, details):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(play.store, "note", fail)
    assert play.issuer.wait_due(stored).renew == START + 1.5 * DAY
    assert "can't be stored: [Errno 28]" in caplog.text


def test_the_local_ca(tmp_path):
    store = CertificateStore(tmp_path / "acme")
    local = LocalIssuer(store, LocalCa(store.local_ca), Stop())
    issued = local.wait_issue("localhost", None, 0)
    stored = store.put("localhost", issued.pem, issued.directory)
    assert local.wait_due(stored).renew == due(stored.chain, None)
    (store.local_ca / "root.crt").unlink()
    assert local.wait_due(stored).renew < stored.chain.not_before + DAY  # it has another root now
    stored.path.unlink()
    assert local.wait_due(stored).renew < stored.chain.not_before + DAY
    assert issued.directory == issuers.LOCAL
