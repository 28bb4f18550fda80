"""snakepit.server.automatic_https, and server.entrance: certificates for domains, as TLS gets them."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from certificates import pem
from waiting import until

from snakepit.acme.answers import Answers
from snakepit.acme.challenges import ALPN_PROTOCOL
from snakepit.acme.steps import Challenge
from snakepit.acme.store import CertificateStore
from snakepit.config.options import Config
from snakepit.errors import ConfigError, SnakepitError
from snakepit.server import entrance
from snakepit.server.automatic_https import MOST_READ_AT_ONCE, AutomaticHttps
from snakepit.server.events.events import Events
from snakepit.tls.certificates import Certificates
from snakepit.tls.client_hello import ClientHello
from snakepit.tls.contexts import TlsOptions

NOBODY = "https://127.0.0.1:9/dir"


@asynccontextmanager
async def automatic(folder, *domains, **options):
    config = Config("main:app", domain=domains, acme_folder=str(folder), acme_directory=(NOBODY,), **options)
    certificates = Certificates(TlsOptions())
    found = AutomaticHttps(config, certificates, asyncio.get_running_loop(), Events())
    found.certificates = certificates
    try:
        yield found
    finally:
        found.close()


def hello(name, *protocols):
    return ClientHello(name, tuple(each.encode() for each in protocols))


def test_local_names(tmp_path):
    async def test():
        async with automatic(tmp_path / "acme", "localhost", "127.0.0.1") as found:
            await found.wait_loaded()
            for name in ("localhost", "127.0.0.1"):
                loaded = await found.certificates.wait_for(hello("" if name[0] == "1" else name), name)
                assert loaded.names == (name,)
                assert found.certificates.find(hello(name)) is loaded
            first = found.certificates.find(hello("localhost"))
            (status,) = await found.wait_renewed("localhost")
            assert (status["state"], status["fault"]) == ("served", None)
            assert found.certificates.find(hello("localhost")) is not first
            assert [one["name"] for one in await found.wait_renewed(None)] == ["localhost", "127.0.0.1"]
            with pytest.raises(SnakepitError, match=r"no certificate for x\.example, but for localhost"):
                await found.wait_renewed("x.example")
            assert len(found.certificates.all) == 2

    asyncio.run(test())


def test_what_is_stored_is_served_at_once_and_what_can_t_be_had_is_not(tmp_path):
    CertificateStore(tmp_path / "acme").put("a.example", pem(["a.example"], start=2_000_000_000 - 86400), NOBODY)

    async def test():
        async with automatic(tmp_path / "acme", "a.example", "b.example") as found:
            await found.wait_loaded()
            assert found.certificates.find(hello("a.example")).names == ("a.example",)
            assert await found.certificates.wait_for(hello("b.example")) is None
            assert await found.certificates.wait_for(hello("c.example")) is None
            assert found.wanted("c.example") is None

    asyncio.run(test())


def test_the_answer_to_a_challenge_over_tls(tmp_path):
    async def test():
        async with automatic(tmp_path / "acme", "a.example") as found:
            ask = hello("A.example".lower(), ALPN_PROTOCOL)
            assert await found.certificates.wait_for(ask) is None
            Answers(CertificateStore(tmp_path / "acme")).add(Challenge("tls-alpn-01", "a.example", "t", "t.thumb"))
            loaded = await found.certificates.wait_for(ask)
            assert loaded.names == ("a.example",)
            assert found.certificates.all == []
            assert await found.certificates.wait_for(hello("b.example", ALPN_PROTOCOL)) is None
            assert await found.certificates.wait_for(hello("a_b", ALPN_PROTOCOL)) is None
            (tmp_path / "acme" / "challenges" / "alpn.a.example").write_bytes(b"half")
            assert await found.certificates.wait_for(ask) is None

    asyncio.run(test())


def test_the_answer_to_a_challenge_over_http(tmp_path):
    async def test():
        async with automatic(tmp_path / "acme", "a.example") as found:
            Answers(CertificateStore(tmp_path / "acme")).add(Challenge("http-01", "a.example", "t", "t.thumb"))
            answers = []
            for token in ("t", "u", "../accounts"):
                found.find_answer(token, answers.append)
            await until(lambda: len(answers) == 3)
            assert sorted(answers, key=str) == [None, None, "t.thumb"]
            answers.clear()
            for _ in range(MOST_READ_AT_ONCE + 5):
                found.find_answer("t", answers.append)
            assert answers == [None] * 5  # a flood is not read
            await until(lambda: len(answers) == MOST_READ_AT_ONCE + 5)

    asyncio.run(test())


def test_on_demand(tmp_path):
    store = CertificateStore(tmp_path / "acme")
    for name in ("tenant.example", "other.example"):
        store.put(name, pem([name], start=2_000_000_000 - 86400), NOBODY)

    async def test():
        permits = {"tenant.example"}.__contains__
        async with automatic(tmp_path / "acme", "a.example") as found:
            await found.wait_loaded(permits)
            assert (await found.certificates.wait_for(hello("tenant.example"))).names == ("tenant.example",)
            assert await found.certificates.wait_for(hello("other.example")) is None

    asyncio.run(test())


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"acme_eab": ("kid:no base64url",)}, "acme_eab: the key"), ({"acme_ca_certs": "/gone"}, "acme_ca_certs")],
)
def test_what_can_t_be_used(tmp_path, options, reason):
    async def test():
        async with automatic(tmp_path / "acme", "a.example", **options):
            raise AssertionError

    with pytest.raises(ConfigError, match=reason):
        asyncio.run(test())


def test_without_cryptography(monkeypatch):
    monkeypatch.setattr(entrance, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'snakepit-server\[acme\]'"):
        entrance._automatic_https(Config("main:app", domain=("a.example",)), None, None, Events())
