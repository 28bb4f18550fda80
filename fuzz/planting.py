"""Copies of the package with a fault in them."""

import shutil
from pathlib import Path

from fuzz.target import Fault

ROOT = Path(__file__).parents[1]


def planted(fault: Fault, folder: Path) -> Path:
    """Copy the package with a fault, and what runs it, to a folder in a folder; returns that."""
    copy = folder / "copy"
    for name in ("snakepit", "fuzz", "conformance", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / "snakepit" / fault.file
    path.write_text(faulty(fault, path.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


def faulty(fault: Fault, text: str) -> str:
    """Return a module's text with a fault. Raises ValueError if that can't be planted any more."""
    if text.count(fault.old) != 1:
        raise ValueError(f"{fault.file}: {fault.old!r} stands there {text.count(fault.old)} times")
    return text.replace(fault.old, fault.new)
