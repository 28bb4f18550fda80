"""snakepit.server.responders.unavailable: whatever went wrong is shown, and none of it is taken for HTML."""

from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.responders import unavailable as error_page


def test_what_is_shown():
    page = error_page.body("Module 'm' can't be imported\n  <script>alert(1)</script> & {braces}").decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {braces}" in page
    assert "<script" not in page
    assert "tries again when a file changes" in page


@given(st.text(st.characters()))
def test_any_text_can_be_shown(text):
    page = error_page.body(text).decode()
    assert page.count("<pre>") == 1
    assert page.endswith("</html>\n")


def test_with_a_script_that_reloads_it():
    assert error_page.body("oh", "/reload.js?1").endswith(b'\n<script src="/reload.js?1" async></script>\n')
