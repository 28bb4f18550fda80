"""The page that lists what is in a folder."""

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from snakepit.server.responders.static_files.files import Entry
from snakepit.server.responders.static_files.names import is_refused

MOST_ENTRIES = 10_000
"""The most entries of a page; the page says so if there may be more."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 16px/1.6 system-ui, sans-serif; margin: 2rem }} ul {{ list-style: none; padding: 0 }}</style>
</head>
<body>
<h1>{title}</h1>
<ul>
{items}
</ul>
{note}</body>
</html>
"""


def page(title: str, entries: Iterable[Entry], top: bool, complete: bool) -> bytes:
    """Make the page of a folder, with any names in it; `top`: it has no link to the folder above."""
    shown = sorted(
        (entry for entry in entries if not is_refused(entry.name)),
        key=lambda entry: (not entry.folder, entry.name.lower(), entry.name),
    )
    items = [] if top else ['<li><a href="../">../</a></li>']
    items += [_item(entry) for entry in shown]
    note = "" if complete else f"<p>Only {MOST_ENTRIES} entries are shown.</p>\n"
    text = _PAGE.format(title=escape(title), items="\n".join(items), note=note)
    return text.encode("utf-8", "replace")


def _item(entry: Entry) -> str:
    end = "/" if entry.folder else ""
    # "./": or a name with a colon would be taken for a URL
    link = "./" + quote(entry.name, safe="", errors="surrogateescape") + end
    return f'<li><a href="{link}">{escape(entry.name + end)}</a></li>'
