"""snakepit.worker.detect: what real frameworks and plain callables speak is told by looking at them."""

import functools
import wsgiref.validate
from types import ModuleType

import pytest

from snakepit.errors import AppImportError
from snakepit.worker.detect import detect

# -- frameworks ------------------------------------------------------------------------------------------------------


def configure_django():
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=())


def flask():
    import flask

    return flask.Flask("app")


def flask_inner():
    return flask().wsgi_app


def django_wsgi():
    configure_django()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


def django_asgi():
    configure_django()
    from django.core.handlers.asgi import ASGIHandler

    return ASGIHandler()


def starlette():
    from starlette.applications import Starlette

    return Starlette()


def starlette_middleware():
    from starlette.middleware.gzip import GZipMiddleware

    return GZipMiddleware(starlette())


def quart():
    import quart

    return quart.Quart("app")


def quart_inner():
    return quart().asgi_app


def bottle():
    import bottle

    return bottle.Bottle()


def falcon_wsgi():
    import falcon

    return falcon.App()


def falcon_asgi():
    import falcon.asgi

    return falcon.asgi.App()


def asgiref_adapter():
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(flask())


def werkzeug_middleware():
    from werkzeug.middleware.proxy_fix import ProxyFix

    return ProxyFix(flask().wsgi_app)


@pytest.mark.parametrize("make", [flask, flask_inner, django_wsgi, bottle, falcon_wsgi, werkzeug_middleware])
def test_wsgi_framework(make):
    assert detect(make(), "auto") == "wsgi"


@pytest.mark.parametrize(
    "make",
    [django_asgi, starlette, starlette_middleware, quart, quart_inner, falcon_asgi, asgiref_adapter],
)
def test_asgi_framework(make):
    assert detect(make(), "auto") == "asgi"


# -- callables -------------------------------------------------------------------------------------------------------


def wsgi_function(environ, start_response):
    return []


def wsgi_other_names(env, sr):
    return []


def wsgi_with_default(environ, start_response, extra=None):
    return []


async def asgi_function(scope, receive, send):
    pass


async def asgi_other_names(a, b, c):
    pass


async def asgi_anything(*arguments):
    pass


def asgi_sync_function(scope, receive, send):
    return asgi_function(scope, receive, send)


def asgi_sync_other_names(a, b, c):
    return asgi_function(a, b, c)


def wraps(app):
    @functools.wraps(app)
    def wrapper(*args, **kwargs):
        return app(*args, **kwargs)

    return wrapper


class WsgiObject:
    def __call__(self, environ, start_response):
        return []

    def method(self, environ, start_response):
        return []

    @staticmethod
    def static(environ, start_response):
        return []

    @classmethod
    def klass(cls, environ, start_response):
        return []


class AsgiObject:
    async def __call__(self, scope, receive, send):
        pass

    async def method(self, scope, receive, send):
        pass

    @staticmethod
    async def static(scope, receive, send):
        pass


class AsgiObjectOfSyncCall:
    def __call__(self, scope, receive, send):
        return asgi_function(scope, receive, send)


