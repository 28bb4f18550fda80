"""Cases about request lines, hosts and fields: RFC 9112 sections 2 to 5, and RFC 9110 sections 4, 5, 7 and 9."""

from conformance.case import Case, Group, get, post
from conformance.verdicts import Read, Refuse, Switch, Way

_BAD = Refuse((400,))
_VERSION = Refuse((505,))
_ANYHOW = Read("")
_ROOT = Read("reads `/`", {"path": "/"})
_S3, _S32, _S322 = "RFC 9112 §3", "RFC 9112 §3.2", "RFC 9112 §3.2.2"
_LONG = b"a" * 100_000


def _line(name: str, line: bytes, demand: str, *ways: Way, section: str = _S3, note: str = "") -> Case:
    return Case(name, section, demand, line + b"\r\nHost: a\r\n\r\n", ways or (_BAD,), note=note)


def _target(name: str, target: bytes, demand: str, *ways: Way, section: str = _S32, note: str = "") -> Case:
    return Case(name, section, demand, get(target), ways or (_BAD,), note=note)


def _method(name: str, method: bytes, demand: str, *ways: Way, section: str = "RFC 9110 §9.1") -> Case:
    return Case(name, section, demand, get(method=method), ways or (_BAD,))


def _host(name: str, value: bytes, *ways: Way, note: str = "") -> Case:
    demand = "a Host that is no host and port is refused with 400"
    return Case(name, _S32, demand, get(b"/", b"Host: " + value), ways or (_BAD,), note=note)


def _path(path: str, query: str = "", host: str = "a") -> Read:
    words = f"reads `{path}`" + (f" of host `{host}`" if host != "a" else "")
    return Read(words, {"path": path, "query": query, "fields": {"host": host}})


_NO_OTHER = "a request line has one space between its parts, and no other white space"
_FORM = "a target of none of the four forms is refused"

