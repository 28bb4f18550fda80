"""snakepit.http.fields: what the app says becomes lines, and whatever is not a line of its own is refused."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from snakepit.errors import LocalProtocolError
from snakepit.http import fields as module
from snakepit.http.fields import ANNOUNCED, CLOSE, HAS_DATE, HAS_HSTS, HAS_SERVER, NONE, of_length, render

CONTROLS = bytes([*range(9), *range(10, 32), 127])
TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """The names that are known: none, when a test begins."""
    monkeypatch.setattr(module, "_names", known := {})
    return known


# -- lines -----------------------------------------------------------------------------------------------------------


def test_no_fields():
    assert render([]) == NONE == (b"", 0, None)


def test_fields_go_out_as_they_were_given():
    given = [
        (b"X-One", b"1"),
        (b"x-one", b" 2 "),
        (b"set-cookie", b"a=b; c"),
        (b"set-cookie", b""),
        (b"x", b"\xfc\t\x80"),
    ]
    assert render(given) == (
        b"X-One: 1\r\nx-one:  2 \r\nset-cookie: a=b; c\r\nset-cookie: \r\nx: \xfc\t\x80\r\n",
        0,
        None,
    )


def test_any_iterable_of_pairs():
    assert render([name, value] for name, value in [(b"x", b"y"), (b"z", b"")]) == (b"x: y\r\nz: \r\n", 0, None)


def test_builtin_types_come_of_others():
    block, flags, length = render([(b"x", bytearray(b"y")), (memoryview(b"z"), b"1"), (b"content-length", b"5")])
    assert block == b"x: y\r\nz: 1\r\n"
    assert [type(part) for part in (block, flags, length)] == [bytes, int, int]


# -- fields that are the server's, or that it must know of -----------------------------------------------------------


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length", b"CONTENT-LENGTH"])
@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"5", 5), (b"007", 7), (b"9" * 18, 10**18 - 1)])
def test_content_length_is_taken_note_of_and_left_out(name, value, length):
    assert render([(b"x", b"y"), (name, value)]) == (b"x: y\r\n", ANNOUNCED, length)


def test_content_length_twice():
    assert render([(b"content-length", b"5"), (b"Content-Length", b"05")]) == (b"", ANNOUNCED, 5)
    for other in (b"6", b"0"):
        with pytest.raises(LocalProtocolError, match="bad Content-Length"):
            render([(b"content-length", b"5"), (b"content-length", other)])
        with pytest.raises(LocalProtocolError, match="bad Content-Length"):
            render([(b"content-length", other), (b"content-length", b"5")])


@pytest.mark.parametrize("value", [b"", b"five", b"-5", b"+5", b" 5", b"5 ", b"5,5", b"5, 5", b"0x5", b"1_0", b"\xb2"])
def test_content_length_that_is_no_number(value):
    with pytest.raises(LocalProtocolError, match="bad Content-Length"):
        render([(b"content-length", value)])


@pytest.mark.parametrize("digits", [5000, 10_000])
def test_content_length_that_no_body_has(digits):
    with pytest.raises(LocalProtocolError, match="bad Content-Length") as caught:
        render([(b"content-length", b"1" * digits)])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", [b"transfer-encoding", b"Transfer-Encoding"])
@pytest.mark.parametrize("value", [b"chunked", b"Chunked"])
def test_chunked_is_left_out_since_the_server_decides(name, value):
    assert render([(name, value), (b"x", b"y")]) == (b"x: y\r\n", 0, None)


@pytest.mark.parametrize("value", [b"gzip", b"gzip, chunked", b"identity", b""])
def test_other_transfer_codings_are_refused(value):
    with pytest.raises(LocalProtocolError, match="Transfer-Encoding"):
        render([(b"transfer-encoding", value)])


@pytest.mark.parametrize(
    ("value", "flags", "goes_out"),
    [
        (b"close", CLOSE, False),
        (b"Close", CLOSE, False),
        (b"x, close", CLOSE, False),
        (b" close ,x", CLOSE, False),
        (b"keep-alive", 0, False),
        (b"Keep-Alive", 0, False),
        (b"closed", 0, True),
        (b"x-hop", 0, True),
        (b"", 0, True),
    ],
)
@pytest.mark.parametrize("name", [b"connection", b"Connection"])
def test_connection(name, value, flags, goes_out):
    assert render([(name, value)]) == ((name + b": " + value + b"\r\n") * goes_out, flags, None)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        (b"date", HAS_DATE),
        (b"Date", HAS_DATE),
        (b"server", HAS_SERVER),
        (b"SERVER", HAS_SERVER),
        (b"dates", 0),
        (b"Strict-Transport-Security", HAS_HSTS),
    ],
)
def test_fields_that_the_server_would_add_are_taken_note_of(name, flags):
    assert render([(name, b"x")]) == (name + b": x\r\n", flags, None)


def test_all_at_once():
    given = [
        (b"Date", b"now"),
        (b"Content-Length", b"3"),
        (b"A", b"b"),
        (b"Connection", b"close"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Server", b"me"),
    ]
    expected = (b"Date: now\r\nA: b\r\nServer: me\r\n", HAS_DATE | HAS_SERVER | ANNOUNCED | CLOSE, 3)
    assert render(given) == expected
    assert render(reversed(given))[1:] == expected[1:]


def test_flags_do_not_overlap():
    flags = (ANNOUNCED, HAS_DATE, HAS_SERVER, CLOSE, HAS_HSTS)
    assert sum(flags) == ANNOUNCED | HAS_DATE | HAS_SERVER | CLOSE | HAS_HSTS
    assert all(flags)


# -- length ----------------------------------------------------------------------------------------------------------


def test_of_length():
    assert of_length(NONE, 5) == (b"", 0, 5)
    assert of_length(NONE, 0) == (b"", 0, 0)
    assert NONE == (b"", 0, None)


def test_length_that_was_announced_stands():
    fields = render([(b"x", b"y"), (b"content-length", b"0")])
    assert of_length(fields, 5) == fields == (b"x: y\r\n", ANNOUNCED, 0)


def test_length_that_the_server_knows_is_not_announced_by_the_app():
    assert of_length(render([(b"x", b"y")]), 5) == (b"x: y\r\n", 0, 5)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [b"\r\n", b"\n", b"\r", b"\0", b"\r\nset-cookie: a"])
@pytest.mark.parametrize("around", [(b"", b""), (b"a", b""), (b"", b"b"), (b"a", b"b")])
def test_value_that_is_more_than_a_line(bad, around):
    value = around[0] + bad + around[1]
    with pytest.raises(LocalProtocolError, match="Illegal header value") as caught:
        render([(b"before", b"x"), (b"name", value), (b"after", b"y")])
    assert repr(value) in str(caught.value), "which of them it is"


@pytest.mark.parametrize("control", CONTROLS)
def test_control_characters_in_a_value(control):
    value = b"a%cb" % control
    with pytest.raises(LocalProtocolError, match="Illegal header value") as caught:
        render([(b"x", b"\t"), (b"name", value)])
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "value", [b"a\r\nb", b"a\nb", b"a\0b", b"close\r\nset-cookie: a", b"keep-alive\r\nx: y", b"close,\n"]
)
@pytest.mark.parametrize("name", [b"date", b"server", b"connection"])
def test_nothing_splits_a_field_that_the_server_looks_at(name, value):
    try:
        block, _, _ = render([(name, value)])
    except LocalProtocolError:
        return
    assert block == b"", "left out"


@pytest.mark.parametrize("byte", range(256))
def test_name_is_a_token(byte):
    name = bytes([ord("x"), byte, ord("y")])
    if byte in TOKEN:
        assert render([(name, b"1")]) == (name + b": 1\r\n", 0, None)
    else:
        with pytest.raises(LocalProtocolError, match="Illegal header name"):
            render([(name, b"1")])


@pytest.mark.parametrize("name", [b"", b" ", b"x ", b" x", b"x:", b"x\n", b"\nx", b"content-length "])
def test_bad_name(name):
    with pytest.raises(LocalProtocolError, match="Illegal header name") as caught:
        render([(b"x", b"y"), (name, b"1")])
    assert repr(name) in str(caught.value)


def test_a_bad_name_is_bad_each_time():
    for _ in range(3):
        with pytest.raises(LocalProtocolError):
            render([(b"bad name", b"1")])


@pytest.mark.parametrize(
    "headers",
    [
        5,
        [5],
        [b"xy", b"ab"],
        [(b"x",)],
        [(b"x", b"y", b"z")],
        [("x", b"y")],
        [(b"x", "y")],
        [(b"x", 5)],
        [(b"x", None)],
    ],
)
def test_headers_that_are_not_pairs_of_bytes(headers):
    with pytest.raises((TypeError, ValueError)):
        render(headers)


anything = st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=12)), max_size=6)
likely = st.lists(
    st.tuples(
        st.sampled_from(
            [b"x", b"Set-Cookie", b"date", b"Server", b"connection", b"content-length", b"Transfer-Encoding"]
        ),
        st.sampled_from(
            [b"", b"a", b"5", b"chunked", b"close", b"keep-alive", b"a\r\nb: c", b"\n", b"\r", b"\0", b"close\r\n"]
        )
        | st.binary(max_size=6),
    ),
    max_size=6,
)


@given(headers=anything | likely)
@example(headers=[(b"a", b"\n"), (b"b", b"\r")])
@example(headers=[(b"connection", b"close\r\nx: y")])
def test_no_header_can_split_a_response(headers):
    try:
        block, flags, length = render(headers)
    except LocalProtocolError:
        return
    assert not block or block.endswith(b"\r\n")
    lines = block.split(b"\r\n")[:-1]
    assert not any(bad in line for line in lines for bad in (b"\r", b"\n", b"\0"))
    found = [tuple(line.split(b": ", 1)) for line in lines]
    left_out = [header for header in headers if header not in found]
    assert found == [header for header in headers if header in found], "in their order, and nothing else"
    assert all(name.lower() in (b"content-length", b"transfer-encoding", b"connection") for name, _ in left_out)
    assert not any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in found)
    assert (length is not None) == bool(flags & ANNOUNCED)


@given(headers=anything | likely)
def test_the_same_comes_of_the_same_whether_its_names_are_known_or_not(headers):
    def outcome():
        try:
            return render(headers)
        except LocalProtocolError as error:
            return str(error)

    module._names.clear()
    first = outcome()
    assert outcome() == first


@given(
    name=st.lists(st.sampled_from(TOKEN), min_size=1, max_size=8).map(bytes),
    value=st.lists(st.integers(0, 255).filter(lambda byte: byte not in CONTROLS), max_size=8).map(bytes),
)
def test_whatever_is_legal_goes_through(name, value):
    assume(name.lower() not in module._KINDS)
    assert render([(name, value)])[0] == name + b": " + value + b"\r\n"


# -- names are remembered --------------------------------------------------------------------------------------------


def test_a_name_is_looked_at_once(names, monkeypatch):
    render([(b"X-A", b"1"), (b"date", b"2")])
    assert set(names) == {b"X-A", b"date"}

    def learn(name):
        raise AssertionError("it is known")

    monkeypatch.setattr(module, "_learn", learn)
    assert render([(b"date", b"3"), (b"X-A", b"4")]) == (b"date: 3\r\nX-A: 4\r\n", HAS_DATE, None)


def test_names_that_differ_in_case_are_two(names):
    assert render([(b"x", b"1"), (b"X", b"2")]) == (b"x: 1\r\nX: 2\r\n", 0, None)
    assert set(names) == {b"x", b"X"}


def test_bad_names_are_not_remembered(names):
    with pytest.raises(LocalProtocolError):
        render([(b"bad name", b"1")])
    assert names == {}


def test_only_so_many_names_are_remembered_and_the_others_work_too(names, monkeypatch):
    monkeypatch.setattr(module, "_NAMES_KEPT", 3)
    for number in range(10):
        name = b"x-%d" % number
        for _ in range(2):
            assert render([(name, b"y")]) == (name + b": y\r\n", 0, None)
    assert render([(b"content-length", b"5"), (b"date", b"x")]) == (b"date: x\r\n", ANNOUNCED | HAS_DATE, 5)
    assert list(names) == [b"x-0", b"x-1", b"x-2"]


def test_a_name_is_remembered_as_bytes_whatever_it_came_in(names):
    render([(memoryview(b"x-a"), b"1")])
    assert [type(name) for name in names] == [bytes]
