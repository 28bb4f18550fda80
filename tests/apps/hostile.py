"""Exceptions that fail when they are formatted, and an app of each interface that raises them by name."""


class Textless(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Interrupting(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Hungry(Exception):
    def __str__(self):
        raise MemoryError


class Endless(Exception):
    def __str__(self):
        return str(self)


class Tracebackless(Exception):
    @property
    def __traceback__(self):
        raise RuntimeError


class Guarded(Exception):
    def __getattribute__(self, name):
        if name in ("__class__", "__notes__", "__cause__", "__context__", "__suppress_context__"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class Secretive(Exception):
    def __getattribute__(self, name):
        raise KeyboardInterrupt


class Long(Exception):
    def __str__(self):
        return "x" * 5_000_000


class Bare(BaseException):
    pass


class Nameless(type):
    @property
    def __name__(cls):
        raise SystemExit

    __module__ = __name__


class OfNameless(Exception, metaclass=Nameless):
    def __str__(self):
        raise ValueError


class Crowd:
    def __dir__(self):
        raise KeyboardInterrupt


def cycle():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def chain():
    last = None
    for number in range(3000):
        error = ValueError(number)
        error.__cause__ = last
        last = error
    raise last


def deep():
    return deep()


def note():
    error = ValueError("with notes")
    error.add_note("\udcff")
    error.__notes__.append(5)
    raise error


def attribute():
    return Crowd().foo


def module_of_the_class():
    kind = type("Odd", (Exception,), {})
    kind.__module__ = 5
    raise kind("odd")


def raised(error):
    def raise_it():
        raise error

    return raise_it


ERRORS = {
    "textless": raised(Textless),
    "interrupting": raised(Interrupting),
    "hungry": raised(Hungry),
    "endless": raised(Endless),
    "tracebackless": raised(Tracebackless("t")),
    "guarded": raised(Guarded("g")),
    "secretive": raised(Secretive("s")),
    "long": raised(Long),
    "bare": raised(Bare("b")),
    "nameless": raised(OfNameless),
    "cycle": cycle,
    "chain": chain,
    "deep": deep,
    "note": note,
    "attribute": attribute,
    "module": module_of_the_class,
    "surrogates": raised(ValueError("\udcff\ud800 \x00")),
    "syntax": raised(SyntaxError("m", ("f.py", "not a number", 5, b"bytes"))),
    "group": raised(ExceptionGroup("g", [Textless(), ExceptionGroup("h", [KeyError("k")])])),
    "memory": raised(MemoryError),
    "interrupt": raised(KeyboardInterrupt),
}
"""Functions that raise, by name."""


def wsgi(environ, start_response):
    ERRORS.get(environ["PATH_INFO"].strip("/"), str)()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    ERRORS.get(scope["path"].strip("/"), str)()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
