"""Requests to a CA over https, by the standard library, in a thread."""

import base64
import contextlib
import http.client
import platform
import ssl
import time
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from snakepit.acme.problems import AcmeError, CaUnreachable
from snakepit.acme.steps import Request, Response, seconds_of
from snakepit.acme.stopping import Stop
from snakepit.errors import ConfigError
from snakepit.system.version import __version__

SILENCE = 15.0
"""Seconds without a byte, or until the connection is made."""

LONGEST = 60.0
"""Seconds for a request in all, however slowly its response comes."""

MOST_BYTES = 1024 * 1024
"""Bytes of a response; chains of certificates have less than 20 KiB."""

_USER_AGENT = f"snakepit/{__version__} (ACME client; Python {platform.python_version()})"  # RFC 8555 section 6.1


def trusting(ca_certs: str | None) -> ssl.SSLContext:
    """Return a context that trusts what the system trusts, and the CAs in a PEM file. Raises ConfigError."""
    context = ssl.create_default_context()
    if ca_certs is not None:
        try:
            context.load_verify_locations(ca_certs)
        except (OSError, ValueError) as error:
            raise ConfigError(f"acme_ca_certs {ca_certs!r} can't be read as certificates (PEM): {error}") from None
    return context


class Https:
    """A sender of requests, each on a connection of its own; where HTTPS_PROXY says so, through a proxy."""

    def __init__(self, context: ssl.SSLContext, stop: Stop) -> None:
        self._context = context
        self._stop = stop

    def wait_response(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status. Raises AcmeError."""
        self._stop.check()
        parts = urlsplit(request.url)
        began = time.monotonic()
        try:
            with contextlib.closing(self._connection(parts)) as connection:
                connection.connect()
                with self._stop.cutting(connection.sock, LONGEST):
                    return self._wait_answer(connection, request, _target(parts))
        except AcmeError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._stop.check()
            took = time.monotonic() - began
            reason = f"it took more than {LONGEST:.0f} seconds" if took >= LONGEST else str(error) or repr(error)
            raise CaUnreachable(f"{parts.hostname} can't be reached: {reason}") from None

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":  # never a CA's, but what `ask` names may be on this machine
            return http.client.HTTPConnection(host, port, timeout=SILENCE)
        proxy = None if proxy_bypass(host) else getproxies().get("https")
        if not proxy:
            return http.client.HTTPSConnection(host, port, timeout=SILENCE, context=self._context)
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        connection = http.client.HTTPSConnection(
            through.hostname or "", through.port or 8080, timeout=SILENCE, context=self._context
        )
        connection.set_tunnel(host, port or 443, _credentials(through))
        return connection

    def _wait_answer(self, connection: http.client.HTTPConnection, request: Request, target: str) -> Response:
        headers = {"User-Agent": _USER_AGENT, "Accept": request.accept, "Accept-Language": "en", "Connection": "close"}
        if request.body is not None:
            headers["Content-Type"] = "application/jose+json"  # RFC 8555 section 6.2
        connection.request(request.method, target, request.body, headers)
        with connection.getresponse() as response:
            body = response.read(MOST_BYTES + 1)
            if len(body) > MOST_BYTES:
                raise CaUnreachable(f"{connection.host} sends more than {MOST_BYTES} bytes")
            if response.length:
                raise CaUnreachable(f"{connection.host} sends {response.length} bytes less than it says")
            fields = {name.lower(): value for name, value in response.getheaders()}
            retry = seconds_of(fields.get("retry-after"), time.time())
            return Response(response.status, fields, body, retry)


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
