"""snakepit.acme.problems: what a CA says is wrong, whatever it sends."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.acme.problems import MOST_TEXT, CaRefused, problem_from, problem_of, shown

RFC_8555 = {  # section 6.7.1
    "type": "urn:ietf:params:acme:error:malformed",
    "detail": "Some of the identifiers requested were rejected",
    "subproblems": [
        {
            "type": "urn:ietf:params:acme:error:malformed",
            "detail": 'Invalid underscore in DNS name "_example.org"',
            "identifier": {"type": "dns", "value": "_example.org"},
        },
        {
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": 'This CA will not issue for "example.net"',
            "identifier": {"type": "dns", "value": "example.net"},
        },
    ],
}


def test_the_example_of_rfc_8555():
    problem = problem_of(json.dumps(RFC_8555).encode(), 403)
    assert list(problem.kinds()) == ["malformed", "malformed", "rejectedIdentifier"]
    assert str(problem) == (
        "malformed: Some of the identifiers requested were rejected "
        '(_example.org: malformed: Invalid underscore in DNS name "_example.org"; '
        'example.net: rejectedIdentifier: This CA will not issue for "example.net")'
    )


def test_where_people_have_to_look():
    found = {"type": "urn:ietf:params:acme:error:userActionRequired", "detail": "New terms", "instance": "https://ca/t"}
    assert str(CaRefused(problem_from(found, 403))) == "the CA says userActionRequired: New terms; see https://ca/t"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "status 502"),
        (b"<html>Bad gateway</html>", "status 502"),
        (b"[]", "status 502"),
        (b"{}", "status 502 without a reason"),
        (b'{"type": 1, "detail": [], "subproblems": "x"}', "status 502 without a reason"),
        (b'{"type": "about:blank", "title": "Bad gateway"}', "Bad gateway"),
        (b'{"type": "https://ca.test/odd"}', "https://ca.test/odd"),
        (b'{"detail": "a\\nb\\u001b[31m"}', "a b [31m"),
        (b"[" * 100_000, "status 502"),
    ],
)
def test_odd_bodies(body, text):
    assert str(problem_of(body, 502)) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda of: (
            st.lists(of)
            | st.dictionaries(
                st.sampled_from(["type", "detail", "title", "identifier", "value", "subproblems", "instance"]), of
            )
        ),
    )
)
def test_any_json_is_a_problem_on_one_line(found):
    text = str(problem_from(found, 400))
    assert text.isprintable() or text == ""


def test_long_texts_are_cut():
    assert len(shown("x" * 10_000)) == MOST_TEXT + 1
    assert shown("x" * MOST_TEXT) == "x" * MOST_TEXT
    many = {"detail": "d", "subproblems": [{"detail": "s"}] * 1000}
    assert len(str(problem_from(many))) < 100
