"""wire.error_page: the header fields of pages and of text."""

import base64
import hashlib

from snakepit.wire.error_page import STYLE, fields


def test_a_page_has_its_own_style_and_nothing_else():
    policy = dict(fields(True))[b"content-security-policy"].decode()
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script-src" not in policy
    assert "script-src 'self'; connect-src 'self'" in dict(fields(True, True))[b"content-security-policy"].decode()


def test_nothing_is_kept_or_taken_for_another_type():
    for as_html in (True, False):
        told = dict(fields(as_html))
        assert (told[b"cache-control"], told[b"x-content-type-options"]) == (b"no-store", b"nosniff")
    assert dict(fields(False))[b"content-type"] == b"text/plain; charset=utf-8"
