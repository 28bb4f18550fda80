"""server.responders.static_files.conditions and request_fields: the order of RFC 9110 section 13.2.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.responders.static_files.conditions import failed_condition, range_counts, read_date
from snakepit.server.responders.static_files.request_fields import Asked, read_fields

TAG = b'"abc"'
AT = 784111777  # 1994-11-06 08:49:37
SAME, BEFORE, AFTER = (
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sun, 06 Nov 1994 08:49:36 GMT",
    b"Sun, 06 Nov 1994 08:49:38 GMT",
)

CASES = [
    ({}, 0),
    ({"if-none-match": TAG}, 304),
    ({"if-none-match": b"W/" + TAG}, 304),
    ({"if-none-match": b'"x", "abc"'}, 304),
    ({"if-none-match": b'"x","y"'}, 0),
    ({"if-none-match": b"*"}, 304),
    ({"if-none-match": b"abc"}, 0),
    ({"if-none-match": b'"x"', "if-modified-since": SAME}, 0),
    ({"if-modified-since": SAME}, 304),
    ({"if-modified-since": AFTER}, 304),
    ({"if-modified-since": BEFORE}, 0),
    ({"if-modified-since": b"yesterday"}, 0),
    ({"if-match": TAG}, 0),
    ({"if-match": b"*"}, 0),
    ({"if-match": b'"x"'}, 412),
    ({"if-match": b"W/" + TAG}, 412),
    ({"if-match": TAG, "if-unmodified-since": BEFORE}, 0),
    ({"if-match": TAG, "if-none-match": TAG}, 304),
    ({"if-match": b'"x"', "if-none-match": TAG}, 412),
    ({"if-unmodified-since": SAME}, 0),
    ({"if-unmodified-since": AFTER}, 0),
    ({"if-unmodified-since": BEFORE}, 412),
    ({"if-unmodified-since": b"?"}, 0),
    ({"if-unmodified-since": SAME, "if-none-match": TAG}, 304),
]


def asked(fields):
    return read_fields([(name.encode(), value) for name, value in fields.items()])


@pytest.mark.parametrize(("fields", "status"), CASES)
def test_conditions(fields, status):
    assert failed_condition(asked(fields), TAG, AT) == status


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        (None, True),
        (TAG, True),
        (b'"x"', False),
        (b"W/" + TAG, False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        (b"x", False),
    ],
)
def test_if_range(if_range, counts):
    fields = {"range": b"bytes=0-1"} | ({} if if_range is None else {"if-range": if_range})
    assert range_counts(asked(fields), TAG, AT, AT + 10) is counts


def test_a_date_says_too_little_in_the_second_of_the_change():
    assert not range_counts(asked({"range": b"bytes=0-1", "if-range": SAME}), TAG, AT, AT + 0.5)


def test_without_a_range_there_is_none():
    assert not range_counts(asked({"if-range": TAG}), TAG, AT, AT + 10)


@pytest.mark.parametrize(
    "text", [SAME, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b"Sun, 06 Nov 1994 09:49:37 +0100"]
)
def test_dates(text):
    assert read_date(text) == AT


@given(st.binary(max_size=80) | st.text("0123456789: ,GMTSunNov-+", max_size=64).map(str.encode))
def test_any_text_is_a_date_or_none(text):
    assert read_date(text) is None or isinstance(read_date(text), int)


def test_fields_that_come_in_several_lines_are_one_list():
    found = read_fields([(b"if-none-match", b'"a"'), (b"x", b"y"), (b"if-none-match", b'"b"'), (b"accept", b"*/*")])
    assert found == Asked(none_match=b'"a", "b"', plain=False)


@pytest.mark.parametrize(
    ("accept", "page"), [(b"text/html,*/*;q=0.8", True), (b"Text/HTML", True), (b"*/*", False), (None, False)]
)
def test_what_browsers_ask_for_a_page(accept, page):
    headers = [] if accept is None else [(b"accept", accept)]
    assert read_fields(headers) == Asked(page=page)


def test_codings():
    assert read_fields([(b"accept-encoding", b"gzip, br")]) == Asked(codings=("br", "gzip"))
    assert read_fields([(b"accept-encoding", b"gzip" + b" " * 300)]) == Asked()
