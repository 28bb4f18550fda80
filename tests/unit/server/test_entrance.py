"""server.entrance: a server's way in, with real sockets and certificates in files."""

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from connections import FakePool
from pebble import free_ports
from waiting import PATIENCE, until

from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.server import entrance
from snakepit.server.entrance import Entrance
from snakepit.server.events.events import Events
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.responders.refusal import Refusal
from snakepit.server.routing.router import Router


class Place:
    def __init__(self, **options):
        self.loop = asyncio.get_running_loop()
        config = Config("app:app", **{"port": 0, "access_log": False, **options})
        self.entrance = Entrance(config, (), self.loop, Events())
        self.listener = self.entrance.listener
        self.pool = FakePool(self.loop, True)
        self.router = Router(self.pool)
        self.http = HttpConnections(config, self.router, self.loop, secure=config.speaks_tls)

    @property
    def port(self):
        """The port of the first place where the server listens."""
        return int(self.listener.addresses[0].rsplit(":", 1)[1])

    async def ask(self, context=None, port=None, name="localhost"):
        """Return the answer to a request, and the certificate that was shown."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port or self.port, ssl=context, server_hostname=name if context else None
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        session = writer.get_extra_info("ssl_object")
        shown = None if session is None else session.getpeercert(binary_form=True)
        writer.close()
        return answer.decode(), shown


@pytest.fixture
def play():
    def play(scenario, health=(), metrics=None, **options):
        async def main():
            place = Place(**options)
            try:
                async with asyncio.timeout(PATIENCE):
                    await place.entrance.serve(place.http, place.router, None, health, metrics)
                    await scenario(place)
            finally:
                place.listener.close()
                place.entrance.close()
                place.http.close()
                await asyncio.sleep(0)

        asyncio.run(main())

    return play


def test_without_tls(play):
    async def scenario(place):
        answer, _ = await place.ask()
        assert answer.startswith("HTTP/1.1 200 ")
        place.entrance.look_at_certificates()

    play(scenario)


def test_certificates_that_change(play, certificates, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(entrance, "LOOK", 0.01)
    caplog.set_level(logging.INFO, "snakepit.server")
    first, second = certificates.server(), certificates.ca.issue("localhost", "127.0.0.1")
    certificate, key = first.write(tmp_path, "site")

    async def scenario(place):
        context = certificates.client_context()
        answer, shown = await place.ask(context)
        assert answer.startswith("HTTP/1.1 200 ")
        assert shown == first.der
        (tmp_path / "site.pem").write_text("damaged")
        await until(lambda: "The certificate before goes on being used" in caplog.text)
        assert (await place.ask(context))[1] == first.der
        second.write(tmp_path, "site")
        await until(lambda: "Certificate" in caplog.messages[-1])
        assert caplog.messages[-1] == f"Certificate {certificate} was read again"
        assert (await place.ask(context))[1] == second.der

    play(scenario, ssl_certfile=certificate, ssl_keyfile=key)
    assert caplog.text.count("goes on being used") == 1


def test_a_certificate_that_clients_refuse(play, certificates, tmp_path, monkeypatch, caplog):
    """The log says so at the start, when a file has changed, and when the time has come."""
    monkeypatch.setattr(entrance, "LOOK", 0.01)
    now = datetime.now(UTC).replace(microsecond=0)
    old = certificates.ca.issue("localhost", begin=now - timedelta(30), end=now - timedelta(1))
    certificate, key = old.write(tmp_path, "site")

    async def scenario(place):
        await until(lambda: f"{certificate} ended " in caplog.text)
        certificates.ca.issue("localhost", begin=now - timedelta(30), end=now + timedelta(1)).write(tmp_path, "site")
        await until(lambda: "and is not renewed yet" in caplog.text)

    play(scenario, ssl_certfile=certificate, ssl_keyfile=key)
    told = [(record.levelname, record.message.split(certificate)[1]) for record in caplog.records]
    ended, ends = ((now + timedelta(days)).isoformat().replace("+00:00", "Z") for days in (-1, 1))
    assert told == [
        ("ERROR", f" ended {ended}: clients refuse it"),
        ("WARNING", f" ends {ends}, and is not renewed yet"),
    ]


def test_cas_that_nobody_is_asked_for(play, certificates, tmp_path, caplog):
    certificate, key = certificates.server().write(tmp_path, "site")

    async def scenario(place):
        assert (await place.ask(certificates.client_context()))[0].startswith("HTTP/1.1 200 ")

    play(scenario, ssl_certfile=certificate, ssl_keyfile=key, ssl_ca_certs=certificates.ca_file)
    assert caplog.messages == [
        "No client is asked for a certificate: ssl_ca_certs changes nothing without ssl_cert_reqs"
    ]


def test_a_look_at_once(play, certificates, tmp_path, caplog):
    """As a reload has it."""
    caplog.set_level(logging.INFO, "snakepit.server")
    new = certificates.ca.issue("localhost")
    certificate, key = certificates.server().write(tmp_path, "site")

    async def scenario(place):
        new.write(tmp_path, "site")
        place.entrance.look_at_certificates()
        await until(lambda: "was read again" in caplog.text)
        assert (await place.ask(certificates.client_context()))[1] == new.der

    play(scenario, ssl_certfile=certificate, ssl_keyfile=key)


def test_redirects(play, certificates, tmp_path):
    certificate, key = certificates.server().write(tmp_path, "site")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def scenario(place):
        answer, _ = await place.ask(port=port)
        assert answer.startswith("HTTP/1.1 308 ")
        assert f"location: https://localhost:{place.port}/\r\n" in answer
        assert "strict-transport-security" not in answer
        answer, _ = await place.ask(certificates.client_context())
        assert answer.startswith("HTTP/1.1 200 ")
        assert "strict-transport-security: max-age=60\r\n" in answer
        assert place.listener.addresses == [
            f"https://127.0.0.1:{place.port}",
            f"http://127.0.0.1:{port}",
        ]

    play(scenario, ssl_certfile=certificate, ssl_keyfile=key, redirect_http=port, hsts=60)


def test_a_socket_for_metrics_and_health_where_clients_are_sent_to_https(play, certificates, tmp_path):
    certificate, key = certificates.server().write(tmp_path, "site")
    redirect, port = free_ports(2)

    async def scenario(place):
        answer, _ = await place.ask(port=redirect)
        assert answer.startswith("HTTP/1.1 503 ")
        answer, _ = await place.ask(port=port)
        assert answer.startswith("HTTP/1.1 404 ")
        answer, _ = await place.ask(certificates.client_context())
        assert answer.startswith("HTTP/1.1 200 ")
        assert place.listener.addresses[1:] == [f"http://127.0.0.1:{redirect}", f"http://127.0.0.1:{port} (metrics)"]

    options = {"redirect_http": redirect, "metrics_bind": f"127.0.0.1:{port}"}
    health, metrics = [Refusal(503, "not ready")], Router(Refusal(404, "not here"))
    play(scenario, health, metrics, ssl_certfile=certificate, ssl_keyfile=key, **options)


def test_metrics_need_no_proxy_protocol(play):
    (port,) = free_ports(1)

    async def scenario(place):
        answer, _ = await place.ask(port=port)
        assert answer.startswith("HTTP/1.1 404 ")

    play(scenario, (), Router(Refusal(404, "not here")), metrics_bind=f"127.0.0.1:{port}", proxy_protocol=True)


def test_options_reach_openssl(play, certificates, tmp_path):
    certificate, key = certificates.server().write(tmp_path, "site")

    async def scenario(place):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await place.ask(certificates.client_context(most=ssl.TLSVersion.TLSv1_2))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await place.ask(certificates.client_context())
        answer, _ = await place.ask(certificates.client_context(shows=certificates.client()))
        assert answer.startswith("HTTP/1.1 200 ")

    options = {"ssl_version": "TLSv1.3", "ssl_cert_reqs": "required", "ssl_ca_certs": certificates.ca_file}
    play(scenario, ssl_certfile=certificate, ssl_keyfile=key, **options)


def test_a_certificate_that_can_not_be_used(tmp_path):
    certificate = tmp_path / "site.pem"
    certificate.write_text("nothing")

    async def main():
        with pytest.raises(ConfigError, match="there is no certificate in it"):
            Place(ssl_certfile=str(certificate))

    asyncio.run(main())


def test_a_server_without_tls_loads_nothing_of_it():
    """Most servers have a proxy in front."""
    code = (
        "import sys, snakepit.server.serving\n"
        "print([name for name in sys.modules if name.startswith('snakepit.tls') or 'net.tls' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