REQUEST_LINE = Group(
    "Request line",
    (
        _line(
            "empty line first",
            b"\r\nGET / HTTP/1.1",
            "an empty line before it is ignored",
            _ROOT,
            section="RFC 9112 §2.2",
        ),
        _line(
            "empty lines first",
            b"\r\n" * 50 + b"GET / HTTP/1.1",
            "more empty lines are ignored or refused",
            _BAD,
            _ROOT,
            section="RFC 9112 §2.2",
            note="four are ignored, and no more",
        ),
        _line(
            "LF first",
            b"\nGET / HTTP/1.1",
            "a bare LF is refused, or ends a line",
            _BAD,
            _ROOT,
            section="RFC 9112 §2.2",
        ),
        _line("ends with LF", b"GET / HTTP/1.1\nX-A: b", "the same", _BAD, _ROOT, section="RFC 9112 §2.2"),
        _line("CR first", b"\rGET / HTTP/1.1", "a bare CR is refused, or made a space", section="RFC 9112 §2.2"),
        _line("CR inside", b"GET /\rX HTTP/1.1", "the same", section="RFC 9112 §2.2"),
        _line("two spaces", b"GET  / HTTP/1.1", _NO_OTHER, _BAD, _ROOT),
        _line("space at the end", b"GET / HTTP/1.1 ", _NO_OTHER, _BAD, _ROOT),
        _line("space first", b" GET / HTTP/1.1", _NO_OTHER, _BAD, _ROOT),
        _line("tab for space", b"GET\t/\tHTTP/1.1", _NO_OTHER, _BAD, _ROOT),
        _line("space in target", b"GET /a b HTTP/1.1", "a target with white space is refused, not mended"),
        _line("no target", b"GET HTTP/1.1", "a request line has three parts"),
        _line("no method", b" / HTTP/1.1", "the same"),
        _line("garbage", b"hello", "what is no request line is refused"),
        Case("HTTP/0.9", "RFC 9112 §3", "the same", b"GET /\r\n", (_BAD, Refuse((505,)))),
        _line("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "the same"),
        _line(
            "preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /smuggled HTTP/1.1",
            "HTTP/2 is spoken, or refused",
            _VERSION,
            _BAD,
            Switch(),
            section="RFC 9113 §3.4",
        ),
        _line(
            "version 0.9",
            b"GET / HTTP/0.9",
            "a major version that is not spoken is refused",
            _VERSION,
            section="RFC 9110 §2.5",
        ),
        _line("version 2.0", b"GET / HTTP/2.0", "the same", _VERSION, _BAD, section="RFC 9110 §2.5"),
        _line(
            "version 1.2",
            b"GET / HTTP/1.2",
            "a higher minor version should be read as the highest that is known",
            _VERSION,
            _BAD,
            _ROOT,
            section="RFC 9110 §2.5",
            note="there is no HTTP/1.2; whoever sends that is no browser",
        ),
        _line("version 1.10", b"GET / HTTP/1.10", "a version is a digit, a dot and a digit", _BAD, Refuse((505,))),
        _line("version 1", b"GET / HTTP/1", "the same", _BAD, Refuse((505,))),
        _line("version with zero", b"GET / HTTP/01.1", "the same", _BAD, Refuse((505,))),
        _line("version in small letters", b"GET / http/1.1", "a version is in capitals", _BAD, Refuse((505,))),
        _line("version of something else", b"GET / ICE/1.1", "a version begins with HTTP", _BAD, Refuse((505,))),
        _target(
            "target long",
            b"/" + _LONG,
            "a target that is longer than is read is refused with 414",
            Refuse((414,)),
            _ANYHOW,
            section=_S3,
        ),
        _method(
            "method long",
            _LONG,
            "a method that is longer than any that is known should be refused with 501",
            Refuse((414,)),
            Refuse((501, 400, 405, 431)),
            _ANYHOW,
            section=_S3,
        ),
        _method(
            "method in small letters",
            b"get",
            "methods have a case",
            Read("reads `get`", {"method": "get"}),
            Refuse((400, 405, 501), True),
        ),
        _method(
            "method unknown",
            b"BREW",
            "an unknown method reaches the app, or is refused",
            Read("reads `BREW`", {"method": "BREW"}),
            Refuse((400, 405, 501), True),
        ),
        _method("method with bracket", b"GE(T", "a method is a token"),
        _method("method with NUL", b"GE\x00T", "the same"),
        _method("method with obs-text", b"GE\xc9T", "the same"),
        Case(
            "HEAD",
            "RFC 9110 §9.3.2",
            "the answer to HEAD has no body",
            get(method=b"HEAD"),
            (Read("answers without a body", then="next"),),
            is_head=True,
        ),
    ),
)

TARGETS = Group(
    "Targets",
    (
        _target("absolute", b"http://a/p?q=1", "the absolute form is understood", _path("/p", "q=1"), section=_S322),
        _target("absolute in capitals", b"HTTP://a/p", "a scheme has no case", _path("/p"), section=_S322),
        _target("absolute without path", b"http://a", "its path is `/`", _path("/"), section=_S322),
        _target("absolute with query only", b"http://a?q", "its path is `/`", _path("/", "q"), section=_S322),
        _target(
            "absolute of another host",
            b"http://b/p",
            "its host counts, and the Host field is ignored",
            _path("/p", host="b"),
            _BAD,
            section=_S322,
        ),
        Case(
            "absolute in HTTP/1.0",
            _S322,
            "the same, where there is no Host field",
            get(b"http://b/p", b"X-A: b", version=b"HTTP/1.0"),
            (_path("/p", host="b"), _BAD),
            alone=True,
        ),
        _target(
            "absolute without host", b"http:///p", "a URL of HTTP without a host is refused", section="RFC 9110 §4.2.1"
        ),
        _target(
            "absolute with user",
            b"http://u:p@a/p",
            "a user in a URL is an error, or is left out",
            _BAD,
            _path("/p"),
            section="RFC 9110 §4.2.4",
        ),
        _target("absolute with a bad port", b"http://a:80x/p", "its host has the form of a host"),
        _target(
            "absolute of another scheme",
            b"ftp://a/p",
            "a scheme that is not served is refused",
            _BAD,
            Refuse((404, 421, 501)),
        ),
        Case(
            "absolute of https",
            "RFC 9110 §7.4",
            "`https` without TLS is refused, unless a trusted gateway sends it",
            get(b"https://a/p"),
            (
                Refuse((421,)),
                Refuse((421, 400), True),
            ),
        ),
        Case(
            "asterisk",
            "RFC 9112 §3.2.4",
            "OPTIONS may ask about the server as a whole",
            get(b"*", method=b"OPTIONS"),
            (Read("reads `OPTIONS`", {"method": "OPTIONS"}), Read("", {}), Refuse((400, 404, 405, 501), True)),
        ),
        _target("asterisk of GET", b"*", _FORM),
        _target("authority of GET", b"a:80", _FORM),
        _target("no slash", b"p", _FORM),
        Case(
            "CONNECT",
            "RFC 9110 §9.3.6",
            "2xx would make the connection a tunnel",
            get(b"a:80", b"Host: a:80", method=b"CONNECT"),
            (Refuse((405,)), Refuse((400, 404, 405, 501), True)),
        ),
        Case(
            "CONNECT of a path",
            "RFC 9112 §3.2.3",
            "the same",
            get(b"/", method=b"CONNECT"),
            (Refuse((405,)), Refuse((400, 404, 405, 501), True)),
        ),
        _target("two slashes", b"//b/p", "it is a path, and not a host", _path("//b/p"), _path("/b/p"), _BAD),
        _target(
            "fragment",
            b"/p#f",
            "a fragment is no part of a target",
            _BAD,
            _path("/p"),
            note="a few clients forget to remove it; a proxy that cuts it off would read another path",
        ),
        _target(
            "slash in an escape",
            b"/a%2fb",
            "the app gets the path without escapes",
            Read("reads `/a/b`", {"path": "/a/b"}),
            _BAD,
            section="RFC 3986 §2.1",
        ),
        _target(
            "NUL in an escape",
            b"/a%00b",
            "the path does not end there",
            Read("reads all of it", {"path": "/a\x00b"}),
            _BAD,
            section="RFC 3986 §2.1",
        ),
        _target(
            "LF in an escape",
            b"/a%0d%0ab",
            "an escape stays in the path",
            Read("reads all of it", {"path": "/a\r\nb"}),
            _BAD,
            section="RFC 3986 §2.1",
        ),
        _target(
            "bad escape",
            b"/a%zzb",
            "it is refused, or no escape",
            Read("reads `/a%zzb`", {"path": "/a%zzb"}),
            _BAD,
            section="RFC 3986 §2.1",
            note="links with a single `%` exist",
        ),
        _target(
            "half an escape", b"/a%2", "the same", Read("reads `/a%2`", {"path": "/a%2"}), _BAD, section="RFC 3986 §2.1"
        ),
        _target("NUL in target", b"/a\x00b", "a target has visible characters of ASCII", _BAD),
        _target("control in target", b"/a\x01b", "the same", _BAD),
        _target("DEL in target", b"/a\x7fb", "the same", _BAD),
        _target(
            "obs-text in target",
            b"/\xc3\xa9",
            "the same",
            _BAD,
            Read("", {"path": "/é"}),
            note="browsers and libraries escape; `curl` with an URL that is not escaped does not",
        ),
        _target(
            "braces in target",
            b'/a?b={c}|[d]^`"',
            "other characters that a URL can't have",
            Read("reads them", {"query": 'b={c}|[d]^`"'}),
            _BAD,
            note="browsers send these in queries, so to refuse them would break sites",
        ),
    ),
)

HOSTS = Group(
    "Host",
    (
        Case("no host", _S32, "HTTP/1.1 without Host is refused with 400", get(b"/", b"X-A: b"), (_BAD,)),
        Case(
            "no host in HTTP/1.0",
            _S32,
            "HTTP/1.0 needs none",
            get(b"/", b"X-A: b", version=b"HTTP/1.0"),
            (_ROOT,),
            alone=True,
        ),
        Case("two hosts", _S32, "two Hosts are refused with 400", get(b"/", b"Host: a", b"Host: b"), (_BAD,)),
        Case("the same host twice", _S32, "the same", get(b"/", b"Host: a", b"Host: a"), (_BAD,)),
        Case(
            "two hosts in HTTP/1.0", _S32, "the same", get(b"/", b"Host: a", b"Host: b", version=b"HTTP/1.0"), (_BAD,)
        ),
        _host("host empty", b"", Read("reads `/`", {"path": "/"}), _BAD, note="allowed, where a URL has no host"),
        _host("host with port", b"a.example:8080", Read("reads it", {"fields": {"host": "a.example:8080"}})),
        _host("host with colon", b"a:", Read("reads it", {"fields": {"host": "a:"}}), _BAD),
        _host("host of IPv6", b"[2001:db8::1]:80", Read("reads it", {"fields": {"host": "[2001:db8::1]:80"}})),
        _host("host with underscore", b"a_b", Read("reads it", {"fields": {"host": "a_b"}}), _BAD),
        _host("host with space", b"a b"),
        _host("host with tab", b"a\tb"),
        _host("host list", b"a, b"),
        _host("host list without space", b"a,b", _BAD, _ROOT, note="a comma may be in a name, but is in none"),
        _host("host with user", b"u@a"),
        _host("host with path", b"a/b"),
        _host("host with scheme", b"http://a"),
        _host("host with query", b"a?b"),
        _host("host with fragment", b"a#b"),
        _host("host with backslash", b"a\\b"),
        _host("host with quotes", b'"a"'),
        _host("host with brackets", b"<a>"),
        _host("host with obs-text", b"\xc3\xa9"),
        _host("host with bad escape", b"a%zz"),
        _host("host with a bad port", b"a:80x"),
        _host("host with two ports", b"a:80:80"),
        _host("host with a port too large", b"a:99999", _BAD, _ROOT),
        _host("host of IPv6 without brackets", b"2001:db8::1"),
        _host("host of IPv6 without end", b"[2001:db8::1"),
        _host("host of a port only", b":80", _BAD, _ROOT),
    ),
)


def _field(name: str, line: bytes, demand: str, *ways: Way, section: str = "RFC 9112 §5.1", note: str = "") -> Case:
    return Case(name, section, demand, get(b"/", b"Host: a", line), ways or (_BAD,), note=note)


def _is(words: str, value: str | None, name: str = "x-a") -> Read:
    return Read(words, {"path": "/", "fields": {name: value}})


_TOKEN = "the name of a field is a token"
_HARMLESS = "NUL, CR and LF in a value are refused, or made spaces"

FIELDS = Group(
    "Fields",
    (
        _field("field", b"X-A: b", "a field reaches the app", _is("reads `b`", "b")),
        _field("field without space", b"X-A:b", "no space has to be before a value", _is("reads `b`", "b")),
        _field(
            "field with spaces",
            b"X-A: \t b c \t",
            "space around a value is not a part of it",
            _is("reads `b c`", "b c"),
        ),
        _field("field empty", b"X-A:", "a value may be empty", _is("reads nothing", "")),
        _field(
            "field twice",
            b"X-A: b\r\nX-A: c",
            "lines of a field are one list, in their order",
            _is("reads `b, c`", "b, c"),
            section="RFC 9110 §5.3",
        ),
        _field(
            "field of obs-text",
            b"X-A: \xe9",
            "bytes above 7F are let through or refused",
            _is("reads E9", "\xe9"),
            _BAD,
            section="RFC 9110 §5.5",
        ),
        _field("space before colon", b"X-A : b", "no space before a colon"),
        _field("tab before colon", b"X-A\t: b", "no space before a colon"),
        Case(
            "space before the first field",
            "RFC 9112 §2.2",
            "such lines are refused, or left out",
            b"GET / HTTP/1.1\r\n X-A: b\r\nHost: a\r\n\r\n",
            (_BAD, _is("", None)),
        ),
        _field(
            "folded",
            b"X-A: b\r\n c",
            "a folded line is refused, or unfolded with spaces",
            _BAD,
            _is("", "b c"),
            _is("", "b   c"),
            section="RFC 9112 §5.2",
            note="no client has folded lines since 2014",
        ),
        _field(
            "folded with tab",
            b"X-A: b\r\n\tc",
            "the same",
            _BAD,
            _is("", "b c"),
            _is("", "b\tc"),
            _is("", "b  \tc"),
            section="RFC 9112 §5.2",
        ),
        _field("CR in a value", b"X-A: b\rX-B: c", _HARMLESS, _BAD, _is("", "b X-B: c"), section="RFC 9110 §5.5"),
        _field("CR behind a value", b"X-A: b\r", _HARMLESS, _BAD, _is("", "b"), section="RFC 9110 §5.5"),
        _field(
            "LF in a value",
            b"X-A: b\nX-B: c",
            "a bare LF is refused, or ends a line",
            _BAD,
            _is("", "b"),
            section="RFC 9112 §2.2",
        ),
        _field("NUL in a value", b"X-A: b\x00c", _HARMLESS, _BAD, _is("", "b c"), section="RFC 9110 §5.5"),
        _field(
            "control in a value",
            b"X-A: b\x01c",
            "other controls are refused, or let through",
            _BAD,
            _is("", "b\x01c"),
            _is("", "b c"),
            section="RFC 9110 §5.5",
            note="some old scripts set such cookies; logs and apps are safer without them",
        ),
        _field(
            "DEL in a value",
            b"X-A: b\x7fc",
            "the same",
            _BAD,
            _is("", "b\x7fc"),
            _is("", "b c"),
            section="RFC 9110 §5.5",
        ),
        _field("no colon", b"X-A", "a field has a colon"),
        _field("no name", b": b", _TOKEN),
        _field("name with space", b"X A: b", _TOKEN),
        _field("name with bracket", b"X(A: b", _TOKEN),
        _field("name with at sign", b"X@A: b", _TOKEN),
        _field("name with equals sign", b"X=A: b", _TOKEN),
        _field("name with quotes", b'"X-A": b', _TOKEN),
        _field("name with NUL", b"X\x00A: b", _TOKEN),
        _field("name with obs-text", b"X\xe9: b", _TOKEN),
        _field("name with CR", b"X\rA: b", _TOKEN),
        _field(
            "fields many",
            b"\r\n".join(b"X-%d: b" % number for number in range(1000)),
            "more fields than are read are refused with a status of 4xx",
            Refuse((431,)),
            Refuse((400, 413)),
            _ANYHOW,
            section="RFC 9110 §5.4",
        ),
        _field(
            "field long",
            b"X-A: " + _LONG,
            "the same, for their length",
            Refuse((431,)),
            Refuse((400, 413)),
            _ANYHOW,
            section="RFC 9110 §5.4",
        ),
        Case(
            "underscore",
            "RFC 3875 §4.1.18",
            "`X_Forwarded_For` does not shadow `X-Forwarded-For`",
            get(b"/", b"Host: a", b"X-Forwarded-For: 192.0.2.1", b"X_Forwarded_For: 192.0.2.2"),
            (_is("reads `192.0.2.1`, leaves the other out", "192.0.2.1", "x-forwarded-for"), _BAD),
            interface="wsgi",
        ),
        Case(
            "underscore alone",
            "RFC 3875 §4.1.18",
            "nor stand for it",
            get(b"/", b"Host: a", b"X_Remote_User: root"),
            (_is("leaves it out", None, "x-remote-user"), _BAD),
            interface="wsgi",
        ),
        Case(
            "proxy",
            "RFC 3875 §4.1.18",
            "`Proxy` does not become `HTTP_PROXY` (CVE-2016-5385)",
            get(b"/", b"Host: a", b"Proxy: http://evil"),
            (_is("leaves it out", None, "proxy"), _BAD),
            interface="wsgi",
        ),
    ),
)

_CLOSE = Read("answers, closes", {"path": "/"}, "close")
# a client may send nothing behind `close`, so that to refuse what it sends is no fault
_NEXT = Read("answers, goes on", {"path": "/"}, "next")


def _connection(name: str, demand: str, *lines: bytes, ways: tuple[Way, ...], version: bytes = b"HTTP/1.1") -> Case:
    return Case(name, "RFC 9112 §9.3", demand, get(b"/", b"Host: a", *lines, version=version), ways)


CONNECTIONS = Group(
    "Connections, expectations, upgrades",
    (
        _connection("keep-alive", "HTTP/1.1 goes on", ways=(_NEXT, _CLOSE)),
        _connection("close", "`close` ends a connection behind the answer", b"Connection: close", ways=(_CLOSE, _BAD)),
        _connection("close in capitals", "the same", b"Connection: CLOSE", ways=(_CLOSE, _BAD)),
        _connection("close in a list", "the same", b"Connection: x-a,\tclose", ways=(_CLOSE, _BAD)),
        _connection(
            "close in a second line", "the same", b"Connection: x-a", b"Connection: close", ways=(_CLOSE, _BAD)
        ),
        _connection("close and keep-alive", "the same", b"Connection: keep-alive, close", ways=(_CLOSE, _BAD)),
        _connection("HTTP/1.0", "HTTP/1.0 ends behind the answer", ways=(_CLOSE, _BAD), version=b"HTTP/1.0"),
        _connection(
            "HTTP/1.0 keep-alive",
            "HTTP/1.0 may go on if it is asked to",
            b"Connection: keep-alive",
            ways=(_NEXT, _CLOSE),
            version=b"HTTP/1.0",
        ),
        _connection(
            "HTTP/1.0 close and keep-alive",
            "`close` counts more",
            b"Connection: close, keep-alive",
            ways=(_CLOSE, _BAD),
            version=b"HTTP/1.0",
        ),
        Case(
            "pipelined",
            "RFC 9112 §9.3.2",
            "answers leave in the order of their requests",
            get(b"/1") + post(b"Content-Length: 5") + get(b"/2"),
            (Read("answers in order", then="next", paths=("/1", "/", "/2")), Read("", {"path": "/1"}, "close")),
        ),
        Case(
            "pipelined behind an error",
            "RFC 9112 §9.6",
            "nothing is read behind a request whose end is unknown",
            get(b"/", b"Host: a", b"Content-Length: x") + get(b"/smuggled"),
            (_BAD,),
        ),
        Case(
            "expectation unknown",
            "RFC 9110 §10.1.1",
            "it is refused with 417, or ignored",
            post(b"Content-Length: 5", b"Expect: tea"),
            (Refuse((417,)), Refuse((417,), True), Read("", {"body": "hello"})),
        ),
        Case(
            "expectation",
            "RFC 9110 §10.1.1",
            "a body that comes anyhow is read",
            post(b"Content-Length: 5", b"Expect: 100-Continue"),
            (Read("reads `hello`", {"body": "hello"}),),
        ),
        Case(
            "expectation in HTTP/1.0",
            "RFC 9110 §10.1.1",
            "HTTP/1.0 gets no 100 (Continue)",
            post(b"Content-Length: 5", b"Expect: 100-continue", version=b"HTTP/1.0"),
            (Read("reads `hello`", {"body": "hello"}, also=lambda outcome: not outcome.interim),),
            alone=True,
        ),
        Case(
            "upgrade unknown",
            "RFC 9110 §7.8",
            "it is ignored",
            get(b"/", b"Host: a", b"Connection: upgrade", b"Upgrade: tea"),
            (_NEXT, _CLOSE, _BAD),
        ),
        Case(
            "upgrade to h2c",
            "RFC 9113 §3.1",
            "it is ignored, or HTTP/2 follows",
            get(b"/", b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
            (_NEXT, Switch(), _CLOSE, _BAD),
        ),
        Case(
            "upgrade in HTTP/1.0",
            "RFC 9110 §7.8",
            "it is ignored",
            get(b"/", b"Host: a", b"Connection: upgrade", b"Upgrade: websocket", version=b"HTTP/1.0"),
            (_CLOSE,),
            alone=True,
        ),
        Case(
            "upgrade to a WebSocket, half",
            "RFC 6455 §4.2.1",
            "a handshake without a key is refused, or no handshake",
            get(b"/", b"Host: a", b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
            (_BAD, Refuse((400, 426), True), _NEXT, _CLOSE),
            interface="asgi",
        ),
    ),
)