class Middleware:
    """Hides its app's signature, and gives it away by its own names only."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


def wsgi_anything(*arguments, **keywords):
    return []


class WsgiAnything:
    def __call__(self, *arguments):
        return []


def wsgi_bound(extra, environ, start_response):
    return []


async def asgi_bound(extra, scope, receive, send):
    pass


WSGI = {
    "function": wsgi_function,
    "other names": wsgi_other_names,
    "default": wsgi_with_default,
    "lambda": lambda environ, start_response: [],
    "object": WsgiObject(),
    "method": WsgiObject().method,
    "static method": WsgiObject.static,
    "class method": WsgiObject.klass,
    "partial": functools.partial(wsgi_bound, 1),
    "partial by name": functools.partial(wsgi_bound, extra=1),
    "partial of an object": functools.partial(WsgiObject()),
    "wrapped": wraps(wsgi_function),
    "any arguments": wsgi_anything,
    "partial of any arguments": functools.partial(wsgi_anything),
    "object that takes any arguments": WsgiAnything(),
    "validator": wsgiref.validate.validator(wsgi_function),
}

ASGI = {
    "function": asgi_function,
    "other names": asgi_other_names,
    "any arguments": asgi_anything,
    "function that gives a coroutine": asgi_sync_function,
    "the same with other names": asgi_sync_other_names,
    "object": AsgiObject(),
    "object that gives a coroutine": AsgiObjectOfSyncCall(),
    "method": AsgiObject().method,
    "static method": AsgiObject.static,
    "partial": functools.partial(asgi_bound, 1),
    "partial of a partial": functools.partial(functools.partial(asgi_bound), 1),
    "partial of an object": functools.partial(AsgiObject()),
    "middleware": Middleware(asgi_function),
    "middleware around middleware": Middleware(Middleware(AsgiObject())),
    "wrapped": wraps(asgi_function),
}


@pytest.mark.parametrize("app", WSGI.values(), ids=list(WSGI))
def test_wsgi(app):
    assert detect(app, "auto") == "wsgi"
    assert detect(app, "wsgi") == "wsgi"


@pytest.mark.parametrize("app", ASGI.values(), ids=list(ASGI))
def test_asgi(app):
    assert detect(app, "auto") == "asgi"
    assert detect(app, "asgi") == "asgi"


def test_class_that_is_a_wsgi_app():
    # PEP 3333, "The Application/Framework Side", second example: an instance is the response
    class AppClass:
        def __init__(self, environ, start_response):
            self.start = start_response

        def __iter__(self):
            self.start("200 OK", [])
            yield b""

    assert detect(AppClass, "wsgi") == "wsgi"


class AsgiClass:
    """An instance is awaited, as the endpoints of Starlette are."""

    def __init__(self, scope, receive, send):
        self.send = send

    def __await__(self):
        return self.send({}).__await__()


class AsgiClassOfOtherNames(AsgiClass):
    def __init__(self, a, b, c):
        super().__init__(a, b, c)


@pytest.mark.parametrize("app", [AsgiClass, AsgiClassOfOtherNames, functools.partial(AsgiClass)])
def test_class_that_is_an_asgi_app(app):
    assert detect(app, "auto") == "asgi"
    assert detect(app, "asgi") == "asgi"


def test_starlette_endpoint():
    from starlette.endpoints import HTTPEndpoint

    assert detect(HTTPEndpoint, "auto") == "asgi"


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(app, wanted="auto"):
    with pytest.raises(AppImportError) as caught:
        detect(app, wanted)
    return str(caught.value)


wishes = pytest.mark.parametrize("wanted", ["auto", "asgi", "wsgi"])


@wishes
@pytest.mark.parametrize(
    ("value", "kind"), [(None, "NoneType"), (5, "int"), ("app", "str"), (ModuleType("m"), "module")]
)
def test_what_cannot_be_called(value, kind, wanted):
    assert refusal(value, wanted) == f"the app is a {kind}, which can't be called; is it the right attribute?"


class AsgiClassWithoutAwait:
    def __init__(self, scope, receive, send):
        pass


def test_class_that_can_not_be_awaited():
    assert refusal(AsgiClassWithoutAwait).startswith("the app is a class")


def test_class_that_is_asgi_where_wsgi_was_asked_for():
    assert "it can't be served as WSGI" in refusal(AsgiClass, "wsgi")


def test_class_of_an_app():
    message = refusal(Middleware)
    assert "the app is a class" in message
    assert "calling Middleware() makes the app, add --factory" in message


class Asgi2Class:
    def __init__(self, scope):
        pass

    async def __call__(self, receive, send):
        pass


class Asgi2Object:
    def __call__(self, scope):
        return None


def asgi2_function(scope):
    return None


@pytest.mark.parametrize("wanted", ["auto", "asgi"])
@pytest.mark.parametrize("app", [Asgi2Class, Asgi2Object(), asgi2_function])
def test_asgi_2(app, wanted):
    message = refusal(app, wanted)
    assert "this is an ASGI 2 app" in message
    assert "guarantee_single_callable" in message


def two_or_three(a, b, c=None):
    return None


@pytest.mark.parametrize("app", [two_or_three, functools.partial(two_or_three), lambda *rest, a=None: None])
def test_ambiguous(app):
    message = refusal(app)
    assert "--interface asgi or wsgi" in message
    assert detect(app, "asgi") == "asgi"
    assert detect(app, "wsgi") == "wsgi"


def make_app():
    return wsgi_function


async def make_async_app():
    return asgi_function


def test_factory_without_factory_flag():
    assert "add --factory" in refusal(make_app)


@pytest.mark.parametrize("app", [make_async_app, functools.partial(asgi_function, 1)])
def test_coroutine_function_that_takes_something_else(app):
    assert "does not take (scope, receive, send)" in refusal(app)


@pytest.mark.parametrize("app", [asgi_function, AsgiObject(), functools.partial(asgi_bound, 1)])
def test_coroutine_function_is_not_silently_asgi_where_wsgi_was_asked_for(app):
    # a wish that can't be met must be refused, and one that is said to override must override
    try:
        got = detect(app, "wsgi")
    except AppImportError:
        return
    assert got == "wsgi"
