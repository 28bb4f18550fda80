"""snakepit.acme.client: steps are carried out, and challenges answered no longer than needed."""

import pytest

from snakepit.acme.client import AcmeClient
from snakepit.acme.problems import AcmeError, AcmeStopped
from snakepit.acme.steps import Challenge, Pause, Request, Response
from snakepit.acme.stopping import Stop

CHALLENGES = [Challenge("http-01", "example.com", f"token{number}", "x") for number in range(2)]


class Noting:
    """Sends requests, and answers challenges."""

    def __init__(self):
        self.answered = []
        self.removed = []
        self.error = None

    def wait_response(self, request):
        if self.error is not None:
            raise self.error
        return Response(200, {}, request.url.encode())

    def add(self, challenge):
        self.answered.append(challenge)

    def remove(self, challenge):
        self.removed.append(challenge)


class Quick(Stop):
    """Pauses take no time."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def wait(self, seconds):
        self.waited.append(seconds)
        self.check()


def steps(noting):
    assert (yield CHALLENGES[0]) is None
    assert (yield Pause(5.0)) is None
    assert (yield CHALLENGES[1]) is None
    assert noting.answered == CHALLENGES
    assert noting.removed == []
    response = yield Request("GET", "https://ca.test/x")
    return response.body


@pytest.fixture
def noting():
    return Noting()


@pytest.fixture
def stop():
    return Quick()


@pytest.fixture
def client(noting, stop):
    return AcmeClient(noting, noting, stop)


def test_all_steps(client, noting, stop):
    assert client.wait_run(steps(noting)) == b"https://ca.test/x"
    assert noting.removed == CHALLENGES
    assert stop.waited == [5.0]


def test_where_a_request_fails(client, noting):
    noting.error = AcmeError("no")
    with pytest.raises(AcmeError, match="no"):
        client.wait_run(steps(noting))
    assert noting.removed == CHALLENGES


def test_a_stop(client, noting, stop):
    stop.set()
    with pytest.raises(AcmeStopped):
        client.wait_run(steps(noting))
    assert noting.answered == []


def test_a_stop_in_a_pause(client, noting, stop):
    def stopping():
        yield CHALLENGES[0]
        stop.set()
        yield Pause(60.0)

    with pytest.raises(AcmeStopped):
        client.wait_run(stopping())
    assert noting.removed == CHALLENGES[:1]
