"""All cases, by name."""

from benchmarks.peers.case import Case
from benchmarks.peers.idle import Idle
from benchmarks.peers.load import Load
from benchmarks.peers.mixed import Mixed
from benchmarks.peers.running import Exchange
from benchmarks.peers.websockets import IdleWebSockets, WebSocketLoad

_RAW = "benchmarks.apps.raw:app"
_STARLETTE = "benchmarks.apps.starlette_app:app"
_FLASK = "benchmarks.apps.flask_app:app"
_DJANGO = "benchmarks.apps.django_app:application"
_HELLO = Exchange("/", b"Hello, world!")
_ORDER = Exchange(
    "/orders",
    b'{"order":{"item":"tea","count":3,"price":2.5,"tags":["green","loose"]},"total":7.5}',
    b'{"item": "tea", "count": 3, "price": 2.5, "tags": ["green", "loose"]}',
    {"Content-Type": "application/json"},
)

CASES: dict[str, Case] = {
    "raw": Load(_RAW, "asgi", _HELLO),
    "starlette": Load(_STARLETTE, "asgi", _HELLO),
    "fastapi": Load("benchmarks.apps.fastapi_app:app", "asgi", _ORDER),
    "flask": Load(_FLASK, "wsgi", _HELLO),
    "django": Load(_DJANGO, "wsgi", _HELLO),
    "django-asgi": Load("benchmarks.apps.django_app:asgi", "asgi", _HELLO),
    "cpu": Load(_RAW, "asgi", Exchange("/burn", b"%d" % sum(range(400_000)))),
    "response-64k": Load(_RAW, "asgi", Exchange("/64k", b"x" * 65536)),
    "upload-64k": Load(_RAW, "asgi", Exchange("/upload", b"65536", b"x" * 65536)),
    "stream": Load(_RAW, "asgi", Exchange("/stream", b"x" * 1024 * 16)),
    "mixed": Mixed(_RAW, "asgi", _HELLO),
    "mixed-wsgi": Mixed(_FLASK, "wsgi", _HELLO),
    "websocket": WebSocketLoad(_RAW, "asgi", _HELLO),
    "idle-websockets": IdleWebSockets(_RAW, "asgi", _HELLO),
    "idle-starlette": Idle(_STARLETTE, "asgi", _HELLO),
    "idle-flask": Idle(_FLASK, "wsgi", _HELLO),
    "idle-django": Idle(_DJANGO, "wsgi", _HELLO),
}


def named(name: str) -> list[str]:
    """The cases that a name stands for: the one of that name, or else all that begin with it, as `idle` does."""
    return [name] if name in CASES else [each for each in CASES if each.startswith(f"{name}-")]
