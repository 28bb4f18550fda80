"""Print the map of the code, in Markdown, or put it into CONTRIBUTING.md.

python tools/code_map.py            print it
python tools/code_map.py --write    replace what stands between the two markers in CONTRIBUTING.md

A folder's line is the first sentence of its `__init__.py`.
"""

import ast
import re

from marked import ROOT, print_or_write, put

PAGE = ROOT / "CONTRIBUTING.md"


def table() -> str:
    """Return one line for each folder of the package, with the files in it."""
    lines = ["| Folder | What | Files |", "| --- | --- | --- |"]
    for init in sorted((ROOT / "snakepit").rglob("__init__.py")):
        folder = init.parent
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        sentence = re.split(r"(?<=[.])\s", " ".join(text.split()), maxsplit=1)[0]
        names = sorted(path.stem for path in folder.glob("*.py") if path.name != "__init__.py")
        path = folder.relative_to(ROOT).as_posix()
        lines.append(f"| `{path}/` | {sentence} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def page_with(text: str, page: str) -> str:
    """Return the page with this map between its markers."""
    return put(text, "map", page, PAGE)


if __name__ == "__main__":
    print_or_write("the map of the code", table(), PAGE, page_with)
