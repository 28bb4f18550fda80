"""Line numbers of the keys in a TOML file, which `tomllib` does not tell. Expects a text that `tomllib` has parsed."""

import re
import tomllib

type KeyPath = tuple[str | int, ...]
"""The keys that lead to a value, from the outermost; an int is a position in an array."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")  # a number, a date or a boolean


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line of each key and of each table's header; a table without a header has that of its first key."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._counted = 0  # the place up to which line breaks were counted
        self._line = 1
        self._lengths: dict[KeyPath, int] = {}  # of arrays of tables

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) and self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        line = self._here()
        self._at += brackets
        *outer, last = self._key()
        self._skip(_SPACE)
        self._at += brackets
        path: KeyPath = ()
        for part in outer:
            path = self._newest((*path, part))
        path = (*path, last)
        if brackets == 1:
            path = self._newest(path)
        else:
            self.lines.setdefault(path, line)
            self._lengths[path] = length = self._lengths.get(path, 0) + 1
            path = (*path, length - 1)
        self._note((), path, line)
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        """Return the path of the newest element, if this is an array of tables."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        path = (*table, *self._key())
        self._note(table, path, line)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _note(self, table: KeyPath, path: KeyPath, line: int) -> None:
        for length in range(len(table) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            found = _BARE.match(self._text, self._at)
            if found is not None:
                parts.append(found[0])
                self._at = found.end()
            else:
                parts.append(tomllib.loads(f"key = {self._string()}")["key"])
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._items("]", path)
        elif first == "{":
            self._items("}", path)
        else:
            self._skip(_SCALAR)

    def _items(self, end: str, path: KeyPath) -> None:
        self._at += 1
        count = 0
        while self._skip(_BLANK) and self._text[self._at] != end:
            if self._text[self._at] == ",":
                self._at += 1
            elif end == "}":
                self._pair(path)
            else:
                self.lines.setdefault((*path, count), self._here())
                self._value((*path, count))
                count += 1
        self._at += 1

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        assert found is not None, "tomllib has parsed this"
        self._at = found.end()
        return found[0]

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return True

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
