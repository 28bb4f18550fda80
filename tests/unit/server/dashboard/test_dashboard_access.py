"""server.dashboard.access: who may see the live page, and press its buttons."""

import pytest

from snakepit.server.dashboard.access import Access, Kind, asked_for

TOKEN = "the-token-of-the-test-which-is-long"
PAGE, FILE, LOGIN, DATA, ACTION = Kind.PAGE, Kind.FILE, Kind.LOGIN, Kind.DATA, Kind.ACTION
OF_BROWSER = {
    PAGE: {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    FILE: {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "script"},
    LOGIN: {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    DATA: {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
    ACTION: {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
}
"""What a browser sends for what the page itself asks for."""


def ask(
    access,
    kind,
    fields=(),
    *,
    host="localhost:8000",
    client="127.0.0.1",
    version="1.1",
    without=(),
    reported=None,
    page_token=True,
    scheme="http",
):
    """Ask as a browser does, but for these fields, which take the place of its own; returns the status of a refusal."""
    sent = dict(OF_BROWSER[kind])
    if kind in (LOGIN, ACTION):
        sent["origin"] = f"{scheme}://{host}"
    if page_token and kind in (DATA, ACTION):
        sent["x-snakepit-page"] = access.page_token
    if access.needs_token:
        sent["cookie"] = "other=1; {}={}; last=2".format(*access.cookie)
    sent |= dict(fields)
    headers = [(name.encode(), value.encode()) for name, value in sent.items() if name not in without]
    address = None if client is None else (client, 5000)
    refused = access.refusal(asked_for(kind, version, headers, host.encode(), address, reported, scheme))
    return None if refused is None else refused.status


@pytest.fixture
def local():
    return Access()


@pytest.fixture
def known():
    return Access(TOKEN)


EVERY = pytest.mark.parametrize("kind", [PAGE, FILE, DATA, ACTION])


# -- without a token ---------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(
    ("client", "host"),
    [
        ("127.0.0.1", "localhost:8000"),
        ("127.3.2.1", "LOCALHOST"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "127.0.0.1:8000"),
        ("127.0.0.1", "shop.localhost:8000"),
        ("127.0.0.1", "localhost."),
    ],
)
def test_this_machine_may(local, kind, client, host):
    assert ask(local, kind, host=host, client=client) is None


@EVERY
@pytest.mark.parametrize("client", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "fe80::1%eth0", "0.0.0.0", None, ""])
def test_others_may_not(local, kind, client):
    assert ask(local, kind, client=client) == 403


@EVERY
@pytest.mark.parametrize(
    "field",
    [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "localhost"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "127.0.0.1"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("tailscale-user-login", "someone"),
    ],
    ids=lambda field: f"{field[0]}={field[1]}",
)
def test_whatever_came_through_a_proxy_may_not(local, kind, field):
    assert ask(local, kind, [field]) == 403


@EVERY
def test_a_proxy_that_adds_nothing_speaks_an_old_version(local, kind):
    assert ask(local, kind, version="1.0") == 403


@EVERY
@pytest.mark.parametrize(
    "host",
    ["attacker.example", "attacker.example:8000", "localhost.attacker.example", "", "127.0.0.1.attacker.example",
     "192.168.1.5:8000", "notlocalhost", "[::2]", "[", "0.0.0.0:8000", "2130706433"],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_may_not(local, kind, host):
    assert ask(local, kind, host=host) == 403


def test_there_is_no_token_to_be_known(local):
    assert not local.needs_token
    assert not local.is_token("")


# -- with a token ------------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(
    ("client", "host"),
    [("203.0.113.7", "example.com"), ("127.0.0.1", "localhost:8000"), (None, "example.com:8443"), ("::1", "[::1]:80")],
)
def test_whoever_knows_it_may(known, kind, client, host):
    assert ask(known, kind, client=client, host=host) is None
    assert ask(known, kind, [("x-forwarded-for", "203.0.113.7")], client=client, host=host, version="1.0") is None


@pytest.mark.parametrize("kind", [PAGE, DATA, ACTION])
@pytest.mark.parametrize(
    "cookie",
    ["", "x=y", "{name}=", "{name}={value}x", "{name}x={value}", "{value}={name}", "{name}={name}", "{name}=\xff", "="],
)
def test_without_its_cookie_nobody_may(known, kind, cookie):
    name, value = known.cookie
    assert ask(known, kind, [("cookie", cookie.format(name=name, value=value))]) == 401


def test_the_form_and_what_it_looks_like_are_for_all(known):
    assert ask(known, LOGIN, without=["cookie"]) is None
    assert ask(known, FILE, without=["cookie"]) is None


def test_the_cookie_outlives_the_server_and_is_of_the_token(known):
    assert Access(TOKEN).cookie == known.cookie
    assert Access(TOKEN + "x").cookie[0] != known.cookie[0]
    assert Access(TOKEN + "x").cookie[1] != known.cookie[1]
    assert TOKEN not in "".join(known.cookie)


@pytest.mark.parametrize(
    ("given", "right"), [(TOKEN, True), (TOKEN[:-1], False), (TOKEN + " ", False), ("", False), ("\ud800ü", False)]
)
def test_the_token(known, given, right):
    assert known.is_token(given) is right


# -- other pages in the same browser -----------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("access", [Access(), Access(TOKEN)], ids=["local", "token"])


@BOTH
@pytest.mark.parametrize("site", ["cross-site", "same-site", "strange"])
@pytest.mark.parametrize("kind", [FILE, LOGIN, DATA, ACTION])
def test_pages_of_other_origins_may_not(access, kind, site):
    assert ask(access, kind, [("sec-fetch-site", site)]) == 403


@BOTH
@pytest.mark.parametrize(
    "origin", ["http://attacker.example", "null", "http://localhost:9999", "https://localhost:9", "", "localhost:8000",
               "file://localhost:8000", "http://localhost:8000.attacker.example", "http://[", "http://localhost:x"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [LOGIN, DATA, ACTION])
def test_nor_where_only_the_origin_says_so(access, kind, origin):
    assert ask(access, kind, [("origin", origin)], without=["sec-fetch-site"]) == 403
    assert ask(access, kind, [("origin", origin)]) == 403


@BOTH
@pytest.mark.parametrize("kind", [LOGIN, ACTION])
def test_what_changes_something_names_its_origin(access, kind):
    assert ask(access, kind, without=["origin"]) == 403
    assert ask(access, kind, [("sec-fetch-site", "none")]) == 403


@BOTH
def test_data_needs_no_origin_as_browsers_send_none(access):
    assert ask(access, DATA, without=["origin"]) is None
    assert ask(access, DATA, without=["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]) is None


@BOTH
@pytest.mark.parametrize("given", ["", "x", None])
@pytest.mark.parametrize("kind", [DATA, ACTION])
def test_nor_without_the_token_of_the_page(access, kind, given):
    fields = [] if given is None else [("x-snakepit-page", given)]
    assert ask(access, kind, fields, page_token=False) == 409
    assert ask(access, kind, [("x-snakepit-page", Access().page_token)]) == 409, "of another server process"


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-dest": "iframe"},
        {"sec-fetch-dest": "object"},
    ],
    ids=str,
)
def test_the_page_with_its_token_is_only_for_windows(access, fields):
    assert ask(access, PAGE, fields) == 403
    assert ask(access, PAGE, {"sec-fetch-site": "cross-site"}) is None, "a link may lead there"
    assert ask(access, PAGE, without=["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]) is None, (
        "not all send these"
    )


# -- a proxy that speaks TLS, or calls the server by another name ------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "host", "reported", "allowed"),
    [
        ("https://example.com", "example.com", None, True),
        ("https://example.com", "EXAMPLE.com:443", None, True),
        ("http://example.com:80", "example.com", None, True),
        ("https://example.com", "example.com:8443", None, False),
        ("https://example.com:8443", "example.com:8443", None, True),
        ("https://example.com", "127.0.0.1:8000", ("example.com", 443), True),
        ("https://example.com", "127.0.0.1:8000", ("other.example", 443), False),
        ("http://[2001:db8::1]:8000", "backend", ("2001:db8::1", 8000), True),
        ("http://[::1]:8000", "[::1]:8000", None, True),
    ],
)
def test_the_own_origin(known, origin, host, reported, allowed):
    fields = [("origin", origin)] + ([("x-forwarded-host", "x")] if reported else [])
    assert ask(known, ACTION, fields, host=host, reported=reported) == (None if allowed else 403)


def test_the_address_of_the_socket_is_no_name_that_a_proxy_reports(known):
    assert ask(known, ACTION, [("origin", "http://127.0.0.1:8000")], host="e.com", reported=("127.0.0.1", 8000)) == 403


def test_a_field_that_comes_twice(known):
    name, value = known.cookie
    headers = [(b"cookie", b"a=b"), (b"cookie", f"{name}={value}".encode())]
    asked = asked_for(PAGE, "1.1", headers, b"example.com", None, None, "http")
    assert known.refusal(asked) is None
    twice = [*headers, (b"x-snakepit-page", known.page_token.encode()), (b"x-snakepit-page", b"x")]
    assert known.refusal(asked_for(DATA, "1.1", twice, b"e", None, None, "http")).status == 409
