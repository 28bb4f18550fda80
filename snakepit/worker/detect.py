"""Tells ASGI from WSGI by looking at the app.

An ASGI 3 app is called with (scope, receive, send) and gives a coroutine; a WSGI app is called with
(environ, start_response); an ASGI 2 app is called with (scope) and gives a callable.
"""

import functools
import inspect
from typing import Literal

from snakepit.errors import AppImportError

type Interface = Literal["asgi", "wsgi"]

_ASGI2 = (
    "this is an ASGI 2 app (called with a scope, and then with receive and send), which is not supported; make it "
    "ASGI 3, for instance with asgiref.compatibility.guarantee_single_callable"
)


def detect(app: object, wanted: Literal["auto", "asgi", "wsgi"]) -> Interface:
    """Return the interface of an app; `wanted`, unless it is "auto", takes precedence over the detection.

    Raises AppImportError if the object is not an app, is an ASGI 2 app, or could be either.
    """
    if not callable(app):
        raise AppImportError(f"the app is a {type(app).__name__}, which can't be called; is it the right attribute?")
    if inspect.isclass(app):
        speaks = _spoken_by_class(app)
        if speaks is not None:
            return _as_wanted(speaks, wanted)
        asgi2 = _ASGI2 + "; or " if "scope" in _parameters(app) and 3 not in _accepts(app) else ""
        raise AppImportError(f"{asgi2}the app is a class: if calling {app.__name__}() makes the app, add --factory")
    accepts = _accepts(app)
    if _gives_coroutine(app):
        if 3 not in accepts and accepts:
            raise AppImportError("the app is a coroutine function that does not take (scope, receive, send)")
        return _as_wanted("asgi", wanted)
    if wanted != "auto":
        if wanted == "asgi" and accepts == {1}:
            raise AppImportError(_ASGI2)
        return wanted
    by_names = _by_names(app)
    if by_names is not None:
        return by_names
    if 3 in accepts and 2 not in accepts:
        return "asgi"
    if 2 in accepts and 3 not in accepts:
        return "wsgi"
    if accepts == {1}:
        raise AppImportError(_ASGI2)
    if accepts == {0} or (0 in accepts and not accepts & {2, 3}):
        raise AppImportError("the app takes no arguments; if it makes the app, add --factory")
    if _takes_anything(app):  # as in wsgiref.validate, and Dash; an ASGI app would be a coroutine function
        return "wsgi"
    raise AppImportError("it can't be told whether the app is ASGI or WSGI; say so with --interface asgi or wsgi")


def _spoken_by_class(app: type) -> Interface | None:
    """Return the interface of a class that is the app itself: an instance is the response. None: it is not an app.

    PEP 3333 has an example ("The Application/Framework Side"); for ASGI, an instance is awaited.
    """
    if hasattr(app, "__await__") and 3 in _accepts(app):
        return "asgi"
    return "wsgi" if _by_names(app) == "wsgi" else None


def _as_wanted(speaks: Interface, wanted: Literal["auto", "asgi", "wsgi"]) -> Interface:
    if speaks == "asgi" and wanted == "wsgi":
        raise AppImportError("the app gives something to be awaited, so it is ASGI; it can't be served as WSGI")
    return speaks if wanted == "auto" else wanted


def _call(app: object) -> object:
    """Return the function that runs when the app is called, as far as it can be found."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isfunction(app) or inspect.ismethod(app):
        return app
    return type(app).__call__ if callable(app) else app


def _gives_coroutine(app: object) -> bool:
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(_call(app))


def _accepts(app: object) -> set[int]:
    """Return with how many positional arguments, from 0 to 3, the app can be called; empty if that is not known."""
    if not callable(app):
        return set()
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return set()
    counts = set()
    for count in range(4):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        counts.add(count)
    return counts


def _takes_anything(app: object) -> bool:
    """Tell whether the app is declared as (*args) or (*args, **kwargs)."""
    try:
        parameters = inspect.signature(app).parameters.values() if callable(app) else ()
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in parameters}
    positional, keyword = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return positional in kinds and kinds <= {positional, keyword}


def _by_names(app: object) -> Interface | None:
    names = _parameters(app)
    if {"scope", "receive", "send"} <= names:
        return "asgi"
    if "start_response" in names:
        return "wsgi"
    return None


def _parameters(app: object) -> set[str]:
    try:
        return set(inspect.signature(app).parameters) if callable(app) else set()
    except (TypeError, ValueError):
        return set()
