"""Parts of pages that are made by tools: what stands between `<!-- NAME: start …-->` and `<!-- NAME: end -->`."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def put(text: str, name: str, page: str, path: Path) -> str:
    """The page, with this text between its markers of this name.

    Raises SystemExit where they are not there, once; `path` is the page's, for what is said then.
    """
    start, end = f"<!-- {name}: start", f"<!-- {name}: end -->"
    between = re.compile(rf"(?<={re.escape(start)})([^\n]*\n).*?(?=^{re.escape(end)}$)", re.DOTALL | re.MULTILINE)
    replaced, count = between.subn(lambda found: f"{found[1]}\n{text}\n", page)
    if count != 1:
        raise SystemExit(f"{path} must have its two markers, {start} --> and {end}, once")
    return replaced
