"""snakepit.server.operate.certificate_commands: what they answer."""

import asyncio

import pytest
from fakes import fake_of

from snakepit.errors import SnakepitError
from snakepit.server.operate.certificate_commands import Certified, certificate_commands


@fake_of(Certified)
class Automatic:
    def __init__(self):
        self.renewed = []

    def status(self):
        return [{"name": "example.com"}]

    async def wait_renewed(self, name):
        self.renewed.append(name)
        return self.status()


def ask(automatic, command, **request):
    return asyncio.run(certificate_commands(automatic, lambda: [{"name": "own.test"}])[command](request))


def test_certificates():
    assert ask(Automatic(), "certificates") == {"certificates": [{"name": "example.com"}, {"name": "own.test"}]}
    assert ask(None, "certificates") == {"certificates": [{"name": "own.test"}]}


def test_renewals():
    automatic = Automatic()
    assert ask(automatic, "renew-certificates") == {"renewed": [{"name": "example.com"}]}
    ask(automatic, "renew-certificates", name="example.com")
    assert automatic.renewed == [None, "example.com"]
    with pytest.raises(SnakepitError, match="name must be a domain or an address, not 7"):
        ask(automatic, "renew-certificates", name=7)
    with pytest.raises(SnakepitError, match="started without --domain"):
        ask(None, "renew-certificates")
