"""snakepit.server.net.proxy_headers: what comes of header fields, and that none of them can do harm."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from proxy_header_cases import CASES, LOCAL

from snakepit.config.trusted_proxies import PROXY_HEADERS, TrustedProxies, header_names
from snakepit.server.net import forwarded
from snakepit.server.net.proxy_headers import KEPT, LARGEST, ProxyHeaders

CLIENT, SERVER = ("127.0.0.1", 5000), ("127.0.0.1", 8000)
EVERY = ",".join(PROXY_HEADERS)
DIRECT = CLIENT, SERVER, "http", None, None


def read(headers, trusted=LOCAL, direct=DIRECT, names=EVERY):
    """A connection asks only for peers that are trusted."""
    proxies = ProxyHeaders(TrustedProxies(trusted), header_names(names))
    if not proxies.trusts(CLIENT[0]):
        return direct
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    first = proxies.endpoints(fields, direct)
    assert proxies.endpoints([(b"cookie", b"a"), *fields], direct) == first, "what is remembered says the same"
    return first


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    client, server, scheme, root_path, _ = read(case.headers, case.trusted)
    found = {"client": client, "server": server, "scheme": scheme, "root_path": root_path}
    assert found == {"client": CLIENT, "server": SERVER, "scheme": "http", "root_path": None, **case.changes}


def test_each_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)


def test_fields_that_the_proxy_does_not_set_are_not_read():
    headers = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "proto=https"), ("X-Forwarded-Prefix", "/a")]
    assert read(headers, names="X-Forwarded-For, x-forwarded-proto") == (("203.0.113.9", 0), *DIRECT[1:])
    assert read(headers, names="") == DIRECT


def test_on_a_unix_socket():
    direct = None, None, "http", None, None
    assert read([("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Port", "443")], direct=direct) == (
        ("203.0.113.9", 0),
        None,  # it is not known to which host this port belongs
        "http",
        None,
        None,
    )
    assert read([("X-Forwarded-Host", "example.org"), ("X-Forwarded-Port", "81")], direct=direct)[1] == (
        "example.org",
        81,
    )


def test_what_is_remembered_is_of_the_fields_alone():
    proxies = ProxyHeaders(TrustedProxies(LOCAL), header_names(EVERY))
    fields = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-prefix", b"/a")]
    other = ("127.0.0.1", 5001), SERVER, "https", None, None
    for direct in (DIRECT, other):
        assert proxies.endpoints(fields, direct) == (("203.0.113.9", 0), SERVER, direct[2], "/a", None)
    assert proxies.endpoints(fields[:1], other) == (("203.0.113.9", 0), SERVER, "https", None, None)


def test_not_many_reports_are_remembered_and_no_long_ones():
    proxies = ProxyHeaders(TrustedProxies(LOCAL), header_names(EVERY))
    for number in range(KEPT + 2):
        proxies.endpoints([(b"x-forwarded-for", b"10.0.%d.%d" % divmod(number, 256))], DIRECT)
        assert len(proxies._known) <= KEPT
    assert len(proxies._known) == 2
    for long in ([(b"x-forwarded-for", b" " * LARGEST)], [(b"x-forwarded-for", b"")] * 50):
        assert proxies.endpoints(long, DIRECT) == DIRECT
    assert len(proxies._known) == 2


# -- any bytes -------------------------------------------------------------------------------------------------------

NAMES = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"]
PIECES = [
    *(
        "203.0.113.9",
        "10.0.0.1",
        "127.0.0.1",
        "[2001:db8::1]",
        "::1",
        ":80",
        "for=",
        "proto=",
        "host=",
        "https",
        "http",
    ),
    *("unknown", "_x", "a", "/", "//", "%", "\xff", ";", ",", '"', "\\", "=", " ", "\t"),
]
values = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(
    st.characters(max_codepoint=255), max_size=40
)
fields = st.lists(st.tuples(st.sampled_from([*NAMES, "forwarded", "host"]), values), max_size=6)


@given(fields, st.sampled_from([LOCAL, "*", "127.0.0.1,10.0.0.0/8"]))
def test_whatever_comes_what_is_said_is_sound(headers, trusted):
    client, server, scheme, root_path, _ = read(headers, trusted)
    ipaddress.ip_address(client[0])
    assert scheme in ("http", "https")
    for _, port in (client, server):
        assert 0 <= port <= 65_535
    assert server[0].isascii()
    assert not set(server[0]) & set(" /\\@?#\"'<>[]%,")
    if root_path:
        assert root_path.startswith("/")
        assert not root_path.startswith("//")
        assert not root_path.endswith("/")
        assert not set(root_path) & set(" \\?#\"'<>%,")


@given(values, values)
@example("6.6.6.6", "for=6.6.6.6")
def test_what_a_client_sends_does_not_matter_where_the_proxy_appends(made_up, also_made_up):
    """Of what comes before the item that the proxy wrote, nothing may be taken for the client, nor hide it."""
    appended = [("X-Forwarded-For", f"{made_up}, 203.0.113.9"), ("Forwarded", also_made_up)]
    client, *_ = read(appended)
    assert client[0] == "203.0.113.9"


# -- Forwarded's syntax ----------------------------------------------------------------------------------------------

tokens = st.text(alphabet="!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=8)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
pairs = st.dictionaries(tokens.map(str.lower), texts, min_size=1, max_size=3)


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(st.lists(pairs, max_size=4), st.sampled_from([",", ", ", " ,\t", ",,"]), st.sampled_from([";", "; "]))
def test_what_was_written_is_read(elements, comma, semicolon):
    written = comma.join(
        semicolon.join(f"{name.upper()}={quoted(value)}" for name, value in element.items()) for element in elements
    )
    assert forwarded.elements(written) == elements


@given(values, values)
def test_a_field_is_taken_as_a_whole_or_not_at_all(one, other):
    both = forwarded.elements(f"{one},{other}")
    first, second = forwarded.elements(one), forwarded.elements(other)
    if first is not None and second is not None:
        assert both == first + second
