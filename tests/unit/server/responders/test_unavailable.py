"""snakepit.server.responders.unavailable: whatever went wrong is shown, and none of it is taken for HTML."""

from hypothesis import given
from hypothesis import strategies as st
from sinks import make

from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.unavailable import Unavailable


def page(fault, script=""):
    exchange, client, _ = make()
    responder = Unavailable(fault, script)
    assert responder.takes(exchange.head)
    exchange.redirect(responder)
    assert exchange.destination is responder
    assert exchange.state is ExchangeState.CLOSED
    assert (client.status, client.complete) == (500, True)
    return client.body.decode()


def test_what_is_shown():
    shown = page("Module 'm' can't be imported\n  <script>alert(1)</script> & {braces}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {braces}" in shown
    assert "<script" not in shown
    assert "tries again when a file changes" in shown


@given(st.text(st.characters()))
def test_any_text_can_be_shown(text):
    shown = page(text)
    assert shown.count("<pre>") == 1
    assert shown.endswith("</html>\n")


def test_with_a_script_that_reloads_it():
    assert page("oh", "/reload.js?1").endswith('\n<script src="/reload.js?1" async></script>\n')
