"""snakepit.acme.session: the directory, nonces, and the account, with a CA that the test plays."""

import json

import pytest
from playing_ca import Ca, signed_parts

from snakepit.acme.jws import from_base64url
from snakepit.acme.keys import AccountKey
from snakepit.acme.problems import AcmeError, CaRefused, CaUnreachable
from snakepit.acme.session import NONCE_ATTEMPTS, ExternalAccount, Session
from snakepit.acme.steps import Response

KEY = AccountKey.make()
DIR = "https://ca.test/dir"
ACCOUNT = "https://ca.test/acct/1"


@pytest.fixture
def ca():
    found = Ca()
    found.at["https://ca.test/account"] = found.json({"status": "valid"}, 201, location=ACCOUNT)
    return found


@pytest.fixture
def session():
    return Session(DIR, KEY)


def test_the_directory_is_asked_for_once(ca, session):
    found = ca.run(session.directory())
    assert ca.run(session.directory()) is found
    assert ca.urls() == [DIR]
    assert (found.new_order, found.renewal_info) == ("https://ca.test/order", "https://ca.test/renewal/")
    assert (found.terms, found.needs_external_account) == ("https://ca.test/terms", False)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Response(301, {"location": "https://other.test/"}), "status 301 and points to https://other.test/"),
        (Response(404), "answers with status 404"),
        (Response(200, {}, b"<html>"), "is not JSON"),
        (Response(200, {}, b"{}"), "'newNonce' in the directory https://ca.test/dir is missing"),
        (Response(200, {}, b'{"newNonce": "http://ca.test/"}'), "is no https URL"),
        (Response(200, {}, b'{"newNonce": 7}'), "is missing"),
    ],
)
def test_what_is_no_directory(ca, session, response, reason):
    ca.at[DIR] = response
    with pytest.raises(CaUnreachable, match=reason):
        ca.run(session.directory())


def test_odd_parts_of_a_directory_that_are_not_needed(ca, session):
    found = json.loads(ca.at[DIR].body) | {"renewalInfo": None, "meta": ["x"]}
    ca.at[DIR] = ca.json(found)
    directory = ca.run(session.directory())
    assert (directory.renewal_info, directory.terms) == (None, "")


def test_a_busy_ca_says_when_to_come_again(ca, session):
    ca.at[DIR] = Response(503, {}, b"", 120.0)
    with pytest.raises(CaUnreachable) as raised:
        ca.run(session.directory())
    assert raised.value.retry_after == 120.0


def test_an_account_is_registered(ca, session):
    assert ca.run(session.register("ops@example.com")) == ACCOUNT == session.account
    head, payload = signed_parts(ca.asked[-1])
    assert head["jwk"] == dict(KEY.public)
    assert payload == {"termsOfServiceAgreed": True, "contact": ["mailto:ops@example.com"]}


def test_without_a_mail_address_there_is_no_contact(ca, session):
    ca.run(session.register(None))
    assert signed_parts(ca.asked[-1])[1] == {"termsOfServiceAgreed": True}


def test_an_external_account(ca, session):
    ca.run(session.register(None, ExternalAccount("kid-1", b"secret")))
    binding = signed_parts(ca.asked[-1])[1]["externalAccountBinding"]
    head = json.loads(from_base64url(binding["protected"]))
    assert head == {"alg": "HS256", "kid": "kid-1", "url": "https://ca.test/account"}


def test_a_ca_for_customers_only(session):
    ca = Ca(meta={"externalAccountRequired": True})
    with pytest.raises(AcmeError, match="accepts only customers"):
        ca.run(session.register(None))


def test_an_account_without_a_url(ca, session):
    ca.at["https://ca.test/account"] = ca.json({}, 201)
    with pytest.raises(CaUnreachable, match="the URL of the account is no https URL"):
        ca.run(session.register(None))


def test_the_contact_is_changed(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at[ACCOUNT] = ca.json({})
    ca.run(session.change_contact("new@example.com"))
    ca.run(session.change_contact(None))
    payloads = [signed_parts(one)[1] for one in ca.asked if one.url == ACCOUNT]
    assert payloads == [{"contact": ["mailto:new@example.com"]}, {"contact": []}]


def test_each_request_has_a_nonce_of_its_own(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at["https://ca.test/x"] = [ca.json({}) for _ in range(5)]
    for _ in range(5):
        ca.run(session.fetch("https://ca.test/x"))
    nonces = [signed_parts(one)[0]["nonce"] for one in ca.asked if one.url == "https://ca.test/x"]
    assert len(set(nonces)) == 5
    assert signed_parts(ca.asked[-1])[0]["kid"] == ACCOUNT


def test_a_bad_nonce_is_replaced(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at["https://ca.test/x"] = [ca.problem("badNonce"), ca.problem("badNonce"), ca.json({"ok": True})]
    assert ca.run(session.fetch("https://ca.test/x")).status == 200
    assert len({signed_parts(one)[0]["nonce"] for one in ca.asked if one.url.endswith("/x")}) == 3


def test_bad_nonces_without_an_end(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at["https://ca.test/x"] = ca.problem("badNonce")
    with pytest.raises(CaRefused, match="badNonce"):
        ca.run(session.fetch("https://ca.test/x"))
    assert ca.urls().count("https://ca.test/x") == NONCE_ATTEMPTS


@pytest.mark.parametrize("nonce", [{}, {"replay-nonce": ""}, {"replay-nonce": "a b"}, {"replay-nonce": "a\nb"}])
def test_no_nonce(ca, session, nonce):
    ca.at["https://ca.test/nonce"] = Response(200, nonce)
    with pytest.raises(CaUnreachable, match="gives no nonce"):
        ca.run(session.register(None))


def test_refusals(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at["https://ca.test/x"] = ca.problem("rateLimited", 429, "too many", retry_after=90.0)
    with pytest.raises(CaRefused, match="the CA says rateLimited: too many") as raised:
        ca.run(session.fetch("https://ca.test/x"))
    assert (raised.value.retry_after, raised.value.problem.kind) == (90.0, "rateLimited")


def test_a_redirect_is_no_answer(ca):
    session = Session(DIR, KEY, ACCOUNT)
    ca.at["https://ca.test/x"] = Response(302, {"location": "https://evil.test"})
    with pytest.raises(CaRefused, match="status 302"):
        ca.run(session.fetch("https://ca.test/x"))
