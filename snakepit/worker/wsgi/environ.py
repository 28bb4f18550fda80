"""A request as a WSGI environ (PEP 3333, "environ Variables")."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import unquote_to_bytes

from snakepit.http.target import split_target
from snakepit.wire.envelopes import Envelope

type Environ = dict[str, Any]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
type WsgiApp = Callable[[Environ, Callable[..., Callable[[bytes], None]]], Iterable[bytes]]

_NAMES_KEPT = 1024  # header names whose environ key is remembered; a client could send any number of different ones


class EnvironFactory:
    """Makes environs; what is the same in all of them is made once.

    Header fields whose name holds an underscore are left out, since `X_Name` and `X-Name` would get one key, and so
    is `Proxy`, whose key `HTTP_PROXY` HTTP clients take for a setting (CVE-2016-5385).
    """

    def __init__(
        self,
        *,
        root_path: str,
        mount: str,
        multithread: bool,
        multiprocess: bool,
        file_wrapper: Callable[..., Any],
        errors: TextIO,
    ) -> None:
        self._mount = mount.encode("utf-8").decode("latin-1")
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": root_path.encode("utf-8").decode("latin-1") + self._mount,
            "wsgi.version": (1, 0),
            "wsgi.errors": errors,
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,  # reading to the end is safe, whatever Content-Length says
            "wsgi.file_wrapper": file_wrapper,
        }
        self._keys: dict[bytes, str] = {
            b"content-type": "CONTENT_TYPE",
            b"content-length": "CONTENT_LENGTH",
            b"proxy": "",
        }

    def make(self, request: Envelope, stream: object) -> Environ:
        """Make the environ of a REQUEST envelope, whose body is read from `stream`."""
        _, _, method, target, http_version, headers, client, server, scheme, _, _, _, root_path, tls = request
        raw_path, query = split_target(target)
        environ = self._base.copy()
        if root_path is not None:  # ASCII, as nothing else is taken from a proxy
            environ["SCRIPT_NAME"] = root_path + self._mount
        environ["REQUEST_METHOD"] = method
        path = unquote_to_bytes(raw_path).decode("latin-1")
        environ["PATH_INFO"] = path[len(self._mount) :] if self._mount else path
        environ["RAW_URI"] = environ["REQUEST_URI"] = target.decode("latin-1")
        environ["QUERY_STRING"] = query.decode("latin-1")
        environ["SERVER_PROTOCOL"] = f"HTTP/{http_version}"
        environ["wsgi.url_scheme"] = scheme
        environ["wsgi.input"] = stream
        host, port = server or ("localhost", 443 if scheme == "https" else 80)  # a Unix socket has neither
        environ["SERVER_NAME"] = host
        environ["SERVER_PORT"] = str(port)
        environ["REMOTE_ADDR"] = ""
        if client is not None:
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
        if tls is not None:
            environ.update(tls[1])
        for name, value in headers:
            key = self._keys.get(name) if name in self._keys else self._key(name)
            if key:
                text = value.decode("latin-1")
                if key in environ:
                    text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
                environ[key] = text
        return environ

    def _key(self, name: bytes) -> str:
        key = "" if b"_" in name else "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        if len(self._keys) < _NAMES_KEPT:
            self._keys[name] = key
        return key
