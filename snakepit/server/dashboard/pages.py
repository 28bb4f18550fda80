"""The files of the live page, and the form for its token, as the browser gets them."""

from html import escape
from pathlib import Path

from snakepit.http.fields import Fields, render
from snakepit.system.buckets import BOUNDS

_FOLDER = Path(__file__).parent / "page"

_SAFETY = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer, forms would be sent with `Origin: null`
    (b"cross-origin-opener-policy", b"same-origin"),  # who opens the page in a window of its own can't look into it
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)
"""The fields of each answer; nothing is loaded from elsewhere, and nothing is run that stands in the page itself."""

FILES = {
    b"style.css": b"text/css; charset=utf-8",
    b"dashboard.js": b"text/javascript; charset=utf-8",
    b"charts.js": b"text/javascript; charset=utf-8",
}
"""The files beside the page, and their types."""


def fields(kind: bytes, *more: tuple[bytes, bytes]) -> Fields:
    """Return the fields of an answer of a type."""
    return render([(b"content-type", kind), *_SAFETY, *more])


HTML, JSON, TEXT = (
    fields(b"text/html; charset=utf-8"),
    fields(b"application/json"),
    fields(b"text/plain; charset=utf-8"),
)


def file(name: bytes) -> bytes:
    """Return a file beside the page."""
    return (_FOLDER / name.decode("ascii")).read_bytes()


def page(token: str) -> bytes:
    """Return the page, with its token and the bounds of the buckets of histograms."""
    text = (_FOLDER / "index.html").read_text("utf-8")
    return text.replace("{{token}}", escape(token)).replace("{{bounds}}", " ".join(map(str, BOUNDS))).encode()


def login(wrong: bool) -> bytes:
    """Return the form for the token; `wrong`: the one before was."""
    text = (_FOLDER / "login.html").read_text("utf-8")
    return text.replace("{{wrong}}", "That is not the token." if wrong else "").encode()


LEADS_ON = (
    b'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=./">'
    b'<title>Snakepit</title><a href="./">Go on</a></html>'
)
"""A page that leads to the page proper. A redirect would not do: where another site has led here, the browser keeps
cookies that are for the same site only back until a page of this one is shown."""
