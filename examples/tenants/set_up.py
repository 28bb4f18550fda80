"""Make the virtual environment of each app that has a requirements.txt, for the Python that runs this.

What is there already, for this Python and these requirements, stays as it is.
"""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def set_up(folder: Path) -> None:
    wanted = f"{sys.version}\n{(folder / 'requirements.txt').read_text(encoding='utf-8')}"
    made_with = folder / ".venv" / "made-with"
    if made_with.is_file() and made_with.read_text(encoding="utf-8") == wanted:
        return
    print(f"Setting up {folder.name}/.venv", file=sys.stderr, flush=True)
    venv.create(folder / ".venv", clear=True)
    python = folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "-qq"]
    subprocess.run([*pip, "-r", str(folder / "requirements.txt")], check=True)
    made_with.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    for requirements in sorted(HERE.glob("*/requirements.txt")):
        set_up(requirements.parent)
