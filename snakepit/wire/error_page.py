"""The head of what `--debug` answers: workers make these answers, and the main interpreter sends those that a worker
made which could not start."""

import base64
import hashlib
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1d2126; --dim: #66707b; --line: #dde1e6; --code: #f5f6f8;
  --mark: #ffe3e0; --red: #b3261e }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --text: #e3e6ea; --dim: #98a2ad; --line: #31373e;
  --code: #1e2227; --mark: #56211f; --red: #ff8a80 } }
* { box-sizing: border-box }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 64rem; padding: 1.5rem 1rem 3rem }
h1 { border-left: .3rem solid var(--red); font-size: 1.45rem; line-height: 1.3; margin: 0 0 1rem; padding-left: .8rem }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
h1, h2, p, summary, td, th { overflow-wrap: anywhere }
h1, h2, .note { white-space: pre-wrap }
p { margin: .5rem 0 }
b.kind { color: var(--red) }
.dim { color: var(--dim); font-weight: normal }
.note { background: var(--code); border-radius: .3rem; padding: .5rem .8rem }
pre, td, summary { font-family: ui-monospace, monospace; font-size: .82rem }
pre { background: var(--code); line-height: 1.55; margin: 0; overflow-x: auto; padding: .6rem 0; tab-size: 4 }
pre > * { display: block; min-width: max-content; padding: 0 .8rem }
pre.text { padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
mark { background: var(--mark); color: inherit }
mark u { text-decoration-color: var(--red); text-decoration-thickness: 2px; text-underline-offset: 3px }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; overflow: hidden }
details details { border-radius: 0; border-width: 1px 0 0; margin: 0 }
summary { cursor: pointer; padding: .4rem .8rem }
summary:hover { background: var(--code) }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid var(--line); padding: .25rem .8rem; text-align: left; vertical-align: top }
th { color: var(--dim); font-size: .82rem; font-weight: normal; width: 11rem }
td { white-space: pre-wrap }
@media (max-width: 40rem) { body { padding: 1rem .6rem 2rem } th { width: 6.5rem } td, th { padding: .25rem .5rem } }
"""
"""The page's only style."""

_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
_SCRIPT_POLICY = "; script-src 'self'; connect-src 'self'"

HTML = b"text/html"


def fields(as_html: bool, has_script: bool = False) -> Sequence[tuple[bytes, bytes]]:
    """Return header fields for a page, or for text.

    By its Content-Security-Policy a page has its own style, and nothing else. `has_script`: it also has the server's
    script that reloads it (`snakepit.wire.page_script`).
    """
    always = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), (b"vary", b"accept")]
    if not as_html:
        return [(b"content-type", b"text/plain; charset=utf-8"), *always]
    policy = _POLICY + (_SCRIPT_POLICY if has_script else "")
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        *always,
    ]
