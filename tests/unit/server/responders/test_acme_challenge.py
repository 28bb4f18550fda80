"""snakepit.server.responders.acme_challenge: answers to a CA that asks by plain HTTP."""

import pytest
from clients import FakeClient

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.responders.acme_challenge import AcmeChallenge
from snakepit.server.routing.responders_first import RespondersFirst

PATH = b"/.well-known/acme-challenge/"


class Play:
    def __init__(self, method="GET", target=PATH + b"token"):
        self.asked = []
        self.responder = AcmeChallenge(lambda token, found: self.asked.append((token, found)))
        self.client = FakeClient()
        self.head = RequestHead(method, target, "1.1", [], False, body=b"", more=False)
        self.exchange = Exchange(1, self.client, self.responder, self.head)

    def submit(self):
        assert self.responder.takes(self.head)
        self.responder.submit(self.exchange)
        return self


def test_the_answer():
    play = Play().submit()
    ((token, found),) = play.asked
    assert token == "token"
    assert play.client.sent == []
    found("token.thumbprint")
    assert (play.exchange.status, play.client.body) == (200, b"token.thumbprint")


@pytest.mark.parametrize("target", [PATH + b"token?x", b"http://example.com" + PATH + b"token"])
def test_other_forms_of_the_target(target):
    assert Play(target=target).submit().asked[0][0] == "token"


@pytest.mark.parametrize("target", [b"/", b"/.well-known/", b"/.well-known/acme-challenge", b"/x" + PATH, b"*"])
def test_what_it_leaves_to_others(target):
    play = Play(target=target)
    assert not play.responder.takes(play.head)


def test_nobody_asks_for_that():
    play = Play().submit()
    play.asked[0][1](None)
    assert play.client.sent == [404]


def test_another_method():
    play = Play("POST").submit()
    assert play.asked == []
    assert play.client.sent == [405]


def test_head():
    play = Play("HEAD").submit()
    play.asked[0][1]("token.thumbprint")
    assert (play.exchange.status, play.client.body) == (200, b"")


def test_a_client_that_has_gone():
    play = Play().submit()
    play.responder.withdraw(play.exchange)
    play.asked[0][1]("token.thumbprint")
    assert play.client.sent == []


def test_beside_an_app():
    play = Play()

    class Rest:
        def find(self, head):
            return self

    rest = Rest()
    router = RespondersFirst([play.responder], rest)
    assert router.find(play.head) is play.responder
    assert router.find(Play(target=b"/").head) is rest
