"""snakepit.http.accept: whether a client names a media type."""

import pytest

from snakepit.http.accept import names

BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([BROWSER], True),
        ([b"TEXT/HTML"], True),
        ([b"application/json", b"text/html;level=1; q=0.5"], True),
        ([b"*/*"], False),
        ([b"text/*"], False),
        ([b"text/html;q=0.0"], False),
        ([b"text/html; q=0"], False),
        ([b""], False),
        ([b",;=,;q"], False),
        ([], False),
    ],
)
def test_what_counts(values, named):
    assert names([(b"host", b"text/html"), *((b"accept", value) for value in values)], b"text/html") is named
