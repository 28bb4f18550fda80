"""Virtual environments for tests, with packages from PyPI."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def make(folder: Path, *packages: str, options: tuple[str, ...] = ()) -> Path:
    """Make an environment of this Python, with these packages; returns its folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, folder], check=True)
    if packages:
        install(folder, "--only-binary", ":all:", *packages)
    return folder


def install(folder: Path, *arguments: str) -> None:
    """Install something into an environment, by the pip of this Python."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python_of(folder), "install", "-qq"]
    subprocess.run([*pip, *arguments], check=True)


def python_of(folder: Path) -> Path:
    """Return the Python of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def packages_of(folder: Path) -> Path:
    """Return the folder of its packages."""
    if sys.platform == "win32":
        return folder / "Lib" / "site-packages"
    return folder / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files, in folders that are made; returns the folder."""
    for name, content in files.items():
        path = folder / name
        os.makedirs(path.parent, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")
    return folder
