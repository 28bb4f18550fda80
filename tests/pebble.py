"""Pebble, the ACME server for tests (Debian package `pebble`), on free ports of the loopback, without pauses."""

import contextlib
import datetime
import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from waiting import wait_until

PROGRAMS = "pebble", "pebble-challtestsrv"
EXTERNAL = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
"""An account elsewhere, and its key in base64url, where Pebble is told to want one."""


def require_pebble():
    """Skip a test where Pebble is not installed, or fail where SNAKEPIT_TEST_PEBBLE says that it has to be."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not missing:
        return
    reason = f"{' and '.join(missing)} not installed; on Debian: apt-get install pebble"
    if os.environ.get("SNAKEPIT_TEST_PEBBLE") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def free_ports(count):
    """Ports that are free now, for servers that can't choose one by themselves."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def server_certificate(folder):
    """Make the certificate of a CA's own server, self-signed; returns the paths of it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA for tests")])
    now = datetime.datetime.now(datetime.UTC)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(public, critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "ca.pem", folder / "ca.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@dataclass(frozen=True)
class Pebble:
    """A running Pebble."""

    directory: str
    management: str
    trust: Path  # of its API
    http_port: int  # where it looks for HTTP-01
    tls_port: int  # where it looks for TLS-ALPN-01

    def roots(self):
        """The root that its certificates come from, as PEM."""
        with urllib.request.urlopen(f"{self.management}/roots/0", context=self.context()) as answer:
            return answer.read().decode()

    def context(self):
        return ssl.create_default_context(cafile=str(self.trust))


@contextlib.contextmanager
def running_pebble(folder, *, nonce_reject=5, authz_reuse=0, external=False, http_port=None, tls_port=None):
    """Run Pebble and the DNS server that says 127.0.0.1 for every name, within this block."""
    require_pebble()
    api, management, dns, dns_management, *others = free_ports(6)
    http_port, tls_port = http_port or others[0], tls_port or others[1]
    certificate, key = server_certificate(folder)
    settings = {
        "listenAddress": f"127.0.0.1:{api}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": tls_port,
        "externalAccountBindingRequired": external,
        "externalAccountMACKeys": {EXTERNAL[0]: EXTERNAL[1]},
    }
    config = folder / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}))
    environment = {
        **os.environ,
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
        "PEBBLE_AUTHZREUSE": str(authz_reuse),
    }
    names = [
        "pebble-challtestsrv",
        *("-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_management}", "-defaultIPv6", ""),
        *("-http01", "", "-https01", "", "-tlsalpn01", ""),
    ]
    server = ["pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{dns}", "-strict"]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "pebble.log").open("wb"))
        for command in (names, server):
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            stack.callback(_end, process)
        pebble = Pebble(
            f"https://127.0.0.1:{api}/dir", f"https://127.0.0.1:{management}", certificate, http_port, tls_port
        )
        for port in (api, management, dns_management):
            wait_until(lambda port=port: _accepts(port), "Pebble listens")
        yield pebble


def _end(process):
    process.terminate()
    process.wait()


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
