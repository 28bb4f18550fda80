"""All cases, by name."""

from benchmarks.peers.case import Case
from benchmarks.peers.contenders import ROOT
from benchmarks.peers.idle import Idle
from benchmarks.peers.load import FileLoad, Load, TlsLoad
from benchmarks.peers.mixed import Mixed
from benchmarks.peers.running import UNIQUE, Exchange
from benchmarks.peers.sse import EventStreams
from benchmarks.peers.websockets import IdleWebSockets, WebSocketLoad

_RAW = "benchmarks.apps.raw:app"
_STARLETTE = "benchmarks.apps.starlette_app:app"
_FASTAPI = "benchmarks.apps.fastapi_app:app"
_FLASK = "benchmarks.apps.flask_app:app"
_DJANGO = "benchmarks.apps.django_app:application"
_HELLO = Exchange("/", b"Hello, world!")
_ORDER = Exchange(
    "/orders",
    b'{"order":{"item":"tea","count":3,"price":2.5,"tags":["green","loose"]},"total":7.5}',
    b'{"item": "tea", "count": 3, "price": 2.5, "tags": ["green", "loose"]}',
    {"Content-Type": "application/json"},
)
_BROWSER = Exchange(
    "/",
    b"Hello, world!",
    headers={  # with Host, which every request has, these are twelve
        "Connection": "keep-alive",
        "Cache-Control": "max-age=0",
        "Upgrade-Insecure-Requests": "1",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language": "en,de;q=0.5",
        "Accept-Encoding": "gzip, deflate, br",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Cookie": f"theme=dark; sessionid={UNIQUE}",
    },
)
_JSON = b'{"message":"Hello, world!"}'
_LARGE = b"x" * 65536
_FILES = ROOT / "benchmarks" / "files"
_FILE = Exchange("/static/10k.txt", (_FILES / "10k.txt").read_bytes(), files=str(_FILES))

CASES: dict[str, Case] = {
    "raw": Load(_RAW, "asgi", _HELLO),
    "browser": Load(_RAW, "asgi", _BROWSER),
    "starlette": Load(_STARLETTE, "asgi", _HELLO),
    "fastapi": Load(_FASTAPI, "asgi", _ORDER),
    "flask": Load(_FLASK, "wsgi", _HELLO),
    "browser-flask": Load(_FLASK, "wsgi", _BROWSER),
    "django": Load(_DJANGO, "wsgi", _HELLO),
    "django-asgi": Load("benchmarks.apps.django_app:asgi", "asgi", _HELLO),
    "cpu": Load(_RAW, "asgi", Exchange("/burn", b"%d" % sum(range(400_000)))),
    "cpu-0.5ms": Load(_RAW, "asgi", Exchange("/burn-0.5ms", b"Hello, world!")),
    "cpu-3ms": Load(_RAW, "asgi", Exchange("/burn-3ms", b"Hello, world!")),
    "cpu-20ms": Load(_RAW, "asgi", Exchange("/burn-20ms", b"Hello, world!")),
    "response-64k": Load(_RAW, "asgi", Exchange("/64k", _LARGE)),
    "upload-64k": Load(_RAW, "asgi", Exchange("/upload", b"65536", _LARGE)),
    "echo-64k": Load(_RAW, "asgi", Exchange("/echo", _LARGE, _LARGE)),
    "stream": Load(_RAW, "asgi", Exchange("/stream", b"x" * 1024 * 16)),
    "static-10k": FileLoad("benchmarks.apps.static_app:app", "asgi", _FILE),
    "tls": TlsLoad(_STARLETTE, "asgi", Exchange("/json", _JSON, tls=True)),
    "tls-handshake": TlsLoad(_STARLETTE, "asgi", Exchange("/json", _JSON, headers={"Connection": "close"}, tls=True)),
    "sse": EventStreams(_STARLETTE, "asgi", _HELLO),
    "mixed": Mixed(_RAW, "asgi", _HELLO),
    "mixed-wsgi": Mixed(_FLASK, "wsgi", _HELLO),
    "websocket": WebSocketLoad(_RAW, "asgi", _HELLO),
    "idle-websockets": IdleWebSockets(_RAW, "asgi", _HELLO),
    "idle-starlette": Idle(_STARLETTE, "asgi", _HELLO),
    "idle-fastapi": Idle(_FASTAPI, "asgi", _ORDER),
    "idle-flask": Idle(_FLASK, "wsgi", _HELLO),
    "idle-django": Idle(_DJANGO, "wsgi", _HELLO),
}


GLANCE = (
    *("raw", "browser", "starlette", "fastapi", "flask", "cpu-3ms", "echo-64k"),
    *("sse", "mixed", "websocket", "idle-starlette", "idle-fastapi", "idle-flask"),
)
"""The cases where none is named: one of each kind, about half an hour."""

GLANCE_LATENCY = ("starlette", "flask")
"""Those of them whose latency at a fixed rate is measured."""


def named(name: str) -> list[str]:
    """Return the cases that a name means: the case of that name, or all that begin with it (`idle`), or `all`."""
    if name == "all":
        return list(CASES)
    return [name] if name in CASES else [each for each in CASES if each.startswith(f"{name}-")]
