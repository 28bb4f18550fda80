"""The effects of proxy headers, as a table: the header fields, the trusted addresses, and the changes to a request.

The peer is at 127.0.0.1, the server at 127.0.0.1:8000. What is not named in `changes` stays as it is without a proxy.
`client` and `server` are pairs, `scheme` is that of an HTTP request, and `root_path` None where nothing is said of it.
"""

from dataclasses import dataclass, field
from typing import Any

LOCAL = "127.0.0.1,::1,unix:"
NETWORK = "127.0.0.1,10.0.0.0/8,2001:db8:aaaa::/48"


@dataclass(frozen=True)
class Case:
    name: str
    headers: list[tuple[str, str]]
    changes: dict[str, Any] = field(default_factory=dict)
    trusted: str = LOCAL


def client(address: str, port: int = 0) -> dict[str, Any]:
    return {"client": (address, port)}


def server(host: str, port: int) -> dict[str, Any]:
    return {"server": (host, port)}


FOR, PROTO, HOST, PORT, PREFIX = (f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Prefix"))
FORWARDED = "Forwarded"
HTTPS = {"scheme": "https"}

CASES = [
    Case("nothing", [("X-Real-IP", "203.0.113.9"), ("Via", "1.1 proxy")]),
    # -- X-Forwarded-For
    Case("for", [(FOR, "203.0.113.9")], client("203.0.113.9")),
    Case("for, the name in another case", [("x-FORWARDED-for", "203.0.113.9")], client("203.0.113.9")),
    Case("for, with a port", [(FOR, "203.0.113.9:4711")], client("203.0.113.9", 4711)),
    Case("for, IPv6", [(FOR, "2001:DB8::9")], client("2001:db8::9")),
    Case("for, IPv6 in brackets", [(FOR, "[2001:db8::9]")], client("2001:db8::9")),
    Case("for, IPv6 with a port", [(FOR, "[2001:db8::9]:4711")], client("2001:db8::9", 4711)),
    Case("for, the last that is not trusted", [(FOR, "198.51.100.1, 203.0.113.9")], client("203.0.113.9")),
    Case("for, behind two proxies", [(FOR, "6.6.6.6, 203.0.113.9, 10.1.2.3")], client("203.0.113.9"), NETWORK),
    Case("for, a proxy with a port", [(FOR, "203.0.113.9, 10.1.2.3:555")], client("203.0.113.9"), NETWORK),
    Case("for, an IPv6 proxy", [(FOR, "203.0.113.9, 2001:db8:aaaa::1")], client("203.0.113.9"), NETWORK),
    Case("for, a mapped IPv4 proxy", [(FOR, "203.0.113.9, ::ffff:10.0.0.1")], client("203.0.113.9"), NETWORK),
    Case(
        "for, several fields",
        [(FOR, "6.6.6.6"), (FOR, "203.0.113.9"), (FOR, "10.0.0.1")],
        client("203.0.113.9"),
        NETWORK,
    ),
    Case("for, all are trusted", [(FOR, "10.0.0.2, 10.0.0.1")], client("10.0.0.2"), NETWORK),
    Case("for, every address is trusted", [(FOR, "198.51.100.1, 203.0.113.9")], client("198.51.100.1"), "*"),
    Case("for, empty items", [(FOR, ", 203.0.113.9 ,\t,")], client("203.0.113.9")),
    Case("for, what is before the client is made up", [(FOR, "<script>, unknown, 203.0.113.9")], client("203.0.113.9")),
    Case("for, empty", [(FOR, "")]),
    Case("for, commas", [(FOR, ", ,")]),
    Case("for, no address", [(FOR, "localhost")]),
    Case("for, hidden", [(FOR, "unknown")]),
    Case("for, broken behind a proxy", [(FOR, "203.0.113.9, unknown, 10.0.0.1")], {}, NETWORK),
    Case("for, a leading zero", [(FOR, "203.0.113.09")]),
    Case("for, IPv4 in brackets", [(FOR, "[203.0.113.9]")]),
    Case("for, a bracket is missing", [(FOR, "[2001:db8::9")]),
    Case("for, a zone", [(FOR, "fe80::1%eth0")]),
    Case("for, a port that is none", [(FOR, "203.0.113.9:http")]),
    Case("for, a port that is too large", [(FOR, "203.0.113.9:65536")]),
    Case("for, digits that are not ASCII", [(FOR, "203.0.113.9:\xb2")]),
    Case("for, very long", [(FOR, "1" * 5000)]),
    # -- X-Forwarded-Proto
    Case("proto", [(PROTO, "https")], HTTPS),
    Case("proto, in capitals", [(PROTO, "HTTPS")], HTTPS),
    Case("proto, of a WebSocket", [(PROTO, "wss")], HTTPS),
    Case("proto, http", [(PROTO, "http")]),
    Case("proto, twice the same", [(PROTO, "https, https"), (PROTO, "https")], HTTPS),
    Case("proto, contradictory", [(PROTO, "https, http")]),
    Case("proto, contradictory fields", [(PROTO, "https"), (PROTO, "http")]),
    Case("proto, unknown", [(PROTO, "ftp")]),
    Case("proto, empty", [(PROTO, "")]),
    Case("proto, broken, does not harm the client", [(PROTO, "ht tps"), (FOR, "203.0.113.9")], client("203.0.113.9")),
    # -- X-Forwarded-Host and -Port
    Case("host", [(HOST, "example.org")], server("example.org", 80)),
    Case("host, https", [(HOST, "Example.org"), (PROTO, "https")], server("example.org", 443) | HTTPS),
    Case("host, with a port", [(HOST, "example.org:8443")], server("example.org", 8443)),
    Case("host, IPv6", [(HOST, "[2001:db8::1]:8443")], server("2001:db8::1", 8443)),
    Case("host and port", [(HOST, "example.org"), (PORT, "8443")], server("example.org", 8443)),
    Case("host with a port, and the same port", [(HOST, "example.org:81"), (PORT, "81")], server("example.org", 81)),
    Case("host with a port, and another one", [(HOST, "example.org:81"), (PORT, "82")]),
    Case("port", [(PORT, "443"), (PROTO, "https")], server("127.0.0.1", 443) | HTTPS),
    Case("host, two", [(HOST, "example.org, evil.example")]),
    Case("host, two fields", [(HOST, "example.org"), (HOST, "evil.example")]),
    Case("host, with a path", [(HOST, "example.org/evil")]),
    Case("host, with a user", [(HOST, "example.org@evil.example")]),
    Case("host, with a space", [(HOST, "example.org evil")]),
    Case("host, not an IPv6 address", [(HOST, "[::::]")]),
    Case("host, port too large", [(HOST, "example.org:70000")]),
    Case("host, port 0", [(HOST, "example.org:0")]),
    Case("host, no port behind the colon", [(HOST, "example.org:")]),
    Case("port, not a number", [(PORT, "https"), (HOST, "example.org")], server("example.org", 80)),
    Case("port, two", [(PORT, "443, 80")]),
    # -- X-Forwarded-Prefix
    Case("prefix", [(PREFIX, "/api")], {"root_path": "/api"}),
    Case("prefix, two segments, and a slash", [(PREFIX, "/api/v1/")], {"root_path": "/api/v1"}),
    Case("prefix, the root", [(PREFIX, "/")], {"root_path": ""}),
    Case("prefix, twice the same", [(PREFIX, "/api"), (PREFIX, "/api/")], {"root_path": "/api"}),
    Case("prefix, two", [(PREFIX, "/a"), (PREFIX, "/b")]),
    Case("prefix, a list", [(PREFIX, "/a, /b")]),
    Case("prefix, empty", [(PREFIX, "")]),
    Case("prefix, relative", [(PREFIX, "api")]),
    Case("prefix, another host", [(PREFIX, "//evil.example")]),
    Case("prefix, another host behind a backslash", [(PREFIX, "/\\evil.example")]),
    Case("prefix, an escape", [(PREFIX, "/%2Fevil.example")]),
    Case("prefix, dots", [(PREFIX, "/a/../b")]),
    Case("prefix, dots at the end", [(PREFIX, "/..")]),
    Case("prefix, a query", [(PREFIX, "/a?b")]),
    Case("prefix, HTML", [(PREFIX, '/"><script>')]),
    Case("prefix, not ASCII", [(PREFIX, "/\xfc")]),
    # -- Forwarded
    Case("forwarded", [(FORWARDED, "for=203.0.113.9")], client("203.0.113.9")),
    Case(
        "forwarded, all of it",
        [(FORWARDED, 'For="[2001:db8::9]:4711";Proto=https;Host="example.org:8443";by=10.0.0.1')],
        client("2001:db8::9", 4711) | HTTPS | server("example.org", 8443),
    ),
    Case(
        "forwarded, spaces",
        [(FORWARDED, " for=203.0.113.9 ; proto=https , for=127.0.0.1; proto=http")],
        client("203.0.113.9") | HTTPS,
    ),
    Case(
        "forwarded, the last that is not trusted",
        [(FORWARDED, "for=6.6.6.6;proto=https, for=203.0.113.9")],
        client("203.0.113.9"),
    ),
    Case(
        "forwarded, behind two proxies",
        [
            (FORWARDED, "for=6.6.6.6;host=evil, for=203.0.113.9;proto=https;host=a.example"),
            (FORWARDED, "for=10.0.0.1;proto=http"),
        ],
        client("203.0.113.9") | HTTPS | server("a.example", 443),
        NETWORK,
    ),
    Case(
        "forwarded, every address is trusted",
        [(FORWARDED, "for=203.0.113.9;proto=https, for=10.0.0.1")],
        client("203.0.113.9") | HTTPS,
        "*",
    ),
    Case(
        "forwarded, all are trusted",
        [(FORWARDED, "for=10.0.0.2;proto=https, for=10.0.0.1")],
        client("10.0.0.2") | HTTPS,
        NETWORK,
    ),
    Case("forwarded, escapes in quotes", [(FORWARDED, r'for="203.0.\113.9";x="a\",b;"')], client("203.0.113.9")),
    Case("forwarded, hidden", [(FORWARDED, "for=_secret;proto=https, for=127.0.0.1")], HTTPS),
    Case("forwarded, unknown", [(FORWARDED, 'for="unknown:_a";proto=https')], HTTPS),
    Case("forwarded, a hidden port", [(FORWARDED, 'for="203.0.113.9:_http"')], client("203.0.113.9")),
    Case("forwarded, without for", [(FORWARDED, "for=6.6.6.6, proto=https")], HTTPS),
    Case("forwarded, empty elements", [(FORWARDED, ",, for=203.0.113.9;,")], client("203.0.113.9")),
    Case(
        "forwarded, broken in an earlier field",
        [(FORWARDED, 'for="'), (FORWARDED, "for=203.0.113.9")],
        client("203.0.113.9"),
    ),
    Case("forwarded, a quote that never ends", [(FORWARDED, 'for="x, for=203.0.113.9')]),
    Case("forwarded, a quote that ends in the next element", [(FORWARDED, 'for="x, for="[2001:db8::9]"')]),
    Case("forwarded, no value", [(FORWARDED, "for=;proto=https")]),
    Case("forwarded, no pair", [(FORWARDED, "203.0.113.9")]),
    Case("forwarded, IPv6 without quotes", [(FORWARDED, "for=[2001:db8::9];proto=https")]),
    Case("forwarded, for twice", [(FORWARDED, "for=203.0.113.9;for=6.6.6.6")]),
    Case("forwarded, broken as a whole", [(FORWARDED, "for=203.0.113.9;proto=gopher")]),
    Case("forwarded, a broken host", [(FORWARDED, 'for=203.0.113.9;host="a/b"')]),
    Case("forwarded, a broken for", [(FORWARDED, 'for="<script>";proto=https')]),
    Case("forwarded, empty", [(FORWARDED, "")]),
    # -- Forwarded and the others
    Case(
        "both, the same",
        [(FOR, "203.0.113.9"), (PROTO, "https"), (FORWARDED, 'for="203.0.113.9:4711";proto=https')],
        client("203.0.113.9", 4711) | HTTPS,
    ),
    Case(
        "both, each something else",
        [(FOR, "203.0.113.9"), (FORWARDED, "for=203.0.113.9;proto=https")],
        client("203.0.113.9") | HTTPS,
    ),
    Case(
        "both, another client",
        [(FOR, "203.0.113.9"), (FORWARDED, "for=6.6.6.6;proto=https;host=evil.example")],
        client("203.0.113.9"),
    ),
    Case(
        "both, another scheme",
        [(FOR, "203.0.113.9"), (PROTO, "https"), (FORWARDED, "for=203.0.113.9;proto=http")],
        client("203.0.113.9") | HTTPS,
    ),
    Case(
        "both, another host",
        [(HOST, "example.org"), (FORWARDED, "for=6.6.6.6;host=evil.example")],
        server("example.org", 80),
    ),
    Case(
        "both, another port",
        [(HOST, "example.org"), (PORT, "81"), (FORWARDED, 'for=6.6.6.6;host="example.org:82"')],
        server("example.org", 81),
    ),
    Case("both, one is broken", [(FOR, "203.0.113.9"), (FORWARDED, 'for="')], client("203.0.113.9")),
    Case("both, the other is broken", [(FOR, "nonsense"), (FORWARDED, "for=203.0.113.9")], client("203.0.113.9")),
    # -- all together
    Case(
        "all",
        [(FOR, "203.0.113.9"), (PROTO, "https"), (HOST, "example.org"), (PORT, "8443"), (PREFIX, "/api")],
        client("203.0.113.9") | HTTPS | server("example.org", 8443) | {"root_path": "/api"},
    ),
    # -- no trusted peer
    Case(
        "not trusted",
        [(FOR, "203.0.113.9"), (PROTO, "https"), (FORWARDED, "host=a.example"), (PREFIX, "/a")],
        {},
        "10.0.0.1",
    ),
    Case("no address is trusted", [(FOR, "203.0.113.9"), (PROTO, "https"), (HOST, "a.example"), (PORT, "1")], {}, ""),
]
