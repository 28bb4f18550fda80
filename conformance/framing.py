"""Cases about where a request ends: RFC 9112 sections 6 and 7."""

from conformance.case import SMUGGLED, Case, Group, chunked, get, post
from conformance.verdicts import Read, Refuse, Wait

_S61, _S62, _S63, _S71 = ("RFC 9112 §6.1", "RFC 9112 §6.2", "RFC 9112 §6.3", "RFC 9112 §7.1")
_S711, _S712 = "RFC 9112 §7.1.1", "RFC 9112 §7.1.2"

_BAD = Refuse((400,))
_LATE = Refuse((500,))
"""What a server answers that has called the app before it saw that the body is broken: as safe."""
_CODING = Refuse((501,))
_UNKNOWN = Refuse((400, 501))
_HELLO = Read("reads `hello`", {"body": "hello"})
_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_ENDS = b"0\r\n\r\n" + SMUGGLED


def _coding(name: str, line: bytes, demand: str, *ways, section: str = _S61, note: str = "") -> Case:
    return Case(name, section, demand, post(line, body=_CHUNKS), (*(ways or (_BAD,)), _UNKNOWN), note=note)


def _length(name: str, value: bytes, *ways, note: str = "") -> Case:
    demand = "a Content-Length that is not one decimal number can't be used"
    return Case(name, _S63, demand, post(b"Content-Length: " + value), ways or (_BAD,), note=note)


def _size(name: str, line: bytes, demand: str, *ways, section: str = _S71, note: str = "") -> Case:
    sent = chunked(line + b"\r\nhello\r\n0\r\n\r\n")
    return Case(name, section, demand, sent, (*(ways or (_BAD, Refuse((400, 413)))), _LATE), note=note)


_ONLY_CHUNKED = "a coding that is not understood is refused, and so is a body whose last coding is not `chunked`"
_EXACTLY = "a chunk's size is hexadecimal digits, and nothing else"

LENGTHS = Group(
    "Content-Length and Transfer-Encoding",
    (
        Case(
            "cl.te",
            _S61,
            "both at once: refused, or read by the coding alone, and then closed",
            post(b"Content-Length: %d" % len(_ENDS), b"Transfer-Encoding: chunked", body=_ENDS),
            (_BAD, Read("", {"body": ""}, "close")),
        ),
        Case(
            "te.cl",
            _S61,
            "the same, the other way round",
            post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=_CHUNKS),
            (_BAD, Read("", {"body": "hello"}, "close")),
        ),
        _coding("te chunked", b"Transfer-Encoding: chunked", "a chunked body is understood", _HELLO),
        _coding("te capitals", b"TRANSFER-ENCODING: ChUnKeD", "names of codings have no case", _HELLO),
        _coding("te tabs", b"Transfer-Encoding:\t chunked \t", "space around a value is not a part of it", _HELLO),
        _coding("te x-chunked", b"Transfer-Encoding: xchunked", _ONLY_CHUNKED),
        _coding("te quoted", b'Transfer-Encoding: "chunked"', _ONLY_CHUNKED),
        _coding("te parameter", b"Transfer-Encoding: chunked;q=1", _ONLY_CHUNKED),
        _coding("te empty", b"Transfer-Encoding:", _ONLY_CHUNKED),
        _coding("te identity", b"Transfer-Encoding: identity", _ONLY_CHUNKED),
        _coding("te gzip", b"Transfer-Encoding: gzip", _ONLY_CHUNKED, _BAD, section=_S63),
        _coding("te chunked not last", b"Transfer-Encoding: chunked, gzip", _ONLY_CHUNKED, _BAD, section=_S63),
        _coding("te gzip, chunked", b"Transfer-Encoding: gzip, chunked", _ONLY_CHUNKED, _CODING),
        _coding(
            "te chunked twice", b"Transfer-Encoding: chunked, chunked", "`chunked` comes once at the most", _CODING
        ),
        _coding(
            "te two lines",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "lines of a field are one list",
            _BAD,
        ),
        _coding(
            "te the same twice",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "`chunked` comes once at the most",
            _CODING,
        ),
        _coding("te vertical tab", b"Transfer-Encoding: \x0bchunked", "a vertical tab is not space"),
        _coding("te behind NUL", b"Transfer-Encoding: \x00chunked", "NUL is refused or made a space", _BAD, _HELLO),
        _coding("te obs-text", b"Transfer-Encoding: \xa0chunked", "A0 is not space"),
        _coding("te space before colon", b"Transfer-Encoding : chunked", "no space before a colon", _BAD),
        _coding(
            "te folded",
            b"Transfer-Encoding:\r\n chunked",
            "a folded line is refused, or unfolded",
            _BAD,
            _HELLO,
            section="RFC 9112 §5.2",
        ),
        Case(
            "te in HTTP/1.0",
            _S61,
            "its framing is faulty: refused, or closed behind the request",
            post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=_CHUNKS, version=b"HTTP/1.0"),
            (Read("reads `hello`, closes", {"body": "hello"}, "close"), _BAD),
        ),
        Case(
            "te underscore",
            "RFC 9110 §5.1",
            "`Transfer_Encoding` is another field",
            post(b"Transfer_Encoding: chunked", b"Content-Length: 5"),
            (_HELLO, _BAD),
        ),
        Case("cl 5", _S62, "a body has the length that is announced", post(b"Content-Length: 5"), (_HELLO,)),
        Case(
            "cl of GET",
            _S63,
            "the method says nothing about a body's length",
            get(b"/", b"Host: a", b"Content-Length: 5") + b"hello",
            (_HELLO, Read("", {"body": ""}, "close"), _BAD),
        ),
        Case(
            "no length",
            _S63,
            "a request without a length has no body",
            post(body=b""),
            (Read("reads no body", {"body": ""}, "next"),),
        ),
        _length("cl zeros", b"0005", _HELLO, _BAD),
        _length("cl plus", b"+5"),
        _length("cl minus", b"-5"),
        _length("cl hexadecimal", b"0x5"),
        _length("cl fraction", b"5.0"),
        _length("cl underscore inside", b"0_5"),
        _length("cl space inside", b"5 5"),
        _length("cl empty", b""),
        _length("cl comma at the end", b"5,"),
        _length("cl obs-text", b"\xb2"),
        _length("cl NUL", b"5\x00", _BAD, _HELLO),
        _length("cl overflow", b"18446744073709551621", _BAD, Refuse((413,)), Wait()),
        _length("cl overflow of 32 bits", b"4294967301" + b"0" * 90, _BAD, Refuse((413,)), Wait()),
        _length("cl list", b"5, 6"),
        _length(
            "cl list of the same", b"5, 5", _HELLO, _BAD, note="allowed, and some proxies join two lines in this way"
        ),
        Case(
            "cl two lines",
            _S63,
            "two lengths that differ are refused",
            post(b"Content-Length: 5", b"Content-Length: 6"),
            (_BAD,),
        ),
        Case(
            "cl two lines of the same",
            _S63,
            "two lengths that are the same are one, or refused",
            post(b"Content-Length: 5", b"Content-Length: 5"),
            (_HELLO, _BAD),
        ),
        Case(
            "cl underscore",
            "RFC 3875 §4.1.18",
            "`Content_Length` does not shadow `Content-Length`",
            post(b"Content_Length: 99", b"Content-Length: 5"),
            (Read("reads `hello`, leaves the other out", {"body": "hello", "fields": {"content-length": "5"}}), _BAD),
            interface="wsgi",
        ),
    ),
)

