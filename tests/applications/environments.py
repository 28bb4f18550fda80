"""A virtual environment for each application, since what they need does not go together: `.apps-X.Y/NAME`.

    python environments.py NAME...

makes those, or all. One is made again when the application's packages, Snakepit's own or the Python change.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from catalog import APPLICATIONS, THIS_PYTHON, Application

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / f".apps-{THIS_PYTHON}"


def python_of(application: Application) -> Path:
    """Return the Python of an application's environment, which is created if there is no suitable one."""
    folder = FOLDER / application.name
    python, made = folder / "bin" / "python", folder / "made-with"
    recipe = _recipe(application)
    if not made.exists() or made.read_text(encoding="utf-8") != recipe:
        print(f"Setting up {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        uv = shutil.which("uv")
        pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        if not uv:
            subprocess.run([*pip, *_QUIET, "-U", "pip"], check=True)
        subprocess.run([*pip, *_QUIET, *application.packages, "-e", ROOT], check=True)
        made.write_text(recipe, encoding="utf-8")
    return python


_QUIET = ("-qq",)


def _recipe(application: Application) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return json.dumps([sys.version, sys.base_prefix, application.packages, project["dependencies"]])


if __name__ == "__main__":
    for application in APPLICATIONS:
        if not sys.argv[1:] or application.name in sys.argv[1:]:
            python_of(application)
