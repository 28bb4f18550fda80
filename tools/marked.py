"""Generated parts of pages: the text between `<!-- NAME: start …-->` and `<!-- NAME: end -->`."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def put(text: str, name: str, page: str, path: Path) -> str:
    """Return the page with this text between its markers of this name.

    Raises SystemExit unless each marker occurs once; `path` is the page's, for the message.
    """
    start, end = f"<!-- {name}: start", f"<!-- {name}: end -->"
    between = re.compile(rf"(?<={re.escape(start)})([^\n]*\n).*?(?=^{re.escape(end)}$)", re.DOTALL | re.MULTILINE)
    replaced, count = between.subn(lambda found: f"{found[1]}\n{text}\n", page)
    if count != 1:
        raise SystemExit(f"{path} must have its two markers, {start} --> and {end}, once")
    return replaced


def print_or_write(what: str, made: str, path: Path, page_with: Callable[[str, str], str]) -> None:
    """Run a tool as a program: print the generated text, or with --write put it into its page.

    `what`: a description for --help; `page_with` makes the page's new text from the generated text and the present
    text.
    """
    parser = argparse.ArgumentParser(description=f"Print {what}, in Markdown.")
    parser.add_argument("--write", action="store_true", help=f"put it into {path.relative_to(ROOT)}")
    if parser.parse_args().write:
        path.write_text(page_with(made, path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(made, end="")
