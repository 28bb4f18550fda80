"""Static files: whatever the path, only what is in the folder is found, and nothing stays open."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from fuzz.target import Fault, expect
from snakepit.config.static import StaticFiles
from snakepit.server.responders.static_files.found import FoundFile, Moved
from snakepit.server.responders.static_files.lookup import Lookup
from snakepit.server.responders.static_files.names import MOST_NAMES, read_path

PUBLIC = b"public: "
_FOLDER = Path(tempfile.mkdtemp(prefix="snakepit-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def _fill(site: Path) -> None:
    """Make a folder of public files, between secrets that can be reached by dots, links and hidden names."""
    for name in ("index.html", "a.css", "a.css.gz", "b/index.html", "b/c/d.txt", ".well-known/x", "ü b.txt", "con1"):
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PUBLIC + name.encode())
    (_FOLDER / "secret").mkdir()
    for secret in (_FOLDER / "secret/s", _FOLDER / "s", site / ".env", site / "b/.git/s", site / "b/.well-known"):
        secret.parent.mkdir(exist_ok=True)
        secret.write_bytes(b"secret")
    (site / "link").symlink_to("../secret")
    (site / "b/file").symlink_to("../../secret/s")
    (site / "b/inside").symlink_to("c")
    os.mkfifo(site / "pipe")


_fill(_FOLDER / "site")
_SITES = [
    Lookup(StaticFiles(dir=str(_FOLDER / "site"), listing=False)),
    Lookup(StaticFiles(dir=str(_FOLDER / "site"), listing=True, index="")),
]


def check(data: bytes) -> None:
    """Look for a path, in a site with indexes and one with lists, and in the ways of each system."""
    names = read_path(data)
    strict = read_path(data, windows=True)
    expect(strict is None or strict == names, "Windows reads it otherwise", names, strict)
    if names is None:
        return
    expect(len(names.names) <= MOST_NAMES, "too deep", names)
    for name in names.names:
        expect(name and name not in (".", "..") and not set(name) & set("/\\:\0\n"), "a bad name", name)
        expect(not name.startswith(".") or name == ".well-known", "a hidden name", name)
    spelled = "".join(f"{_encoded(name)}/" for name in names.names).encode()
    again = read_path(spelled if names.folder else spelled[:-1])
    expect(again == names, "read otherwise when it is spelled otherwise", again, names)
    for lookup in _SITES:
        _look(lookup, data)


def _look(lookup: Lookup, data: bytes) -> None:
    asked = read_path(data)
    assert asked is not None
    before = os.open(os.devnull, os.O_RDONLY)
    os.close(before)
    found = lookup.find(asked, ("gzip",))
    if isinstance(found, FoundFile):
        content = found.content or b""
        expect(found.file is None, "a small file stays open", found)
        is_list = not found.tag
        expect(is_list or content.startswith(PUBLIC), "a file that is not public", asked, content)
        expect(not is_list or (b"secret" not in content and b".env" not in content), "a list of secrets", content)
        path = "/".join(asked.names)
        expected = f"{path}/index.html".lstrip("/") if asked.folder else path
        same = content.removeprefix(PUBLIC).decode() in (expected, f"{expected}.gz")
        expect(is_list or same, "another file", asked, content)
    else:
        expect(not isinstance(found, Moved) or not asked.folder, "moved to where it is", asked)
    after = os.open(os.devnull, os.O_RDONLY)
    os.close(after)
    expect(after == before, "something stays open", asked, found)


def _encoded(name: str) -> str:
    return "".join(f"%{byte:02x}" for byte in name.encode())


SEEDS = [
    b"index.html", b"", b"b/", b"b", b"b/c/d.txt", b"a.css", b".well-known/x", b"%C3%BC%20b.txt", b"../s", b"%2e%2e/s",
    b"b/..%2f..%2fsecret/s", b"link/s", b"b/file", b"b/inside/d.txt", b".env", b"b/.git/s", b"pipe", b"con1", b"b//c",
    b"b/%2e/c/", b"b/%00", b"\\..\\s", b"b/.well-known", b"x" * 300, b"aux.txt", b"A~1",
]  # fmt: skip
WORDS = [
    *(
        b"..",
        b"%2e",
        b"%2f",
        b"%5c",
        b"/",
        b"//",
        b".",
        b"%00",
        b"%c0%ae",
        b"%e2%80%8b",
        b"%25",
        b"link",
        b"secret",
        b"site",
    ),
    *(b"index.html", b".env", b".git", b"pipe", b"b/c", b"con", b":", b"~1", b"%", b"\x80", b".gz", b" "),
]
FAULTS = [
    Fault(
        "server/responders/static_files/names.py",
        '        or name.lstrip(_IGNORED).startswith(".")\n',
        '        or name == ".."\n',
    ),
    Fault(
        "server/responders/static_files/names.py",
        '_FORBIDDEN = re.compile(r"[\\x00-\\x1f\\x7f/\\\\:]")',
        '_FORBIDDEN = re.compile(r"[\\x00-\\x1f\\x7f\\\\:]")',
    ),
    Fault(
        "server/responders/static_files/files.py",
        "return FolderByDescriptor(os.open(name, _FOLDER | _NO_LINK, dir_fd=self._descriptor))",
        "return FolderByDescriptor(os.open(name, _FOLDER, dir_fd=self._descriptor))",
    ),
    Fault(
        "server/responders/static_files/files.py",
        '    file.close()\n    raise IsADirectoryError("it is a folder")',
        '    raise IsADirectoryError("it is a folder")',
    ),
]
LONGEST = 600
