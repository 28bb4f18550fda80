"""server.responders.failure_page: the page, or the text in its place."""

import pytest
from clients import FakeClient

from snakepit.errors import AppImportError, StartTimeout
from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.responders.failed import Failed
from snakepit.server.responders.failure_page import failure_page
from snakepit.server.responders.unavailable import Unavailable

ERROR = AppImportError("no <module>", b"<p>page</p>")


def answered(responder, accept, method="GET"):
    exchange = Exchange(1, client := FakeClient(), responder, RequestHead(method, b"/", "1.1", accept, False))
    responder.submit(exchange)
    return client


HTML = [(b"accept", b"text/html, */*")]


def responders(has_script=False):
    page = failure_page(ERROR, has_script)
    return [(Unavailable(str(ERROR), "", page), 500), (Failed(1, lambda exchange: None, page), 502)]


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_answered(number):
    responder, status = responders()[number]
    client = answered(responder, HTML)
    assert (client.status, client.body) == (status, b"<p>page</p>")
    assert b"content-security-policy: default-src 'none'" in client.fields[0]
    client = answered(responder, [(b"accept", b"*/*")])
    assert (client.status, client.body) == (status, b"no <module>\n")
    assert b"content-type: text/plain" in client.fields[0]
    client = answered(responder, HTML, "HEAD")
    assert (client.status, client.body, client.fields[2]) == (status, b"", 11)


def test_an_app_that_is_tried_again_says_when():
    assert b"retry-after: 5\r\n" in answered(responders()[1][0], HTML).fields[0]


def test_the_script_of_the_page_may_run():
    assert b"script-src 'self'" in answered(responders(True)[0][0], HTML).fields[0]


@pytest.mark.parametrize("error", [AppImportError("no"), StartTimeout("late")])
def test_no_page_without_one_of_the_worker(error):
    assert failure_page(error, False) is None
