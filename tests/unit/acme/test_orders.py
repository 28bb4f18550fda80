"""snakepit.acme.orders: from the names to the chain, with a CA that the test plays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing_ca import Ca, signed_parts

from snakepit.acme.jws import to_base64url
from snakepit.acme.keys import AccountKey
from snakepit.acme.orders import LONGEST_PAUSE, PATIENCE, identifier, obtain
from snakepit.acme.problems import AcmeError, CaRefused, CaUnreachable, ChallengeFailed
from snakepit.acme.session import Session
from snakepit.acme.steps import Challenge, Response

KEY = AccountKey.make()
CHAIN = b"-----BEGIN CERTIFICATE-----\n"
ORDER, AUTHORIZATION, CHALLENGE, FINALIZE, CERTIFICATE = (
    f"https://ca.test/{name}/1" for name in ("order", "authz", "chall", "finalize", "cert")
)


def order(status, **more):
    return {"status": status, "authorizations": [AUTHORIZATION], "finalize": FINALIZE, **more}


def authorization(status="pending", kind="http-01", **more):
    challenges = [
        {"type": "dns-01", "url": "https://ca.test/chall/0", "token": "t0", "status": "pending"},
        {"type": kind, "url": CHALLENGE, "token": "token1", "status": "pending", **more},
    ]
    return {"status": status, "identifier": {"type": "dns", "value": "Example.com"}, "challenges": challenges}


def a_ca():
    ca = Ca()
    ca.at |= {
        "https://ca.test/order": ca.json(order("pending"), 201, location=ORDER),
        ORDER: [
            ca.json(order("pending")),
            ca.json(order("ready")),
            ca.json(order("processing"), retry_after=3.0),
            ca.json(order("valid", certificate=CERTIFICATE)),
        ],
        AUTHORIZATION: [ca.json(authorization()), ca.json(authorization()), ca.json(authorization("valid"))],
        CHALLENGE: ca.json({"status": "processing"}),
        FINALIZE: ca.json(order("processing")),
        CERTIFICATE: Response(200, {"replay-nonce": "last"}, CHAIN),
    }
    return ca


@pytest.fixture
def ca():
    return a_ca()


def run(ca, names=("example.com",), kinds=("http-01", "tls-alpn-01"), replaces=None):
    session = Session("https://ca.test/dir", KEY, "https://ca.test/acct/1")
    return ca.run(obtain(session, names, b"csr", kinds, KEY.thumbprint, replaces))


def payloads(ca, url):
    return [signed_parts(one)[1] for one in ca.asked if one.url == url]


def test_from_the_name_to_the_chain(ca):
    assert run(ca) == CHAIN
    assert payloads(ca, "https://ca.test/order") == [{"identifiers": [{"type": "dns", "value": "example.com"}]}]
    assert ca.steps[0] == Challenge("http-01", "example.com", "token1", f"token1.{KEY.thumbprint}")
    assert payloads(ca, CHALLENGE) == [{}]
    assert payloads(ca, FINALIZE) == [{"csr": to_base64url(b"csr")}]
    assert ca.asked[-1].accept == "application/pem-certificate-chain"
    assert ca.pauses()[-1] == 3.0  # Retry-After
    assert ca.pauses()[0] == 0.25


def test_the_challenge_is_answered_before_the_ca_is_told(ca):
    session = Session("https://ca.test/dir", KEY, "https://ca.test/acct/1")
    steps = obtain(session, ["example.com"], b"csr", ["http-01"], KEY.thumbprint)
    step = steps.send(None)
    while not isinstance(step, Challenge):
        step = steps.send(ca.wait_response(step))
    assert CHALLENGE not in ca.urls()


def test_an_authorization_of_an_earlier_order(ca):
    ca.at[AUTHORIZATION] = ca.json(authorization("valid"))
    assert run(ca) == CHAIN
    assert ca.urls().count(CHALLENGE) == 0
    assert not [step for step in ca.steps if isinstance(step, Challenge)]


def test_an_order_that_is_ready(ca):
    ca.at["https://ca.test/order"] = ca.json(order("ready"), 201, location=ORDER)
    ca.at[ORDER] = ca.json(order("valid", certificate=CERTIFICATE))
    assert run(ca) == CHAIN
    assert AUTHORIZATION not in ca.urls()
    assert ca.urls().count(FINALIZE) == 1


def test_the_first_kind_of_challenge_that_the_ca_offers(ca):
    ca.at[AUTHORIZATION] = [ca.json(authorization(kind="tls-alpn-01")), ca.json(authorization("valid"))]
    run(ca)
    assert ca.steps[0].kind == "tls-alpn-01"


def test_no_challenge_that_can_be_answered(ca):
    with pytest.raises(ChallengeFailed, match="the CA offers dns-01, http-01, and not tls-alpn-01"):
        run(ca, kinds=("tls-alpn-01",))


def test_a_challenge_that_fails(ca):
    error = {"type": "urn:ietf:params:acme:error:connection", "detail": "Connection refused"}
    failed = authorization("invalid", error=error)
    ca.at[AUTHORIZATION] = [ca.json(authorization()), ca.json(failed)]
    with pytest.raises(ChallengeFailed, match=r"at example.com \(http-01\): connection: Connection refused"):
        run(ca)
    ca.at[AUTHORIZATION] = [ca.json(authorization()), ca.json(authorization("invalid"))]
    with pytest.raises(ChallengeFailed, match="it gives no reason"):
        run(ca)


@pytest.mark.parametrize("status", ["invalid", "expired", "deactivated", "revoked", "nonsense"])
def test_an_authorization_that_can_t_be_used(ca, status):
    ca.at[AUTHORIZATION] = ca.json(authorization(status))
    with pytest.raises(ChallengeFailed, match=f"for example.com is {status}"):
        run(ca)


def test_an_order_that_the_ca_gives_up(ca):
    error = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it"}
    ca.at[ORDER] = [ca.json(order("ready")), ca.json(order("invalid", error=error))]
    with pytest.raises(AcmeError, match="given the order up: caa: CAA forbids it"):
        run(ca)


def test_a_ca_that_is_never_done(ca):
    ca.at[AUTHORIZATION] = ca.json(authorization())
    with pytest.raises(CaUnreachable, match="not done with the authorization"):
        run(ca)
    assert PATIENCE <= sum(ca.pauses()) < PATIENCE + LONGEST_PAUSE
    assert max(ca.pauses()) == LONGEST_PAUSE


@pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 0.25), (5.0, 5.0), (3600.0, LONGEST_PAUSE)])
def test_how_long_a_ca_may_make_us_wait(ca, retry_after, pause):
    ca.at[AUTHORIZATION] = [
        ca.json(authorization()),
        ca.json(authorization(), retry_after=retry_after),
        ca.json(authorization("valid")),
    ]
    run(ca)
    assert ca.pauses()[0] == pause


@pytest.mark.parametrize("kind", ["alreadyReplaced", "malformed", "unauthorized"])
def test_what_it_replaces_is_left_out_where_the_ca_does_not_want_it(ca, kind):
    ca.at["https://ca.test/order"] = [
        ca.problem(kind, 409),
        ca.json(order("pending"), 201, location=ORDER),
    ]
    assert run(ca, replaces="a.b") == CHAIN
    names = [{"type": "dns", "value": "example.com"}]
    assert payloads(ca, "https://ca.test/order") == [
        {"identifiers": names, "replaces": "a.b"},
        {"identifiers": names},
    ]


def test_a_rate_limit_is_no_reason_to_ask_twice(ca):
    ca.at["https://ca.test/order"] = ca.problem("rateLimited", 429, retry_after=60.0)
    with pytest.raises(CaRefused):
        run(ca, replaces="a.b")
    assert ca.urls().count("https://ca.test/order") == 1


def test_a_ca_without_renewal_information_is_told_of_no_predecessor(ca):
    ca.at["https://ca.test/dir"] = Ca(renewalInfo=None).at["https://ca.test/dir"]
    run(ca, replaces="a.b")
    assert "replaces" not in payloads(ca, "https://ca.test/order")[0]


@pytest.mark.parametrize(
    ("url", "found", "reason"),
    [
        ("https://ca.test/order", {"status": "pending"}, "'finalize' in the order is missing"),
        ("https://ca.test/order", order(7), "'status' in the order is missing"),
        ("https://ca.test/order", {**order("pending"), "authorizations": "x"}, "is no list"),
        ("https://ca.test/order", {**order("pending"), "authorizations": [None]}, "no https URL"),
        (AUTHORIZATION, {**authorization(), "identifier": None}, "identifier of an authorization is no JSON object"),
        (AUTHORIZATION, {**authorization(), "identifier": {"value": "../../x"}}, "authorization is for '../../x'"),
        (AUTHORIZATION, {**authorization(), "challenges": ["x"]}, "a challenge is no JSON object"),
        (AUTHORIZATION, authorization(token="../../etc/passwd"), "is not base64url"),
        (AUTHORIZATION, authorization(token=""), "is not base64url"),
        (AUTHORIZATION, authorization(url="ftp://x"), "no https URL"),
    ],
)
def test_what_a_ca_out_of_order_sends(ca, url, found, reason):
    ca.at[url] = ca.json(found, 201, location=ORDER)
    with pytest.raises(CaUnreachable, match=reason):
        run(ca)


MEMBERS = [
    "status",
    "authorizations",
    "finalize",
    "certificate",
    "identifier",
    "value",
    "challenges",
    "type",
    "url",
    "token",
    "error",
    "subproblems",
    "detail",
]
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=9)
    | st.sampled_from(["valid", "pending", "https://x/"]),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), of),
    max_leaves=12,
)


@given(
    found=ANY_JSON,
    url=st.sampled_from(["https://ca.test/dir", "https://ca.test/order", ORDER, AUTHORIZATION, CHALLENGE, FINALIZE]),
    status=st.sampled_from([200, 201, 400, 500]),
)
def test_whatever_a_ca_sends_it_is_an_answer_or_an_error_of_the_ca(found, url, status):
    ca = a_ca()
    ca.at[url] = ca.json(found, status, location=ORDER)
    try:
        outcome = run(ca)
    except AcmeError as error:
        outcome = str(error)
    assert outcome == CHAIN or outcome.isprintable()


def test_addresses_are_identifiers_of_their_own_type():
    assert identifier("192.0.2.1") == {"type": "ip", "value": "192.0.2.1"}
    assert identifier("2001:db8::1") == {"type": "ip", "value": "2001:db8::1"}