_LONG = b"a" * 100_000
_MANY = b"".join(b"1;%b\r\nx\r\n" % (b"a" * 1000) for _ in range(200)) + b"0\r\n\r\n"
_TRAILER = "a trailer is not taken for a field of the head"

CHUNKS = Group(
    "Chunks",
    (
        _size("chunk zeros", b"0005", "leading zeros count nothing", _HELLO),
        Case(
            "chunk capitals",
            _S71,
            "hexadecimal digits have no case",
            chunked(b"A\r\nhellohello\r\n000\r\n\r\n"),
            (Read("reads `hellohello`", {"body": "hellohello"}),),
        ),
        _size("chunk 0x", b"0x5", _EXACTLY),
        _size("chunk plus", b"+5", _EXACTLY),
        _size("chunk minus", b"-5", _EXACTLY),
        _size("chunk underscore", b"0_5", _EXACTLY),
        _size("chunk not hexadecimal", b"5g", _EXACTLY),
        _size("chunk empty size", b"", _EXACTLY),
        _size("chunk space first", b" 5", _EXACTLY),
        _size(
            "chunk space behind",
            b"5 ",
            _EXACTLY,
            note="some servers send such lines; no client does that we know of",
        ),
        _size("chunk tab behind", b"5\t", _EXACTLY),
        _size("chunk vertical tab", b"5\x0b", _EXACTLY),
        _size("chunk NUL", b"5\x00", _EXACTLY),
        _size("chunk overflow", b"10000000000000005", "a size that overflows is refused", _BAD, Wait()),
        _size("chunk of many digits", b"0" * 2000 + b"5", "a size has no more digits than are read", _BAD, _HELLO),
        Case("chunk too long", _S71, "CR LF ends a chunk's data", chunked(b"3\r\nhello\r\n0\r\n\r\n"), (_BAD, _LATE)),
        Case("chunk too short", _S71, "the same", chunked(b"7\r\nhello\r\n0\r\n\r\n"), (_BAD, _LATE)),
        Case("chunk without end", _S71, "the same", chunked(b"5\r\nhello0\r\n\r\n"), (_BAD, _LATE)),
        Case("chunk ends with LF", _S71, "the same", chunked(b"5\r\nhello\n0\r\n\r\n"), (_BAD, _LATE)),
        Case("chunk ends with CR", _S71, "the same", chunked(b"5\r\nhello\r0\r\n\r\n"), (_BAD, _LATE)),
        Case(
            "chunk line ends with LF",
            _S71,
            "CR LF ends a chunk's line",
            chunked(b"5\nhello\r\n0\r\n\r\n"),
            (_BAD, _LATE),
        ),
        Case("chunk line ends with CR", _S71, "the same", chunked(b"5\rhello\r\n0\r\n\r\n"), (_BAD, _LATE)),
        Case("last chunk ends with LF", _S71, "the same", chunked(b"5\r\nhello\r\n0\n\r\n"), (_BAD, _LATE)),
        Case("last line ends with LF", _S71, "CR LF ends a body", chunked(b"5\r\nhello\r\n0\r\n\n"), (_BAD, _LATE)),
        Case(
            "no last line",
            _S71,
            "an empty line ends a body; what is there instead is a trailer",
            chunked(b"5\r\nhello\r\n0\r\n"),
            (_BAD, _LATE, Wait()),
        ),
        _size("extension", b"5;a=b;c", "unknown extensions are ignored", _HELLO, section=_S711),
        _size(
            "extension with spaces",
            b"5 ; a = b",
            "the same, with the spaces that are allowed",
            _HELLO,
            _BAD,
            section=_S711,
        ),
        _size("extension quoted", b'5;a="b;\\"c\x80"', "the same, with a quoted value", _HELLO, section=_S711),
        _size("extension with CR", b"5;a\rb", "CR is not a part of an extension", section=_S711),
        _size("extension with LF", b"5;a\n0\r\n\r\n" + SMUGGLED, "LF is not a part of an extension", section=_S711),
        _size("extension with LF, quoted", b'5;a="\n"', "LF is not a part of a quoted value", section=_S711),
        _size("extension with NUL", b"5;a=\x00", "NUL is not a part of an extension", section=_S711),
        _size("extension without name", b"5;=b", "an extension has a name", _BAD, _HELLO, section=_S711),
        _size(
            "extension without end",
            b'5;a="b',
            "a quoted value has an end",
            _BAD,
            _HELLO,
            section=_S711,
        ),
        _size(
            "extension long",
            b"5;" + _LONG,
            "the length of extensions ought to be limited",
            _BAD,
            Refuse((413, 431)),
            _HELLO,
            section=_S711,
        ),
        Case(
            "extensions many",
            _S711,
            "the same, for those of all chunks",
            chunked(_MANY),
            (_BAD, Refuse((413, 431, 500)), Read("", {"body": "x" * 200})),
            note="those of all chunks may have 64 KiB more than the body",
        ),
        Case(
            "trailer",
            _S712,
            _TRAILER,
            chunked(b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"),
            (Read("reads `hello`, leaves it out", {"body": "hello", "fields": {"x-a": None}}), _BAD),
        ),
        Case(
            "trailer Content-Length",
            "RFC 9110 §6.5.1",
            _TRAILER,
            chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"),
            (Read("reads `hello`, leaves it out", {"body": "hello"}), _BAD),
        ),
        Case(
            "trailer Host",
            "RFC 9110 §6.5.1",
            _TRAILER,
            chunked(b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n"),
            (Read("reads `hello`, leaves it out", {"body": "hello", "fields": {"host": "a"}}), _BAD),
        ),
        Case(
            "trailer X-Forwarded-For",
            "RFC 9110 §6.5.1",
            _TRAILER,
            chunked(b"5\r\nhello\r\n0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"),
            (Read("reads `hello`, leaves it out", {"body": "hello", "fields": {"x-forwarded-for": None}}), _BAD),
        ),
        Case(
            "trailer with LF",
            "RFC 9112 §2.2",
            "a bare LF is refused, or ends a line",
            chunked(b"5\r\nhello\r\n0\r\nX-A: b\n\r\n"),
            (_BAD, _HELLO),
        ),
        Case(
            "trailer with NUL",
            "RFC 9110 §5.5",
            "NUL is refused or made a space",
            chunked(b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"),
            (_BAD, _HELLO),
        ),
        Case(
            "trailer without colon",
            _S712,
            "trailers have the form of fields",
            chunked(b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
            (_BAD, _LATE),
        ),
        Case(
            "trailer with space before colon",
            "RFC 9112 §5.1",
            "no space before a colon",
            chunked(b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n"),
            (_BAD, _LATE),
        ),
        Case(
            "trailer folded",
            "RFC 9112 §5.2",
            "a folded line is refused, or unfolded",
            chunked(b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
            (_BAD, _HELLO),
        ),
        Case(
            "trailers long",
            "RFC 9110 §5.4",
            "more than is read is refused with a status of 4xx",
            chunked(b"5\r\nhello\r\n0\r\nX-A: " + _LONG + b"\r\n\r\n"),
            (Refuse((431,)), Refuse((400, 413)), _HELLO),
        ),
    ),
)
